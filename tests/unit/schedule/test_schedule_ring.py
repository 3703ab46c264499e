"""The ring of rows: order, overwriting, reading in another process."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from emulator.model.network import Handover, ScheduleRow, SubstepSpec, SubstepTables
from emulator.schedule.ring import RowRing, substep_columns

ENDS, NODES, DESTS = 6, 4, 2


def row(step: int, handovers: tuple[Handover, ...] = ()) -> ScheduleRow:
    ramp = np.arange(ENDS, dtype=float)
    return ScheduleRow(
        step=step,
        delay_start_s=ramp + step,
        delay_end_s=ramp + step + 1,
        rate_bps=ramp * 1e6,
        loss=ramp / 10,
        up=np.arange(ENDS) % 2 == 0,
        peer=np.arange(ENDS, dtype=np.int32) + step,
        next_end=np.arange(DESTS * NODES, dtype=np.int32).reshape(DESTS, NODES) + step,
        handovers=handovers,
    )


def same(a: ScheduleRow, b: ScheduleRow) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ScheduleRow.__slots__)


def test_rows_come_back_equal_until_overwritten():
    ring = RowRing(ENDS, NODES, DESTS, capacity=3)
    assert ring.latest == -1
    with pytest.raises(LookupError):
        ring.row(0)
    changes = (Handover(1.0, 2, -1, 3), Handover(1.0, 0, 3, -1))
    for step in range(5):
        ring.put(row(step, changes[: step % 3]))
        assert ring.latest == step
    for step in (2, 3, 4):
        assert same(ring.row(step), row(step, changes[: step % 3]))
        assert ring.holds(step)
    for step in (-1, 0, 1, 5):
        assert not ring.holds(step)
        with pytest.raises(LookupError, match=f"row {step} is not in the ring"):
            ring.copy(step, ["up"])


def overtaken(ring: RowRing, by: int, columns: list[str]) -> Iterator[str]:
    """Names of columns; between the first half of them and the second, the planner puts `by` rows."""
    half = len(columns) // 2
    yield from columns[:half]
    for _ in range(by):
        ring.put(row(ring.latest + 1))
    yield from columns[half:]


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("by", range(7))
def test_a_copy_is_of_one_row_or_none(step: int, by: int):
    ring = RowRing(ENDS, NODES, DESTS, capacity=3)
    for number in range(4):
        ring.put(row(number))
    columns = ["delay_start_s", "peer", "next_end", "delay_end_s"]
    if 3 + by >= step + ring.capacity:
        with pytest.raises(LookupError, match=f"row {step} is not in the ring"):
            ring.copy(step, overtaken(ring, by, columns))
    else:
        copies = ring.copy(step, overtaken(ring, by, columns))
        assert all(np.array_equal(copies[name], getattr(row(step), name)) for name in columns)
    assert ring.latest == 3 + by


class Overtaken(RowRing):
    """A ring whose planner puts `by` rows while somebody copies one."""

    by = 0

    def copy(self, step, columns):
        return super().copy(step, overtaken(self, self.by, list(columns)))


@pytest.mark.parametrize("by", range(7))
def test_a_copied_row_is_whole_or_not_there(by: int):
    tables = SubstepSpec(np.array([1, 4], np.int32), 6)
    for substep in (None, tables):
        ring = Overtaken(ENDS, NODES, DESTS, capacity=4, substep=substep)
        ring.put(replace(row(0, (Handover(0.0, 2, -1, 3),)), substep=finer([6, 2], 6) if substep else None))
        ring.by = by
        if by >= ring.capacity:
            with pytest.raises(LookupError, match="row 0 is not in the ring"):
                ring.copied(0)
            continue
        copied = ring.copied(0)
        for step in range(ring.latest + 1, 9):
            ring.put(row(step))
        assert all(
            np.array_equal(getattr(copied, name), getattr(row(0), name))
            for name in ScheduleRow.__slots__
            if name not in ("substep", "handovers")
        )
        assert copied.handovers == (Handover(0.0, 2, -1, 3),)
        for name in SubstepTables.__slots__ if substep else ():
            assert np.array_equal(getattr(copied.substep, name), getattr(finer([6, 2], 6), name))


def test_a_copy_stays_when_its_row_goes():
    ring = RowRing(ENDS, NODES, DESTS, capacity=3)
    ring.put(row(0))
    copies = ring.copy(0, ("peer", "up"))
    for step in range(1, 5):
        ring.put(row(step))
    assert np.array_equal(copies["peer"], row(0).peer)
    assert np.array_equal(copies["up"], row(0).up)


def test_readers_cannot_write():
    ring = RowRing(ENDS, NODES, DESTS)
    ring.put(row(0))
    with pytest.raises(ValueError, match="read-only"):
        ring.row(0).loss[0] = 1.0


def test_only_the_next_row_of_the_right_shape_is_taken():
    ring = RowRing(ENDS, NODES, DESTS)
    with pytest.raises(ValueError, match="row 1 cannot follow row -1"):
        ring.put(row(1))
    other = RowRing(ENDS + 2, NODES, DESTS)
    with pytest.raises(ValueError, match="delay_start_s has shape"):
        other.put(row(0))
    with pytest.raises(ValueError, match="handovers in one step"):
        ring.put(row(0, (Handover(0.0, 0, 1, 2),) * 4))
    assert ring.latest == -1


def finer(count: list[int], knots: int) -> SubstepTables:
    t_s = np.tile(np.linspace(0, 1, knots), (len(count), 1))
    return SubstepTables(np.array(count, np.int32), t_s, t_s / 10, t_s + 1e6, t_s / 2, t_s < 0.5)


def test_finer_tables_come_back_as_far_as_they_reach():
    ring = RowRing(ENDS, NODES, DESTS, capacity=3, substep=SubstepSpec(np.array([1, 4], np.int32), 6))
    ring.put(replace(row(0), substep=finer([6, 0], 6)))
    ring.put(replace(row(1), substep=finer([2, 4], 4)))  # fewer knots than there is room for
    ring.put(row(2))
    first, second, third = (ring.row(step).substep for step in range(3))
    assert first.count.tolist() == [6, 0]
    for name in SubstepTables.__slots__:
        assert np.array_equal(getattr(first, name), getattr(finer([6, 0], 6), name))
    assert np.array_equal(second.delay_s[1, :4], finer([2, 4], 4).delay_s[1])
    assert third.count.tolist() == [0, 0]
    columns = substep_columns(second)
    assert (columns.knots, columns.count[1], columns.rate_bps[6 + 3], columns.up[6]) == (6, 4, 1e6 + 1, 1)


def test_finer_tables_that_do_not_fit_are_refused():
    plain = RowRing(ENDS, NODES, DESTS)
    with pytest.raises(ValueError, match=r"substep tables of shape .*; expected 0 ends"):
        plain.put(replace(row(0), substep=finer([2], 2)))
    ring = RowRing(ENDS, NODES, DESTS, substep=SubstepSpec(np.array([1], np.int32), 4))
    for substep in (finer([2], 5), finer([2, 2], 4)):
        with pytest.raises(ValueError, match=r"substep tables of shape .*; expected 1 ends of 4 knots or fewer"):
            ring.put(replace(row(0), substep=substep))
    for count in (1, 5, -2):
        with pytest.raises(ValueError, match="knots; expected 0, or 2 to 4"):
            ring.put(replace(row(0), substep=finer([count], 4)))
    plain.put(row(0))
    assert plain.row(0).substep is None


def test_a_network_without_links_or_destinations_has_rows_too():
    ring = RowRing(0, 0, 0, capacity=3)
    floats, ints = np.empty(0), np.empty(0, np.int32)
    table = np.empty((0, 0), np.int32)
    ring.put(ScheduleRow(0, floats, floats, floats, floats, np.empty(0, bool), ints, table))
    assert ring.row(0).next_end.shape == (0, 0)


def raw(address: int, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Memory at an address, as a reader that is not Python sees it."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype).reshape(shape)


def test_the_layout_says_where_every_column_lies():
    ring = RowRing(ENDS, NODES, DESTS, capacity=3, substep=SubstepSpec(np.array([1, 4], np.int32), 6))
    changes = (Handover(1.0, 2, -1, 3), Handover(1.0, 0, 3, -1))
    for step in range(5):
        ring.put(replace(row(step, changes), substep=finer([6, 2], 6)))
    layout = ring.layout()
    assert raw(layout.base_address, "i8", (1,)).tolist() == [4]
    assert (layout.capacity, layout.substep_knots, layout.bytes_per_row % 4096) == (3, 6, 0)
    for step in (2, 3, 4):
        slot = layout.base_address + layout.header_bytes + step % layout.capacity * layout.bytes_per_row
        at = {name: slot + offset for name, offset in layout.offsets.items()}
        assert not any(address % 64 for address in at.values())
        expected = row(step)
        assert raw(at["head"], "i8", (2,)).tolist() == [step, 2]
        for name in ("delay_start_s", "delay_end_s", "rate_bps", "loss"):
            assert np.array_equal(raw(at[name], "f8", (ENDS,)), getattr(expected, name))
        assert np.array_equal(raw(at["peer"], "i4", (ENDS,)), expected.peer)
        assert np.array_equal(raw(at["up"], "u1", (ENDS,)), expected.up)
        assert np.array_equal(raw(at["next_end"], "i4", (DESTS, NODES)), expected.next_end)
        records = raw(at["handovers"], "f8,i4,i4,i4,i4", (ENDS // 2,)).tolist()[:2]
        assert records == [(1.0, 2, -1, 3, 0), (1.0, 0, 3, -1, 0)]
        substep = finer([6, 2], 6)
        assert raw(at["substep.count"], "i4", (2,)).tolist() == [6, 2]
        for name in ("t_s", "delay_s", "rate_bps", "loss"):
            assert np.array_equal(raw(at[f"substep.{name}"], "f8", (2, 6)), getattr(substep, name))
        assert np.array_equal(raw(at["substep.up"], "u1", (2, 6)), substep.up)


def test_a_layout_without_finer_tables_names_none():
    layout = RowRing(ENDS, NODES, DESTS).layout()
    assert layout.substep_knots == 0
    assert not any(name.startswith("substep.") for name in layout.offsets)


@pytest.mark.parametrize("at", ["delay_start_s", "loss", "next_end", "handovers"])
def test_a_writer_that_stops_in_the_middle_shows_nothing(at):
    """The sequence counter is -1 from before the first column is written until after the last."""

    class Half:
        asked = 0

        def __getattr__(self, name):
            self.asked += name == at
            if self.asked == 2:  # `put` looks at all shapes, then at the values
                raise InterruptedError
            return getattr(row(3), name)

    ring = RowRing(ENDS, NODES, DESTS, capacity=3)
    for step in range(3):
        ring.put(row(step))
    views = ring.row(0)
    with pytest.raises(InterruptedError):
        ring.put(Half())
    layout = ring.layout()
    assert raw(layout.base_address + layout.header_bytes, "i8", (1,)).tolist() == [-1]
    assert ring.latest == 2
    assert not ring.holds(views.step), "a reader of the old row's views learns that they are no row any more"
    assert not ring.holds(3)
    for step in (0, 3):
        with pytest.raises(LookupError):
            ring.copy(step, ["up"])
    ring.put(row(3))
    assert same(ring.copied(3), row(3))


def test_a_forked_reader_sees_what_is_written_later():
    ring = RowRing(ENDS, NODES, DESTS, capacity=3)
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(ready, 1)
        os._exit(0 if ring.latest == 3 and same(ring.row(3), row(3)) and not ring.holds(0) else 1)
    for step in range(4):
        ring.put(row(step))
    os.write(go, b"x")
    _, status = os.waitpid(child, 0)
    os.close(ready)
    os.close(go)
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_reader_never_takes_a_row_that_is_being_written():
    ring = RowRing(ENDS, NODES, DESTS, capacity=3)
    rows = 3000
    child = os.fork()
    if child == 0:
        try:
            for step in range(rows):
                ring.put(row(step))
            os._exit(0)
        finally:
            os._exit(1)
    taken = 0
    while (status := os.waitpid(child, os.WNOHANG))[0] == 0:
        step = ring.latest - taken % 3  # also rows that are about to go
        try:
            found = ring.row(step)
            copy = [np.array(getattr(found, name)) for name in ("delay_start_s", "peer", "next_end", "delay_end_s")]
        except LookupError:
            continue
        if ring.holds(step):
            expected = row(step)
            names = ("delay_start_s", "peer", "next_end", "delay_end_s")
            assert all(np.array_equal(got, getattr(expected, name)) for got, name in zip(copy, names, strict=True))
            taken += 1
    assert os.waitstatus_to_exitcode(status[1]) == 0
    assert same(ring.row(rows - 1), row(rows - 1))
