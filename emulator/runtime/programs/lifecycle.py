"""The life of the scenario's programs in play: started in order, probed until they are ready, restarted when they fail.

    waits for `after` ─▶ started ─▶ ready (its probe, or at once) ─▶ ended ─▶ started again, up to `restart` times

Invariant: every job comes to exactly one of "ready" and "not ready, because"; whoever waits for it then goes on or
gives up, so that no wait outlives the deadline of what it waits for.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from emulator.model.clock import MonotonicClock, sleep_until_ns
from emulator.model.errors import EmulationError
from emulator.record.log_tail import LogTail
from emulator.runtime.programs.jobs import READY_TIMEOUT_S, Job, Jobs, restarts
from emulator.runtime.programs.processes import Process, Processes

LOG_PERIOD_S = 0.1
LOG_BYTES = 1 << 20  # of a log that are searched in one turn: 10 MB/s
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0  # before a restart: doubled each time

Emit = Callable[[Job, str, dict[str, Any]], None]


class Lifecycle:
    """The lives of all jobs of one run. `emit` records an event of a job."""

    def __init__(self, jobs: Jobs, processes: Processes, emit: Emit) -> None:
        self._jobs = jobs
        self._processes = processes
        self._emit = emit
        self._tasks: set[asyncio.Task[None]] = set()
        self._settled = {job: asyncio.Event() for job in jobs.all}  # ready, or known not to become so
        self.on_change: Callable[[], None] = lambda: None  # a job is settled, or will not be started again
        self.all_ready = asyncio.Event()
        self._clock = MonotonicClock(0)
        self.broken: asyncio.Future[None]  # from `begin` on; its exception is a fault of this module

    def begin(self, t0_ns: int) -> None:
        """Follow every job from T0 on."""
        self._clock = MonotonicClock(t0_ns)
        self.broken = asyncio.get_running_loop().create_future()
        self._note_ready()
        for job in self._jobs.all:
            self._spawn_task(self._live(job))

    def end(self) -> None:
        """Stop following: the run asks all programs to end now."""
        for task in self._tasks:
            task.cancel()

    def ended(self, job: Job, process: Process) -> None:
        """A process of the job has ended, and nobody had asked for it."""
        if process.status and job.restarts < job.program.restart:
            job.restarts += 1
            job.to_start = True
            self._spawn_task(self._restart(job))
        elif job.program.ready is not None and not job.to_start:
            self._settle(job, f"it {process.describe_end()} before it was ready")

    # -- one job -------------------------------------------------------------------------------------------------------

    async def _live(self, job: Job) -> None:
        program = job.program
        if program.after:
            missing = await self._predecessors(job)
            if missing:
                job.to_start = False
                self._settle(job, f"it was not started: {missing}")
                return
            await sleep_until_ns(self._clock.monotonic_ns(program.start_s))
            if not await self._start(job):
                return
        await sleep_until_ns(self._clock.monotonic_ns(program.start_s))
        if program.ready is None:
            self._settle(job, "")
            return
        started_s = self._clock.now()
        try:
            async with asyncio.timeout(program.ready_within_s):
                await self._until_ready(job)
        except TimeoutError:
            said = job.probe.last_lines()[-1:] if job.probe is not None else []
            why = f"{f' and {restarts(job)}' if job.restarts else ''}{f'; {said[0]}' if said else ''}"
            self._settle(job, f"its probe had no success within {program.ready_within_s:g} s{why}")
            return
        self._settle(job, "", self._clock.now() - started_s)

    async def _predecessors(self, job: Job) -> str:
        """Wait until the programs named in `after` are ready everywhere; returns why that will not be."""
        for other in self._jobs.all:
            if other.program.name in job.program.after:
                await self._settled[other].wait()
                if other.not_ready:
                    return f"{other.program.name} on {other.node} is not ready"
        return ""

    async def _start(self, job: Job) -> bool:
        """Spawn and start a process of the job now; False where it did not get that far."""
        if job.alive:  # an action has started it meanwhile
            return True
        process = self._jobs.spawn(job)
        within_s = max(READY_TIMEOUT_S, job.program.ready_within_s)  # hundreds that start together wait for cores
        try:
            await self._processes.wait_ready([process], within_s, lambda done: None)
        except EmulationError as error:
            if not job.to_start:
                self._settle(job, str(error))
            return False
        self._processes.start(process, self._clock.t0_ns)
        self._emit(job, "program-started", {"restart": job.restarts})
        return True

    async def _restart(self, job: Job) -> None:
        await asyncio.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (job.restarts - 1)))
        if job.crashed:  # meanwhile, by an action, which may be about to start it
            self.on_change()
        else:
            await self._start(job)

    async def _until_ready(self, job: Job) -> None:
        """Return at the first success of the job's probe, or when the job is settled otherwise."""
        ready = job.program.ready
        assert ready is not None
        settled = asyncio.ensure_future(self._settled[job].wait())
        attempt = asyncio.ensure_future(self._log_line(job) if ready.log is not None else self._probe(job))
        try:
            done, _ = await asyncio.wait([settled, attempt], return_when=asyncio.FIRST_COMPLETED)
            if attempt in done:
                attempt.result()
        finally:
            for task in (settled, attempt):
                task.cancel()
            await asyncio.gather(settled, attempt, return_exceptions=True)

    async def _probe(self, job: Job) -> None:
        """Run a probe on the job's node until it succeeds."""
        process = job.probe = self._jobs.spawn_probe(job)
        try:
            await self._processes.wait_ready([process], READY_TIMEOUT_S, lambda done: None)
            self._processes.start(process, self._clock.t0_ns)
            await process.ended.wait()
        except EmulationError:
            await asyncio.get_running_loop().create_future()  # no probe, no success: the deadline decides
        finally:
            process.asked_to_end = True
            self._processes.kill([process], signal.SIGKILL)
        if process.status != 0:
            await asyncio.get_running_loop().create_future()

    async def _log_line(self, job: Job) -> None:
        """Wait until a line of the job's log holds the expression."""
        ready = job.program.ready
        assert ready is not None
        assert job.process is not None
        lines = LogSearch(job.process.log, re.compile(ready.log or ""))
        while not lines.found():  # noqa: ASYNC110 - a file that another process writes
            await asyncio.sleep(LOG_PERIOD_S)

    # -- readiness -----------------------------------------------------------------------------------------------------

    def _settle(self, job: Job, not_ready: str, after_s: float = 0.0) -> None:
        """Note once whether the job became ready ("" for why not)."""
        settled = self._settled[job]
        if settled.is_set():
            return
        job.not_ready = not_ready
        if not not_ready:
            job.ready_s = self._clock.now()
        settled.set()
        if not_ready:
            self._emit(job, "program-not-ready", {"text": not_ready})
        elif job.program.ready is not None:
            self._emit(job, "program-ready", {"after_s": round(after_s, 6)})
        self._note_ready()
        self.on_change()

    def _note_ready(self) -> None:
        probed = [job for job in self._jobs.all if job.program.ready is not None]
        if all(job.ready_s is not None for job in probed):
            self.all_ready.set()

    def _spawn_task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self.broken.done():
            self.broken.set_exception(error)


class LogSearch:
    """A search for an expression in the lines of a log that grows."""

    def __init__(self, path: Path, expression: re.Pattern[str]) -> None:
        self._tail, self._expression = LogTail(path), expression

    def found(self) -> bool:
        """Whether a line that was written since the last call holds it; reads at most LOG_BYTES."""
        try:
            lines = self._tail.read(LOG_BYTES)
        except OSError:  # not there yet
            return False
        return any(self._expression.search(line.decode("utf-8", "replace")) for line in [*lines, self._tail.rest])
