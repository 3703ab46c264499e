"""Carrier of a link's interfaces: on exactly while both directions of the link are up, by schedule and by orders.

Only links with `LinkSpec.carrier` are handled. If both ends have knots, the changes are known in advance, and one heap
holds the next change of each link; other links are checked as each row begins. A moving link that changes from one far
node to another loses carrier and regains it at once, so that daemons notice the new neighbour. (Its far port is shared,
and always has carrier.) Invariant: a relay without such links makes one comparison only. A separate thread calls the
kernel, which takes 50-200 µs for an interface and may block; each change is reported with its scheduled and its real
time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from heapq import heapify, heapreplace
from math import inf
from typing import Any, Protocol

from emulator.fabric.kernel.carrier_device import CarrierDevice
from emulator.model.network import Network
from emulator.schedule.reader import RowSource, ScheduleReader

CHANGES_PER_MESSAGE = 1000
LATE_ROW_S = 0.005  # until a row that was late is looked for again
NOBODY = -1


class HasDescriptor(Protocol):
    def fileno(self) -> int: ...


Changes = list[tuple[int, bool]]  # link number, up


class Carriers:
    """The links of `network` with carrier. `ports`: by end; `overrides(end)`: the values that orders have set on it.

    `tell` sends a message to the supervisor; it is called from the thread too, as is `clock`. `open_carrier` opens the
    carrier of a port by its descriptor.
    """

    def __init__(
        self,
        network: Network,
        ports: Mapping[int, HasDescriptor],
        overrides: Callable[[int], Mapping[str, float | bool]],
        tell: Callable[[dict[str, Any]], None],
        clock: Callable[[], float],
        open_carrier: Callable[[int], CarrierDevice] = CarrierDevice,
        rows: RowSource | None = None,
    ) -> None:
        self._network = network
        self._ports = ports
        self._overrides = overrides
        self._tell = tell
        self._clock = clock
        self._open_carrier = open_carrier
        self._schedule = ScheduleReader(network, rows)
        self._ends: dict[int, tuple[int, int]] = {}  # by link
        self._devices: dict[int, list[CarrierDevice]] = {}
        self._up: dict[int, bool] = {}
        self._heap: list[tuple[float, int]] = []
        self._by_rows: list[int] = []  # links that follow rows
        self._far: dict[int, int] = {}  # the far node of each of these links while it is up, NOBODY while it is down
        self._row_s = inf  # begin of the next row
        self._thread = ThreadPoolExecutor(1, "carrier")  # begins with the first change
        self.next_s = inf  # when to call `play`

    def begin(self) -> None:
        """Set every interface to its state at time 0, which also holds before."""
        for number, link in enumerate(self._network.links):
            if not link.carrier:
                continue
            ends = self._ends[number] = 2 * number, 2 * number + 1
            self._up[number] = True  # as the kernel makes them
            self._devices[number] = []
            try:
                self._devices[number] += [
                    self._open_carrier(self._ports[end].fileno()) for end in ends if end in self._ports
                ]
            except OSError as error:
                self._complain(number, error)
            if link.moving or any(self._network.end_spec(end).schedule is None for end in ends):
                self._by_rows.append(number)
            else:
                self._heap.append((self._until(number, 0.0), number))
        heapify(self._heap)
        if self._by_rows:
            far = self._far_nodes(0)
            self._row_s = self._schedule.step_s if far is not None else 0.0
            self._far = far or dict.fromkeys(self._by_rows, NOBODY)
        self.next_s = self._next_s()
        self._set_carriers(self._turn(self._ends, 0.0))

    def tell_initial(self) -> None:
        """Report the links that are down at the beginning."""
        self._tell_of([(number, False) for number, up in self._up.items() if not up], 0.0)

    def play(self, now: float) -> None:
        """Make the scheduled changes up to `now`, each reported with its own time."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            t, links = heap[0][0], []
            while heap[0][0] == t:
                number = heap[0][1]
                links.append(number)
                heapreplace(heap, (self._until(number, t), number))
            self._change(links, t)
        if now >= self._row_s:
            self._play_row(now)
        self.next_s = self._next_s()

    def look_again(self, ends: Iterable[int], now: float) -> None:
        """Update the links of these ends, which orders have set up or down, or back to the schedule."""
        self._change(sorted({end // 2 for end in ends} & self._ends.keys()), now)

    def afterwards(self, say: Callable[[], None]) -> None:
        """Call `say` when every change so far has been made: in the thread, or at once if no link has carrier."""
        if self._ends:
            self._thread.submit(say)
        else:
            say()

    def close(self) -> None:
        """Wait until every change has been made and reported."""
        self._thread.shutdown()
        for devices in self._devices.values():
            for device in devices:
                device.close()
        self._devices.clear()

    def _next_s(self) -> float:
        return min(self._row_s, self._heap[0][0] if self._heap else inf)

    def _play_row(self, now: float) -> None:
        """Make the changes of the row in force; earlier rows that were missed are skipped."""
        step = self._schedule.step_at(now)
        far = self._far_nodes(step)
        if far is None:
            self._row_s = now + LATE_ROW_S
            return
        t = step * self._schedule.step_s
        before, self._far = self._far, far
        self._row_s = (step + 1) * self._schedule.step_s
        away = [number for number in self._by_rows if NOBODY not in (before[number], far[number])
                and before[number] != far[number] and self._up[number]]  # fmt: skip
        self._change(self._by_rows, t, away)

    def _far_nodes(self, step: int) -> dict[int, int] | None:
        """The far node of each link that follows rows, NOBODY if one of its directions is down in the row. None if the
        row is not available."""
        nodes = self._schedule.serving(step, self._by_rows)
        up = self._schedule.read(
            step, lambda row: [all(row.up[end] for end in self._ends[number]) for number in self._by_rows]
        )
        if nodes is None or up is None:
            return None
        return {number: node if both else NOBODY for number, node, both in zip(self._by_rows, nodes, up, strict=True)}

    def _is_up(self, number: int, t: float) -> bool:
        if number in self._far:
            scheduled = self._far[number] != NOBODY
            return all(self._overrides(end).get("up", scheduled) for end in self._ends[number])
        return all(self._overrides(end).get("up", self._schedule.up(end, t)[0]) for end in self._ends[number])

    def _until(self, number: int, t: float) -> float:
        return min(self._schedule.up(end, t)[1] for end in self._ends[number])

    def _turn(self, links: Iterable[int], t: float) -> Changes:
        """Record the state of these links at t; returns the changes."""
        changes = []
        for number in links:
            up = self._is_up(number, max(t, 0.0))
            if up != self._up[number]:
                self._up[number] = up
                changes.append((number, up))
        return changes

    def _change(self, links: Iterable[int], t: float, away: Iterable[int] = ()) -> None:
        """Make the changes of these links at t; links in `away` have a new far node and first lose carrier."""
        lost = list(away)
        for number in lost:
            self._up[number] = False
        changes = [(number, False) for number in lost] + self._turn(links, t)
        if changes:
            self._thread.submit(partial(self._carry_out, changes, t))

    def _carry_out(self, changes: Changes, t: float) -> None:
        """In the thread: make the changes that were scheduled for t, and report them."""
        self._set_carriers(changes)
        self._tell_of(changes, t)

    def _set_carriers(self, changes: Changes) -> None:
        for number, up in changes:
            for device in self._devices[number]:
                try:
                    device.set(up)
                except OSError as error:
                    self._complain(number, error)

    def _complain(self, number: int, error: OSError) -> None:
        name = self._network.links[number].name
        self._tell({"op": "error", "message": f"the carrier of link {name} cannot be set: {error}"})

    def _tell_of(self, changes: Changes, t: float) -> None:
        at = self._clock()
        for first in range(0, len(changes), CHANGES_PER_MESSAGE):
            part = changes[first : first + CHANGES_PER_MESSAGE]
            self._tell({"op": "carrier", "t_s": t, "at_s": at, "changes": part})
