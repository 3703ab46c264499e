"""Play: from T0 to the end of the scenario, or to the first thing that ends it earlier.

Invariant: the tasks here only watch and tell; no packet waits for them. Each runs on scenario time, so a busy moment
delays a step's bookkeeping but never shifts the schedule.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from math import floor
from typing import TYPE_CHECKING, Any

from emulator.model.clock import MonotonicClock, set_timer_slack, sleep_until_ns
from emulator.model.errors import EmulationError
from emulator.runtime.control.launcher_link import SNAPSHOT_S

if TYPE_CHECKING:
    from emulator.model.network import Handover
    from emulator.runtime.programs.child import Child
    from emulator.runtime.running import Begun, Running

FLUSH_S = 1.0
NICE = -5


def next_tick(number: int, now_s: float, period_s: float) -> int:
    """The tick to wait for after tick `number`: those that have passed meanwhile are skipped, not made good."""
    return max(number, floor(now_s / period_s)) + 1


def _become_urgent() -> None:
    """A nice value between the relay's and the nodes', so that a run on a busy machine still ends on time.

    The processes of this run are forked by the zygote and the capture writer before play: nobody inherits it.
    """
    with suppress(OSError):  # not allowed: as urgent as the nodes
        os.setpriority(os.PRIO_PROCESS, 0, NICE)


class RunLoop:
    """The playing stage of a run that has begun."""

    def __init__(self, running: Running, begun: Begun) -> None:
        self._running = running
        self._clock = MonotonicClock(begun.t0_ns)
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def until_end(self) -> None:
        """Return at the scenario's end or when somebody asks to stop; EmulationError where the machinery breaks."""
        running, data_plane = self._running, self._running.data_plane
        loop = asyncio.get_running_loop()
        set_timer_slack()
        _become_urgent()
        watched = [child for child in (data_plane.relay, data_plane.planner) if child is not None]
        assert data_plane.relay_channel is not None
        loop.add_reader(data_plane.relay_channel.fileno(), running.hear_relay)
        for child in watched:
            loop.add_reader(child.fileno(), self._child_ended, child)
        if data_plane.planner_channel is not None:
            loop.add_reader(data_plane.planner_channel.fileno(), self._hear_planner)
        tasks = [
            asyncio.ensure_future(task)
            for task in (
                self._steps(),
                self._snapshots(),
                self._flushes(),
                self._program_stops(),
                self._zygote(),
                running.action_runner.follow(running.scenario, self._clock),
            )
        ]
        ends = [
            asyncio.ensure_future(sleep_until_ns(self._clock.monotonic_ns(running.scenario.duration_s))),
            asyncio.ensure_future(running.stop_asked.wait()),
            asyncio.ensure_future(running.requests.halted.wait()),
        ]
        if running.scenario.ends == "programs":
            ends.append(asyncio.ensure_future(running.programs_ended.wait()))
        try:
            await self._first_of(tasks, ends)
        finally:
            for task in (*tasks, *ends):
                task.cancel()
            await asyncio.gather(*tasks, *ends, return_exceptions=True)
            for child in watched:
                if child.status is None:
                    loop.remove_reader(child.fileno())
            if data_plane.planner_channel is not None:
                loop.remove_reader(data_plane.planner_channel.fileno())

    async def _first_of(self, tasks: Sequence[asyncio.Future[None]], ends: Sequence[asyncio.Future[Any]]) -> None:
        """Wait for one of `ends`, or for something to break."""
        waiting: set[asyncio.Future[Any]] = set(tasks)
        while True:
            done, _ = await asyncio.wait([*waiting, *ends, self._broken], return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
            if self._broken in done or not done.isdisjoint(ends):
                return
            waiting.difference_update(done)

    def _break(self, why: str) -> None:
        if not self._broken.done():
            self._broken.set_exception(EmulationError(why))

    def _child_ended(self, child: Child) -> None:
        asyncio.get_running_loop().remove_reader(child.fileno())
        child.wait(0.0)
        if child.name == "planner":
            try:
                self._running.data_plane.check_planner()
            except EmulationError as error:
                self._break(str(error))
        else:
            self._break(f"{child.describe_end()}; see logs/_skyloom.txt")

    def _hear_planner(self) -> None:
        data_plane = self._running.data_plane
        if not data_plane.hear_planner():
            assert data_plane.planner_channel is not None
            asyncio.get_running_loop().remove_reader(data_plane.planner_channel.fileno())

    async def _zygote(self) -> None:
        await self._running.processes.lost.wait()
        self._break("the process that starts node programs (the zygote) has died; see logs/_skyloom.txt")

    async def _steps(self) -> None:
        """What happens as each step begins: handovers told, kernel routes switched, partitions read anew."""
        running, data_plane = self._running, self._running.data_plane
        if data_plane.ring is None:
            return
        for step in range(data_plane.steps):
            await sleep_until_ns(self._clock.monotonic_ns(step * data_plane.step_s))
            for _ in data_plane.switch_routes(step):
                await asyncio.sleep(0)
            asked = running.collector.metrics.asked
            if asked is not None:
                asked.remember(step)
                asked.altered(running.action_runner.faults.altered)
            handovers = running.schedule.handovers(step)  # of a late row none; the planner counts it
            for handover in handovers:
                self._tell(handover)
            if handovers:
                running.action_runner.faults.moved()

    def _tell(self, handover: Handover) -> None:
        network, collector = self._running.network, self._running.collector
        link = network.links[handover.link]
        names = [network.nodes[number].name if number >= 0 else "" for number in (handover.before, handover.after)]
        self._running.schedule_view.handed_over(handover)
        data = {"link": link.name, "before": names[0], "after": names[1]}
        collector.event(handover.t_s, network.nodes[link.a].name, "", "handover", data)
        self._running.snapshot_builder.handed_over(
            {"t_s": handover.t_s, "link": link.name, "before": names[0], "after": names[1]}
        )

    async def _snapshots(self) -> None:
        running = self._running
        number = 0
        while True:
            running.launcher.show(running.look(running.launcher.view))
            number = next_tick(number, self._clock.now(), SNAPSHOT_S)
            await sleep_until_ns(self._clock.monotonic_ns(number * SNAPSHOT_S))

    async def _flushes(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self._running.collector.flush()

    async def _program_stops(self) -> None:
        """Programs that the scenario ends before the run does."""
        running = self._running
        stops = sorted({program.stop_s for program in running.scenario.programs if program.stop_s is not None})
        for stop_s in stops:
            await sleep_until_ns(self._clock.monotonic_ns(stop_s))
            await running.jobs.stop([job for job in running.jobs.all if job.program.stop_s == stop_s])
