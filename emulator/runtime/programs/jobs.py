"""The scenario's programs on its nodes: started, crashed, restarted, stopped, and judged at the end.

Invariant: a job is one program on one node; it has at most one process at a time, and its record of ends tells which of
them were asked for.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from emulator.model.clock import monotonic_ns
from emulator.model.errors import EmulationError
from emulator.model.names import matches, matching
from emulator.record.verdict import FailedProgram, Outcome
from emulator.runtime.programs.launch import PROBE, Introduction, Launch
from emulator.runtime.programs.processes import ENDED, Process, Processes

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.scenario import Program, Scenario

READY_TIMEOUT_S = 20.0
FAILED_ROWS = 50
GRACE_S = 3.0  # from SIGTERM to SIGKILL


@dataclass(eq=False)
class Job:
    """One program on one node."""

    node: str
    program: Program
    index: int  # of the node among those of the program
    process: Process | None = None
    probe: Process | None = None  # of its readiness
    unasked: str = ""  # the first end that nobody asked for, in words
    statuses: list[int] = field(default_factory=list)  # of ends that nobody asked for
    crashed: bool = False  # by an action, and not restarted
    to_start: bool = False  # a process will be started: the first, after other programs, or one after a failure
    restarts: int = 0  # after failures
    ready_s: float | None = None  # scenario time at which it was ready
    not_ready: str = ""  # why it will not be

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.state != ENDED

    @property
    def over(self) -> bool:
        """Whether its last process ended, and nobody had asked for it."""
        return self.process is not None and not self.alive and not self.process.asked_to_end


class Jobs:
    """All jobs of a run."""

    def __init__(self, scenario: Scenario, network: Network, processes: Processes) -> None:
        self._processes = processes
        live = hosts_of(network)
        self.all = [
            Job(node, program, index)
            for program in scenario.programs
            for index, node in enumerate(matching(program.nodes, live))
        ]
        for job in self.all:
            job.to_start = bool(job.program.after)
        self._by_process: dict[int, Job] = {}
        self.t0_ns = 0

    def barrier_of(self, process: Process) -> str:
        """Name of the barrier at which a process meets others."""
        job = self._by_process.get(process.number)
        return _barrier(job) if job is not None else ""

    def at_barrier(self, name: str) -> list[Process]:
        """The living processes that share a barrier."""
        return [job.process for job in self.all if job.process is not None and job.alive and _barrier(job) == name]

    @property
    def done(self) -> bool:
        """Whether there were programs, and all have ended for good."""
        return bool(self.all) and not any(job.alive or job.to_start for job in self.all)

    def spawn_all(self) -> list[Process]:
        """A process of every job that waits for no other program."""
        return [self.spawn(job) for job in self.all if not job.to_start]

    def start_all(self, t0_ns: int) -> None:
        """Let everybody play from T0 on."""
        self.t0_ns = t0_ns
        for job in self.all:
            if job.process is not None:
                self._processes.start(job.process, t0_ns)

    def matching(self, nodes: Sequence[str] | None, program: str | None) -> list[Job]:
        """Jobs on nodes that match, of the program of that name; None: any."""
        return [
            job
            for job in self.all
            if (nodes is None or matches(nodes, job.node)) and (program is None or job.program.name == program)
        ]

    def crash(self, jobs: Iterable[Job]) -> None:
        """Kill without a warning; a restart that is due is taken back."""
        for job in jobs:
            job.crashed = True
            job.to_start = job.to_start and job.process is None  # a first start comes all the same
            if job.process is not None and job.alive:
                job.process.asked_to_end = True
                self._processes.kill([job.process], signal.SIGKILL)

    async def restart(self, jobs: Iterable[Job]) -> None:
        """Kill what runs, and start it anew. EmulationError where one does not get ready."""
        jobs = list(jobs)
        self.crash(jobs)
        for job in jobs:
            job.to_start = True  # else a run that ends with its programs would end here
        left = await self._processes.wait_ended([job.process for job in jobs if job.process is not None], GRACE_S)
        if left:
            for job in jobs:
                job.to_start = False
            raise EmulationError(f"{left[0].node}: program {left[0].program} does not die")
        spawned = [self.spawn(job) for job in jobs]
        await self._processes.wait_ready(spawned, READY_TIMEOUT_S, lambda done: None)
        for job, process in zip(jobs, spawned, strict=True):
            job.crashed = False
            self._processes.start(process, self.t0_ns)

    async def stop(self, jobs: Iterable[Job], grace_s: float = GRACE_S) -> list[Job]:
        """Ask to end, then insist; returns those who had to be killed."""
        running = [job for job in jobs if job.alive]
        asked = [job.process for job in running if job.process is not None]
        for process in asked:
            process.asked_to_end = True
        self._processes.kill(asked, signal.SIGTERM)
        left = await self._processes.wait_ended(asked, grace_s)
        self._processes.kill(left, signal.SIGKILL)
        await self._processes.wait_ended(left, 1.0)
        return [job for job in running if job.process in left]

    def ended(self, process: Process, t_s: float) -> Job | None:
        """A process has ended; returns its job where nobody had asked for it."""
        job = self._by_process.get(process.number)
        if job is None or process.asked_to_end or process.status is None:
            return None
        job.statuses.append(process.status)
        said = f": {process.failure}" if process.failure else ""
        job.unasked = job.unasked or f"{job.node}: {process.describe_end()} at {t_s:.1f} s{said}"
        return job

    def outcomes(self) -> list[Outcome]:
        """One expectation a program that has one: whether its processes ended as the scenario expects."""
        outcomes = []
        for name in dict.fromkeys(job.program.name for job in self.all):
            jobs = [job for job in self.all if job.program.name == name]
            expected = jobs[0].program.expect
            if expected == "any":
                continue
            wrong = [why for job in jobs if (why := complaint(job))]
            observed = f"{len(jobs) - len(wrong)} of {len(jobs)}"
            outcomes.append(Outcome(f"program {name}", expected, observed, not wrong, "; ".join(wrong[:3])))
        return outcomes

    def failed(self) -> list[FailedProgram]:
        """Those that did not do as expected, with the last lines that they printed; FAILED_ROWS of them."""
        rows: list[FailedProgram] = []
        for job in self.all:
            why = complaint(job)
            if why and len(rows) < FAILED_ROWS:
                tail = job.process.last_lines() if job.process is not None else []
                rows.append({"node": job.node, "program": job.program.name, "reason": why, "last_lines": tail})
        return rows

    def spawn(self, job: Job) -> Process:
        """A process of the job, which waits for `Processes.start`."""
        program, start_s = job.program, job.program.start_s
        if job.process is not None and self.t0_ns:  # a restart: what was to start in the past starts now
            start_s = max(start_s, (monotonic_ns() - self.t0_ns) * 1e-9)
        log = f"{job.node}.txt" if program.run else f"{job.node}/{program.name}.txt"
        process = self._processes.launch(
            Launch(0, "program", job.node, program.name, program.name, job.index, log, start_s)
        )
        job.process = process
        job.to_start = False
        self._by_process[process.number] = job
        return process

    def spawn_probe(self, job: Job) -> Process:
        """A process that ends once the job's program accepts a connection, answers a request or a command succeeds."""
        name = f"{job.program.name}.ready"
        return self._processes.launch(
            Launch(0, "probe", job.node, name, job.program.name, job.index, f"{job.node}/{name}.txt")
        )


def introduction(scenario: Scenario, network: Network) -> Introduction:
    """What the zygotes of a run know before its programs."""
    live = [network.nodes[number] for number in network.live]
    probes = [PROBE] if any(program.ready is not None for program in scenario.programs) else []
    return Introduction(
        [(node.name, node.role, node.ipv4, node.ipv6) for node in live],
        [program.run for program in scenario.programs if program.run] + probes,
        [scenario.directory],
        {program.name: matching(program.nodes, hosts_of(network)) for program in scenario.programs},
    )


def hosts_of(network: Network) -> list[str]:
    """The live nodes that programs may run on: all but bridges."""
    return [node.name for number in network.live if not (node := network.nodes[number]).bridge]


def _barrier(job: Job) -> str:
    return job.program.barrier or job.program.name


def restarts(job: Job) -> str:
    """How often a job was started again after failures, in words."""
    return "1 restart" if job.restarts == 1 else f"{job.restarts} restarts"


def complaint(job: Job) -> str:
    """Why a job did not do as its program's `expect` says; empty where it did."""
    expected = job.program.expect
    if expected == "any":
        return ""
    if job.not_ready:
        return f"{job.node}: {job.not_ready}"
    if job.program.ready is not None and job.ready_s is None:
        return f"{job.node}: was not ready when the run ended"
    if job.to_start:
        return f"{job.node}: was not started before the run ended"
    if expected == "well":
        again = f", and again after {restarts(job)}" if job.restarts else ""
        return job.unasked + again if job.over and job.statuses[-1] != 0 else ""
    if expected == "running" and job.program.restart:
        return job.unasked if job.over else ""
    if expected == "running":
        return job.unasked
    status = int(expected.removeprefix("exit "))
    if not job.statuses:
        return "" if job.crashed else f"{job.node}: was still running at the end"
    return "" if job.statuses[-1] == status else job.unasked
