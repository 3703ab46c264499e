"""The state of programs (running, ended or failed) at any instant of a finished run, from its events.

Invariant: each job is a `JobState` (see `emulator.observe.snapshot_builder`) without a process.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emulator.model.names import matches
from emulator.model.verbs import VERBS
from emulator.record.load import OWN

if TYPE_CHECKING:
    import polars as pl

    from emulator.model.network import Network
    from emulator.scenario import Program, Scenario


@dataclass(slots=True)
class PastJob:
    """One program on one node."""

    node: str
    program: Program
    process: None = None
    alive: bool = True
    unasked: str = ""
    statuses: list[int] = field(default_factory=list)


class PastJobs:
    """All jobs of a run; `at` sets them to an instant."""

    def __init__(self, scenario: Scenario, network: Network, events: pl.DataFrame) -> None:
        import polars as pl

        live = [network.nodes[number] for number in network.live]
        self.all = [
            PastJob(node.name, program)
            for program in scenario.programs
            for node in live
            if not node.bridge and matches(program.nodes, node.name)
        ]
        self._by_name: dict[tuple[str, str], list[PastJob]] = defaultdict(list)
        for job in self.all:
            self._by_name[job.node, job.program.name].append(job)
        changed, acted = pl.col("kind").is_in(["program-started", "program-ended"]), pl.col("kind") == "action"
        job_events = events.filter(changed | (acted & pl.col("program").is_in(OWN)))
        self._job_events = [
            (t_s, node, program, kind, json.loads(data))
            for t_s, node, program, kind, data in job_events.select(
                "t_s", "node", "program", "kind", "data"
            ).iter_rows()
        ]

    def at(self, t_s: float) -> None:
        """Set the jobs to their state at `t_s`."""
        for job in self.all:
            job.alive, job.unasked, job.statuses = not job.program.after, "", []
        for event_s, node, program, kind, data in self._job_events:
            if event_s > t_s:
                break
            if kind == "program-ended":
                for job in self._by_name.get((node, program), ()):
                    job.alive = False
                    job.statuses.append(data.get("status") or 0)
                    job.unasked = job.unasked or str(data.get("text", "ended"))
            elif kind == "program-started":
                for job in self._by_name.get((node, program), ()):
                    job.alive = True
            else:
                self._acted(data)

    def _acted(self, action: dict[str, Any]) -> None:
        verb = VERBS.get(str(action.get("do")))
        if verb is not None and verb.programs_run is not None:
            for job in self._meant(action):
                job.alive = verb.programs_run

    def _meant(self, action: dict[str, Any]) -> list[PastJob]:
        globs, program = action.get("nodes"), action.get("program")
        return [
            job
            for job in self.all
            if (globs is None or matches(globs, job.node)) and (program is None or job.program.name == program)
        ]


class NoProcess:
    """A placeholder for a process that existed."""

    pid = 0


class PastProcesses:
    """The processes of a finished run at the instant of its jobs."""

    def __init__(self, jobs: PastJobs) -> None:
        self._jobs = jobs

    def alive(self) -> list[NoProcess]:
        return [NoProcess() for job in self._jobs.all if job.alive]
