"""What holds for the link ends of a network at a time, and the routes, from rows that are all known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, inf

from emulator.model.network import Network, ScheduleRow
from emulator.schedule import substep
from emulator.schedule.piecewise import Segment, segment, segment_of_row
from emulator.schedule.ring import substep_columns


class Schedule:
    """The knots of a network's links, and the rows of its timeline (the first one holds before 0)."""

    def __init__(self, network: Network, rows: Sequence[ScheduleRow] = ()) -> None:
        self.network, self.rows = network, rows
        self.step_s = network.timeline.step_s if network.timeline is not None else inf

    def row(self, t: float) -> ScheduleRow:
        step = floor(t / self.step_s)
        while step * self.step_s > t:
            step -= 1
        while (step + 1) * self.step_s <= t:
            step += 1
        return self.rows[max(0, step)]

    def at(self, end: int, t: float) -> tuple[Segment, int, float, int]:
        """The values of a link end, the node that receives, until when both hold, and the hops that leaving costs."""
        link, knots = self.network.links[end // 2], self.network.end_spec(end).schedule
        sender, far = (link.b, link.a) if end % 2 else (link.a, link.b)
        if not self.rows:
            assert knots is not None
            values = segment(knots, t)
            return values, far, values.stop_s, self._ttl_cost(sender)
        row = self.row(t)
        until_s = (row.step + 1) * self.step_s if t >= 0.0 else 0.0
        if link.moving:
            far = int(row.peer[end])
            sender = int(row.peer[end - 1]) if end % 2 else sender
        ttl_cost = self._ttl_cost(sender)
        if knots is not None:
            values = segment(knots, t)
            return values, far, min(values.stop_s, until_s) if link.moving else values.stop_s, ttl_cost
        values = segment_of_row(row, end, self.step_s)
        place = substep.substep_places(self.network).get(end)
        if place is not None and row.substep is not None and row.substep.count[place]:
            finer = substep.segment(substep_columns(row.substep), place, values.start_s, values.stop_s, max(t, 0.0))
            assert finer is not None
            values, until_s = finer, finer.stop_s if t >= 0.0 else 0.0
        if t < 0.0:  # the values of time 0 hold
            values = values._replace(start_s=t, stop_s=0.0, delay_end_s=values.delay_start_s)
        return values, far, until_s, ttl_cost

    def next_end(self, dest: int, node: int, t: float) -> int:
        """On which end `node` sends a packet for a destination; -1: it has no route."""
        if dest < 0 or not self.rows:
            return -1
        now = self.row(t)
        end = int((self.rows[0] if self.network.routing == "static" else now).next_end[dest, node])
        moved_on = end % 2 and self.network.links[end // 2].moving and now.peer[end - 1] != node
        return -1 if end >= 0 and moved_on else end

    def _ttl_cost(self, sender: int) -> int:
        return 0 if sender >= 0 and self.network.nodes[sender].live else 1
