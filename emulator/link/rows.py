"""The playing step of the timeline: what each link end asks of it, and the routes that hold.

Invariant: the step is chosen by the logical time of the event, not by the time at which the relay got to it. Where the
planner is late, the last row is held and counted, never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, inf

import numpy as np
from numpy.typing import NDArray

from emulator.errors import EmulationError
from emulator.network import Network
from emulator.schedule import fine
from emulator.schedule.fine import fine_places as fine_places
from emulator.schedule.knots import Segment, segment, segment_of_row
from emulator.schedule.ring import Columns, RowRing

RETRY_S = 0.01  # how soon a missing row is asked for again
SLACK_S = 1e-3  # packets of transit nodes are gathered for this long at the most
Held = tuple[Segment, int, float, int]  # as `Rows.source` returns it


class Rows:
    """Rows of the ring as the relay plays them. `table` (flat D × N) and `stop_s` belong to the playing step."""

    def __init__(self, network: Network, ring: RowRing | None) -> None:
        self._network = network
        self._ring = ring
        self.step_s = network.timeline.step_s if network.timeline is not None else inf
        self._static = network.routing == "static"
        self._columns: Columns | None = None
        self._known: dict[int, tuple[float, Held]] = {}  # by end: from when, and what holds then
        self.late = 0  # times that a row was not there when it was needed
        self.width = len(network.nodes)
        self.table: memoryview = memoryview(bytes(4 * self.width * len(network.live))).cast("i")
        self.stop_s = -inf
        self.slack_s = 0.0  # how late a packet may be passed on by a transit node and still be in time at the next
        self._hurried = False
        self._fine = fine_places(network)
        live = np.array([node.live for node in network.nodes], dtype=bool)
        self._from_transit = np.array(
            [end for end in range(2 * len(network.links)) if self._leaves_transit(end, live)], dtype=np.int64
        )
        self._fine_from_transit = np.array(
            [self._fine[end] for end in self._from_transit.tolist() if end in self._fine], dtype=np.int64
        )
        self._knotted = any(network.end_spec(int(end)).knots is not None for end in self._from_transit)
        if ring is None:
            self.table = memoryview(b"\xff" * (4 * self.width * len(network.live))).cast("i")
            self.stop_s = inf

    def _step(self, t: float) -> int:
        step = floor(t / self.step_s)
        if step * self.step_s > t:
            return step - 1
        return step + 1 if (step + 1) * self.step_s <= t else step

    def at(self, t: float) -> tuple[Columns, float]:
        """The row that holds at t, and until when; before 0 the first row holds."""
        step = max(0, self._step(t))
        columns = self._columns
        if columns is None or columns.step != step:
            assert self._ring is not None
            try:
                columns = self._columns = self._ring.columns(step)
            except LookupError:
                self.late += 1
                if columns is None or not self._ring.holds(columns.step):
                    latest = self._ring.latest
                    if latest < 0:
                        raise EmulationError("the relay plays a timeline before its first row was planned") from None
                    columns = self._columns = self._ring.columns(latest)
                return columns, t + RETRY_S
        return columns, (step + 1) * self.step_s if t >= 0 else 0.0

    def move(self, t: float) -> None:
        """Switch to the routes that hold at t."""
        if self._ring is None:
            return
        columns, self.stop_s = self.at(t)
        self.slack_s = 0.0 if self._hurried else self._slack(columns)
        if self._static:
            self.table = memoryview(columns.next_end.tobytes()).cast("i")
            self.stop_s = inf
        else:
            self.table = columns.next_end

    def hurry(self) -> None:
        """From now on no lateness is hidden: somebody sets delays by hand."""
        self._hurried, self.slack_s = True, 0.0

    def _leaves_transit(self, end: int, live: NDArray[np.bool_]) -> bool:
        link = self._network.links[end // 2]
        return bool(link.moving or not live[link.b]) if end % 2 else not live[link.a]

    def _slack(self, columns: Columns) -> float:
        """Half of the shortest delay by which a packet leaves a transit node in this row, SLACK_S at most."""
        if self._knotted or not len(self._from_transit):
            return 0.0
        up = np.frombuffer(columns.up, dtype=bool)[self._from_transit]
        shortest_s = SLACK_S * 2
        for column in (columns.delay_start_s, columns.delay_end_s):
            delays_s = np.frombuffer(column)[self._from_transit][up]
            if len(delays_s):
                shortest_s = min(shortest_s, float(delays_s.min()))
        if columns.fine is not None and len(self._fine_from_transit):
            shortest_s = min(shortest_s, fine.shortest_s(columns.fine, self._fine_from_transit))
        return shortest_s / 2

    def source(self, end: int, t: float) -> Held:
        """What holds for a link end at t, who receives, until when both are known, and the hops that leaving costs."""
        known = self._known.get(end)
        if known is not None and known[0] <= t < known[1][2]:
            return known[1]
        link = self._network.links[end // 2]
        knots = self._network.end_spec(end).knots
        sender, far = (link.b, link.a) if end % 2 else (link.a, link.b)
        if self._ring is None or (knots is not None and not link.moving):
            if knots is None:
                raise EmulationError(f"link end {self._network.end_name(end)} has neither knots nor a timeline")
            stretch = segment(knots, t)
            return stretch, far, stretch.stop_s, self._toll(sender)
        columns, until = self.at(t)
        if link.moving:
            far = columns.peer[end]
            if end % 2:
                sender = columns.peer[end - 1]
        if knots is not None:
            stretch = segment(knots, t)
            return stretch, far, min(stretch.stop_s, until), self._toll(sender)
        place = self._fine.get(end)
        finer = None
        if place is not None and columns.fine is not None:
            step = columns.step
            finer = fine.segment(columns.fine, place, step * self.step_s, (step + 1) * self.step_s, max(t, 0.0))
        stretch = finer or segment_of_row(columns, end, self.step_s)
        if t < 0 or t >= stretch.stop_s:  # before play, or the row is late: hold what is known
            delay_s = stretch.delay_start_s if t < 0 else stretch.delay_end_s
            stretch = stretch._replace(start_s=t, stop_s=until, delay_start_s=delay_s, delay_end_s=delay_s)
        return stretch, far, stretch.stop_s if finer else until, self._toll(sender)

    def look_ahead(self, ends: Iterable[int], now: float) -> None:
        """Work out what `source` will say of these ends in the next step, so that the step's first packets need not
        wait while every busy end loads its values at once."""
        if self._ring is None:
            return
        step, held = max(0, self._step(now)) + 1, self._columns
        try:
            self._columns = self._ring.columns(step)
        except LookupError:  # not planned yet; the step will load it
            return
        begin = step * self.step_s
        for end in ends:
            known = self._known.get(end)
            if known is None or known[0] != begin:
                self._known[end] = (begin, self.source(end, begin))
        self._columns = held

    def _toll(self, sender: int) -> int:
        return 0 if sender >= 0 and self._network.nodes[sender].live else 1
