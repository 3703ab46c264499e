"""The run loop: everything that the supervisor does from T0 to the end of the scenario, or to an earlier end.

Invariant: no packet waits for the tasks here. Each runs on scenario time, so a busy moment delays the bookkeeping of a
step but never shifts the schedule.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import floor
from typing import TYPE_CHECKING, Any

from emulator.model.clock import MonotonicClock, set_timer_slack, sleep_until_ns
from emulator.model.errors import SkyloomError
from emulator.runtime.control.launcher_link import SNAPSHOT_S

if TYPE_CHECKING:
    from emulator.observe.snapshot import Snapshot
    from emulator.observe.view import View
    from emulator.runtime.actions.runner import ActionRunner
    from emulator.runtime.control.launcher_link import LauncherLink
    from emulator.runtime.plane import Plane
    from emulator.runtime.programs.jobs import Jobs
    from emulator.runtime.programs.lifecycle import Lifecycle
    from emulator.runtime.programs.processes import Processes
    from emulator.runtime.supervisor.collector import Collector
    from emulator.runtime.supervisor.schedule_steps import ScheduleSteps
    from emulator.scenario import Scenario

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
    """The playing stage of a run that has begun; `clock` is its scenario time.

    `ends`: what ends play before the scenario's end. `look` gives a snapshot for a view.
    """

    def __init__(
        self,
        clock: MonotonicClock,
        scenario: Scenario,
        *,
        data_plane: Plane,
        steps: ScheduleSteps,
        processes: Processes,
        jobs: Jobs,
        lifecycle: Lifecycle,
        action_runner: ActionRunner,
        collector: Collector,
        launcher: LauncherLink,
        look: Callable[[View], Snapshot],
        ends: Sequence[asyncio.Event],
    ) -> None:
        self._clock, self._scenario = clock, scenario
        self._data_plane, self._steps = data_plane, steps
        self._processes, self._jobs = processes, jobs
        self._lifecycle, self._action_runner = lifecycle, action_runner
        self._collector, self._launcher = collector, launcher
        self._look = look
        self._ends = ends
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def until_end(self) -> None:
        """Return at the scenario's end or when somebody asks to stop; EmulationError where the machinery breaks."""
        set_timer_slack()
        _become_urgent()
        self._data_plane.attach(self._break)
        tasks = [
            asyncio.ensure_future(task)
            for task in (
                self._steps.follow(),
                self._snapshots(),
                self._flushes(),
                self._program_stops(),
                self._zygote(),
                self._action_runner.follow(self._scenario, self._clock),
                self._action_runner.follow_ready(self._scenario, self._clock, self._lifecycle.all_ready),
            )
        ]
        self._lifecycle.begin(self._clock.t0_ns)
        ends = [
            asyncio.ensure_future(sleep_until_ns(self._clock.monotonic_ns(self._scenario.duration_s))),
            *(asyncio.ensure_future(event.wait()) for event in self._ends),
        ]
        try:
            await self._first_of([*tasks, self._lifecycle.broken], ends)
        finally:
            self._lifecycle.end()
            for task in (*tasks, *ends):
                task.cancel()
            await asyncio.gather(*tasks, *ends, return_exceptions=True)
            self._data_plane.detach()

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

    def _break(self, why: SkyloomError) -> None:
        if not self._broken.done():
            self._broken.set_exception(why)

    async def _zygote(self) -> None:
        await self._processes.lost.wait()
        self._break(self._processes.why_lost)

    async def _snapshots(self) -> None:
        number = 0
        while True:
            self._launcher.show(self._look(self._launcher.view))
            number = next_tick(number, self._clock.now(), SNAPSHOT_S)
            await sleep_until_ns(self._clock.monotonic_ns(number * SNAPSHOT_S))

    async def _flushes(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self._collector.flush()

    async def _program_stops(self) -> None:
        """Programs that the scenario ends before the run does."""
        stops = sorted({program.stop_s for program in self._scenario.programs if program.stop_s is not None})
        for stop_s in stops:
            await sleep_until_ns(self._clock.monotonic_ns(stop_s))
            await self._jobs.stop([job for job in self._jobs.all if job.program.stop_s == stop_s])
