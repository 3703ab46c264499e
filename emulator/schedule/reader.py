"""Reads the schedule: the values of a link end at a time, its far node, the row in force, planned handovers.

All Python code reads the schedule here; only the packet engine reads the ring by itself (`schedule.c`).

Invariant: a result is made of one whole row. The planner overwrites rows while others read them, so a row is checked
again after it was read, and values of a row that has been overwritten meanwhile are discarded.

The row in force at t is that of the step with step·step_s <= t < (step + 1)·step_s; before play (t < 0), that of time
0. An end with its own schedule follows that; any other end follows its substep table in the row or, without one, the
row itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from math import floor, inf, isfinite
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from emulator.schedule import piecewise, substep
from emulator.schedule.piecewise import Segment
from emulator.schedule.ring import substep_columns
from emulator.schedule.routes import delay_along, path

if TYPE_CHECKING:
    from emulator.model.network import Handover, Network, PiecewiseSchedule, ScheduleRow, SubstepTables
    from emulator.schedule.ring import SubstepColumns

T = TypeVar("T")


class RowSource(Protocol):
    """Rows by step, as far as available: the ring of a live run, or the recomputed rows of a finished one.

    LookupError: the row is not available.
    """

    @property
    def latest(self) -> int: ...  # step of the newest row, -1: none
    @property
    def bytes_per_row(self) -> float: ...  # of the source's own memory
    def row(self, step: int) -> ScheduleRow: ...
    def copied(self, step: int) -> ScheduleRow: ...  # in memory that is not overwritten
    def holds(self, step: int) -> bool: ...  # whether values read from `row(step)` are of that row


class EndValues(NamedTuple):
    """The values of a link end at an instant. `peer`: the node that receives, -1 for none."""

    delay_s: float
    rate_bps: float
    loss: float
    up: bool
    peer: int


def step_at(t_s: float, step_s: float) -> int:
    """The step that is in force at an instant: step·step_s <= t_s < (step + 1)·step_s, 0 before play."""
    step = floor(t_s / step_s)
    if step * step_s > t_s:  # the quotient is rounded
        step -= 1
    elif (step + 1) * step_s <= t_s:
        step += 1
    return max(0, step)


class ScheduleReader:
    """The schedule of one network, as far as there are rows. `rows` None: all ends have their own schedules.

    Times are scenario seconds, finite. No method raises for a row that is not available.
    """

    def __init__(self, network: Network, rows: RowSource | None) -> None:
        self._network = network
        self._rows = rows
        self.step_s = network.timeline.step_s if network.timeline is not None else 1.0
        self._substep_place = substep.substep_places(network)
        self._flat: tuple[SubstepTables | None, SubstepColumns | None] = None, None  # of the row read last
        self._outages: dict[int, PiecewiseSchedule] = {}  # by end

    # -- rows ----------------------------------------------------------------------------------------------------------

    @property
    def latest(self) -> int:
        """Step of the newest row; -1: there is none."""
        return self._rows.latest if self._rows is not None else -1

    def step_at(self, t_s: float) -> int:
        """The step that is in force at an instant; see the function of this name."""
        return step_at(t_s, self.step_s)

    def read(self, step: int, take: Callable[[ScheduleRow], T]) -> T | None:
        """What `take` makes of the row of `step`; None: the row is not there, or was overwritten meanwhile.

        The arrays of the row are views: what `take` returns must hold none of them.
        """
        if self._rows is None:
            return None
        try:
            row = self._rows.row(step)
        except LookupError:
            return None
        found = take(row)
        return found if self._rows.holds(step) else None

    def read_at(self, t_s: float, take: Callable[[ScheduleRow], T]) -> T | None:
        """The same for the row in force at an instant; if that is not available, for the newest."""
        found = self.read(self.step_at(t_s), take)
        return found if found is not None else self.read(self.latest, take)

    # -- a link end ----------------------------------------------------------------------------------------------------

    def segment(self, end: int, t_s: float) -> Segment | None:
        """The values of a link end from start_s <= t_s to stop_s > t_s; None: the row in force is not available."""
        if t_s < 0.0:  # as at 0
            now = self.segment(end, 0.0)
            if now is None:
                return None
            delay_s = now.delay_s(0.0)
            return now._replace(start_s=t_s, stop_s=0.0, delay_start_s=delay_s, delay_end_s=delay_s)
        if self._knots(end) is not None:
            return self._segment(None, end, t_s)
        return self.read(self.step_at(t_s), lambda row: self._segment(row, end, t_s))

    def values(self, end: int, t_s: float) -> EndValues | None:
        """The values of a link end at an instant, and its far node; None: there is no schedule for it.

        If the row in force is not available, the newest row counts, with its values nearest to the instant.
        """
        at_s, has_knots = max(0.0, t_s), self._knots(end) is not None
        if has_knots and not self._network.links[end // 2].moving:
            return self._values(None, end, at_s)
        found = self.read_at(at_s, lambda row: self._values(row, end, at_s))
        return self._values(None, end, at_s) if found is None and has_knots else found

    def up(self, end: int, t_s: float) -> tuple[bool, float]:
        """Whether an end with its own schedule is up, and until when. ValueError if it has none."""
        table = self._outages.get(end)
        if table is None:
            knots = self._knots(end)
            if knots is None:
                raise ValueError(f"link end {self._network.end_name(end)} has no schedule of its own")
            table = self._outages[end] = piecewise.outages(knots)
        held = piecewise.segment(table, t_s)
        return held.up, held.stop_s

    def far_node(self, end: int, t_s: float) -> int:
        """The far node of a link end, -1 for none; of a moving link without rows the first one."""
        if not self._network.links[end // 2].moving:
            return self._far(None, end)
        found = self.read_at(t_s, lambda row: self._far(row, end))
        return self._far(None, end) if found is None else found

    def _segment(self, row: ScheduleRow | None, end: int, t_s: float) -> Segment:
        """The values of an end at t_s: from its knots, from the row's substep table for it, or from the row itself."""
        knots = self._knots(end)
        if knots is not None:
            return piecewise.segment(knots, t_s)
        assert row is not None
        place, finer = self._substep_place.get(end), None
        if place is not None and row.substep is not None:
            if self._flat[0] is not row.substep:
                self._flat = row.substep, substep_columns(row.substep)
            begin_s, end_s = row.step * self.step_s, (row.step + 1) * self.step_s
            assert self._flat[1] is not None
            finer = substep.segment(self._flat[1], place, begin_s, end_s, t_s)
        return finer or piecewise.segment_of_row(row, end, self.step_s)

    def _values(self, row: ScheduleRow | None, end: int, t_s: float) -> EndValues:
        held, far = self._segment(row, end, t_s), self._far(row, end)
        inside_s = min(max(t_s, held.start_s), held.stop_s)  # in another row than the one in force: the nearest
        up = held.up and far >= 0
        return EndValues(held.delay_s(inside_s), held.rate_bps, held.loss, up, far if held.up else -1)

    def _far(self, row: ScheduleRow | None, end: int) -> int:
        link = self._network.links[end // 2]
        if row is not None and link.moving:
            return int(row.peer[end])
        return link.a if end % 2 else link.b

    def _knots(self, end: int) -> PiecewiseSchedule | None:
        return self._network.end_spec(end).schedule

    # -- routes --------------------------------------------------------------------------------------------------------

    def path(self, row: ScheduleRow, source: str, target: str) -> list[int] | None:
        """Link ends from one live node to another along a row's routes; None without a route, or for an unknown node.

        Empty if both are the same node.
        """
        if source not in self._live_place or target not in self._live_place:
            return None
        goal, start = self._number[target], self._number[source]
        ends = path(row.next_end, row.peer, self._live_place[target], goal, start)
        return ends if ends or goal == start else None

    def path_delay_s(self, source: str, target: str, t_s: float) -> float | None:
        """Propagation delay from one live node to another along the routes in force, at that instant.

        None without a route, for an unknown node, or if the row in force is not available.
        """

        def delay_s(row: ScheduleRow) -> float:
            ends = self.path(row, source, target)
            share = min(1.0, max(0.0, t_s / self.step_s - row.step))
            return delay_along(row, ends, share) if ends is not None else inf

        found = self.read(self.step_at(t_s), delay_s)
        return found if found is not None and isfinite(found) else None

    @cached_property
    def _number(self) -> dict[str, int]:
        return {node.name: number for number, node in enumerate(self._network.nodes)}

    @cached_property
    def _live_place(self) -> dict[str, int]:
        """Destination of the routes by name: the place among the live nodes."""
        return {self._network.nodes[number].name: place for place, number in enumerate(self._network.live)}

    # -- moving links --------------------------------------------------------------------------------------------------

    def handovers(self, step: int) -> tuple[Handover, ...]:
        """Moving links that change their far end as `step` begins; none if its row is not available."""
        return self.read(step, lambda row: row.handovers) or ()

    def planned(self, step: int) -> list[Handover]:
        """Handovers after `step`, as far as rows are planned, by time."""
        return [handover for later in range(step + 1, self.latest + 1) for handover in self.handovers(later)]

    def serving(self, step: int, links: Sequence[int]) -> list[int] | None:
        """The far node of each of these links during a step; None: its row is not available."""
        return self.read(step, lambda row: [self._far(row, 2 * link) for link in links])


class RecentRows:
    """A `RowSource` with copies of the last `count` rows of another one, for reads of the past."""

    def __init__(self, rows: RowSource, count: int) -> None:
        self._source = rows
        self._count = count
        self._kept: OrderedDict[int, ScheduleRow] = OrderedDict()

    @property
    def latest(self) -> int:
        return self._source.latest

    @property
    def bytes_per_row(self) -> float:
        return self._source.bytes_per_row

    def keep(self, step: int) -> None:
        """Copy the row of `step`, before the source overwrites it, if it is available."""
        if not self._count:
            return
        try:
            self._kept[step] = self._source.copied(step)
        except LookupError:
            return
        while len(self._kept) > self._count:
            self._kept.popitem(last=False)

    @property
    def oldest(self) -> int:
        """The oldest kept step; -1: none."""
        return next(iter(self._kept), -1)

    def row(self, step: int) -> ScheduleRow:
        kept = self._kept.get(step)
        return kept if kept is not None else self._source.row(step)

    def copied(self, step: int) -> ScheduleRow:
        kept = self._kept.get(step)
        return kept if kept is not None else self._source.copied(step)

    def holds(self, step: int) -> bool:
        return step in self._kept or self._source.holds(step)
