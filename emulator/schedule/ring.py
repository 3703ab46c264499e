"""Rows of the timeline in shared anonymous memory: one writer (the planner), many readers after fork.

Invariant: a reader that copies from a slot, and finds afterwards that the slot still holds the step, has copied one row
as it was written, never parts of two.

The memory is one mapping, at the same address in every process forked after it was made (`RowRing.layout`):

    base_address                      header: int64 latest, the step of the newest row, -1 before the first
    + header_bytes                    slot 0
    + header_bytes + bytes_per_row    slot 1, and so on: the row of step s has slot s modulo `capacity`

A slot holds its columns as `row_layout` describes them; the first, `head`, begins with the step of the row in the slot.

Memory model: a sequence lock without waiting. The writer puts step s in this order: head[0] = -1; fence; all columns
and head[1]; fence; head[0] = s; fence; latest = s. A step never comes twice, so head[0] cannot leave s and return to
it. Each store of head[0] and latest is one aligned store of 8 bytes, which no reader sees by halves. On x86-64 stores
become visible in the order of the program (and glibc's memcpy fences those that would not), so the fence is nothing
there; elsewhere it is membarrier(2), a full barrier on every processor, readers' processors too.

A reader of step s, in C:

    1. load head[0] of slot s modulo capacity with acquire order; not s: the row is not there (yet, or any more)
    2. copy what it needs (plain loads)
    3. atomic_thread_fence(memory_order_acquire), then load head[0] again; not s: throw the copy away, the row is gone

The load of 1 keeps the loads of 2 behind it, the fence of 3 keeps them before the second load of head[0]. So either
order of the two is detected: a writer that began before 1 is seen in 1, one that began between 1 and 3 in 3. A writer
that stops in the middle of a row leaves -1, and no reader waits for it. The packet engine reads every value this way,
routes too (`schedule.c`, `forward.c`), and uses the newest row if it is so late that its own has been overwritten.

`latest` may be loaded (acquire) first to learn which steps exist; 1 to 3 decide. In Python, `copy` and `copied` do all
of this, and a reader of the views of `row` calls `holds(s)` after it has read its values. (The planner overwrites
neither the playing step nor the one before: a Python reader that reads these in time need not check.)
"""

from __future__ import annotations

import ctypes
import mmap
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.model.errors import Unfit
from emulator.model.network import Handover, ScheduleRow, SubstepSpec, SubstepTables
from emulator.schedule.row_layout import COLUMNS, HANDOVER, HEADER_BYTES, Sizes, placed

_FIELDS = tuple(column.name for column in COLUMNS if column.name in ScheduleRow.__slots__ and column.dtype != HANDOVER)
_SUBSTEP = tuple(SubstepTables.__slots__)


@dataclass(frozen=True, slots=True)
class SubstepColumns:
    """Finer tables as flat memoryviews, which give plain Python numbers: those of place f begin at index f·knots."""

    knots: int
    count: memoryview  # F ints
    t_s: memoryview  # F·knots doubles
    delay_s: memoryview
    rate_bps: memoryview
    loss: memoryview
    up: memoryview  # F·knots bytes


@dataclass(frozen=True, slots=True)
class RingLayout:
    """Where the rows lie in memory, for readers that are not Python. Valid while the ring lives, in this process and in
    those forked from it. The module says what each column holds, and how to read one safely."""

    base_address: int  # of the mapping in the process's memory
    header_bytes: int  # before the first slot; the header begins with int64 `latest`
    bytes_per_row: int  # from one slot to the next, a multiple of the page
    capacity: int  # slots
    substep_knots: int  # knots of each substep table; 0: the ring has none, and `offsets` no "substep.…"
    offsets: dict[str, int]  # bytes from a slot's begin, by column name


class RowRing:
    """The last `capacity` rows of a network of E ends, N nodes and D destinations.

    Made before fork; lives as long as its processes. `bytes_per_row` is what one slot takes; pages that no row has
    touched take nothing.
    """

    def __init__(
        self, ends: int, nodes: int, dests: int, capacity: int = 16, substep: SubstepSpec | None = None
    ) -> None:
        if min(ends, nodes, dests) < 0 or capacity < 3:
            raise ValueError(f"a ring needs sizes of 0 or more and 3 slots or more, not {ends, nodes, dests, capacity}")
        self.ends, self.nodes, self.dests, self.capacity = ends, nodes, dests, capacity
        self._knots = substep.knots if substep is not None else 0
        self._substep = self._knots > 0
        links = ends // 2  # a link changes hands at most once a step
        self._columns, size = placed(Sizes(ends, links, nodes, dests, len(substep.ends) if substep else 0, self._knots))
        self.bytes_per_row = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        self._memory = mmap.mmap(-1, HEADER_BYTES + capacity * self.bytes_per_row)
        self._latest = memoryview(self._memory)[:8].cast("q")
        self._latest[0] = -1
        self._slots = [self._slot(number) for number in range(capacity)]
        self._views = [{name: _read_only(slot[name]) for name in _FIELDS} for slot in self._slots]
        self._substep_views = [
            SubstepTables(*(_read_only(slot[f"substep.{name}"]) for name in _SUBSTEP)) if self._substep else None
            for slot in self._slots
        ]
        self._heads = [slot["head"].data for slot in self._slots]
        for head in self._heads:
            head[0] = -1

    def _slot(self, number: int) -> dict[str, NDArray[Any]]:
        base = HEADER_BYTES + number * self.bytes_per_row
        return {
            name: np.ndarray(shape, dtype, buffer=self._memory, offset=base + offset)
            for name, (offset, dtype, shape) in self._columns.items()
        }

    def layout(self) -> RingLayout:
        """Where the rows lie in this process's memory."""
        address = int(np.frombuffer(self._memory, np.uint8).ctypes.data)
        offsets = {name: column.offset for name, column in self._columns.items()}
        return RingLayout(address, HEADER_BYTES, self.bytes_per_row, self.capacity, self._knots, offsets)

    @property
    def latest(self) -> int:
        """Step of the newest row, -1 before the first."""
        return int(self._latest[0])

    def holds(self, step: int) -> bool:
        """Whether the row of `step` is in the ring now."""
        return step >= 0 and bool(self._heads[step % self.capacity][0] == step)

    def put(self, row: ScheduleRow) -> None:
        """Append a row (the one writer). ValueError unless it is the next one and has the ring's shapes."""
        if row.step != self.latest + 1:
            raise ValueError(f"row {row.step} cannot follow row {self.latest}")
        number = row.step % self.capacity
        slot, head = self._slots[number], self._heads[number]
        for name in _FIELDS:
            if np.shape(getattr(row, name)) != slot[name].shape:
                raise ValueError(f"{name} has shape {np.shape(getattr(row, name))}, the ring {slot[name].shape}")
        if len(row.handovers) > len(slot["handovers"]):
            raise ValueError(f"{len(row.handovers)} handovers in one step of {len(slot['handovers'])} links")
        if row.substep is not None:
            self._check_substep(row.substep, slot)
        head[0] = -1
        _fence()
        for name in _FIELDS:
            slot[name][...] = getattr(row, name)
        if row.substep is not None:
            for name in _SUBSTEP:
                table = getattr(row.substep, name)
                slot[f"substep.{name}"][..., : table.shape[-1]] = table
        elif self._substep:
            slot["substep.count"][...] = 0
        for place, change in enumerate(row.handovers):
            slot["handovers"][place] = (change.t_s, change.link, change.before, change.after, 0)
        head[1] = len(row.handovers)
        _fence()
        head[0] = row.step
        _fence()
        self._latest[0] = row.step

    def row(self, step: int) -> ScheduleRow:
        """The row of `step` as read-only views of the shared memory. LookupError if not, or no longer, there."""
        self._check(step)
        number = step % self.capacity
        count = self._heads[number][1]
        handovers = tuple(
            Handover(float(t_s), int(link), int(before), int(after))
            for t_s, link, before, after, _ in self._slots[number]["handovers"][:count].tolist()
        )
        self._check(step)
        return ScheduleRow(step=step, handovers=handovers, substep=self._substep_views[number], **self._views[number])

    def copy(self, step: int, columns: Iterable[str]) -> dict[str, NDArray[Any]]:
        """Copies of some of a row's columns, by name as in the layout, all of the one row.

        LookupError if the row is not there, or was overwritten in the middle of the copy.
        """
        self._check(step)
        slot = self._slots[step % self.capacity]
        copies = {name: slot[name].copy() for name in columns}
        self._check(step)
        return copies

    def copied(self, step: int) -> ScheduleRow:
        """The row of `step` in memory of its own. LookupError if it is not there, or was overwritten meanwhile."""
        handovers = self.row(step).handovers
        columns = self.copy(step, [*_FIELDS, *(f"substep.{name}" for name in _SUBSTEP if self._substep)])
        substep = SubstepTables(*(columns.pop(f"substep.{name}") for name in _SUBSTEP)) if self._substep else None
        return ScheduleRow(step=step, handovers=handovers, substep=substep, **columns)

    def _check_substep(self, substep: SubstepTables, slot: dict[str, NDArray[Any]]) -> None:
        """ValueError unless the tables fit: fewer columns than the ring has are enough."""
        places, knots = slot["substep.t_s"].shape if self._substep else (0, 0)
        shapes = {np.shape(getattr(substep, name)) for name in _SUBSTEP[1:]}
        shape = shapes.pop()
        if shapes or len(shape) != 2 or shape[0] != places or shape[1] > knots or substep.count.shape != (places,):
            raise Unfit(f"substep tables of shape {np.shape(substep.t_s)}", f"{places} ends of {knots} knots or fewer")
        if not np.isin(substep.count, (0, *range(2, shape[1] + 1))).all():
            raise Unfit(f"a substep table of {substep.count.max()} knots", f"0, or 2 to {shape[1]}")

    def _check(self, step: int) -> None:
        if not self.holds(step):
            raise LookupError(f"row {step} is not in the ring; it holds up to {self.capacity} rows up to {self.latest}")


def _fence_of(machine: str) -> Callable[[], object]:
    """The fence that keeps the writer's stores in order for readers on other processors."""
    if machine in ("x86_64", "AMD64", "i386", "i686"):
        return int  # no fence needed
    call = ctypes.CDLL(None, use_errno=True).syscall
    return lambda: call(_MEMBARRIER, _MEMBARRIER_GLOBAL, 0, 0)


_MEMBARRIER, _MEMBARRIER_GLOBAL = 283, 1  # number of the call on arm64 and riscv; of its command, in linux/membarrier.h
_fence = _fence_of(platform.machine())


def substep_columns(substep: SubstepTables) -> SubstepColumns:
    """Finer tables of a row, flat (they must be contiguous)."""
    arrays = (getattr(substep, name).reshape(-1) for name in _SUBSTEP)
    return SubstepColumns(
        substep.t_s.shape[1], *((array.view(np.uint8) if array.dtype == bool else array).data for array in arrays)
    )


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
