"""What the supervisor does as each step of the schedule begins: kernel routes switched, handovers told, partitions read
anew.

Invariant: no packet waits for this; the packet engine reads the schedule itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.model.clock import MonotonicClock, sleep_until_ns

if TYPE_CHECKING:
    from emulator.link.overrides import Faults
    from emulator.model.network import Handover, Network
    from emulator.observe.schedule_view import ScheduleView
    from emulator.observe.snapshot_builder import SnapshotBuilder
    from emulator.runtime.plane import Plane
    from emulator.runtime.supervisor.collector import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSteps:
    """The steps of a run that has begun; `clock` is its scenario time."""

    clock: MonotonicClock
    network: Network
    data_plane: Plane
    schedule_view: ScheduleView
    faults: Faults
    collector: Collector
    snapshot_builder: SnapshotBuilder

    async def follow(self) -> None:
        """What happens as each step begins: handovers told, kernel routes switched, partitions read anew."""
        data_plane, faults = self.data_plane, self.faults
        if data_plane.ring is None:
            return
        for step in range(data_plane.steps):
            await sleep_until_ns(self.clock.monotonic_ns(step * data_plane.step_s))
            for _ in data_plane.switch_routes(step):
                await asyncio.sleep(0)
            expected_rtt = self.collector.metrics.expected_rtt
            if expected_rtt is not None:
                expected_rtt.remember(step)
                expected_rtt.altered(faults.altered)
            handovers = self.schedule_view.schedule.handovers(step)  # of a late row none; the planner counts it
            for handover in handovers:
                self._tell(handover)
            if handovers:
                faults.moved()

    def _tell(self, handover: Handover) -> None:
        network, collector = self.network, self.collector
        link = network.links[handover.link]
        names = [network.nodes[number].name if number >= 0 else "" for number in (handover.before, handover.after)]
        self.schedule_view.handed_over(handover)
        data = {"link": link.name, "before": names[0], "after": names[1]}
        collector.event(handover.t_s, network.nodes[link.a].name, "", "handover", data)
        self.snapshot_builder.handed_over(
            {"t_s": handover.t_s, "link": link.name, "before": names[0], "after": names[1]}
        )
