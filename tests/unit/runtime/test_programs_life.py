"""The life of programs without processes: order of starts, readiness, restarts, and what the verdict says of each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.runtime.programs import lifecycle
from emulator.runtime.programs.executions import EVENT_BYTES, KEPT_BYTES, Executions
from emulator.runtime.programs.jobs import Job, Jobs, complaint
from emulator.runtime.programs.lifecycle import Lifecycle, LogSearch
from emulator.runtime.programs.processes import ENDED, RUNNING, Process
from emulator.scenario.schema.program import Program


@dataclass
class FakeProcesses:
    """Processes that run until the test ends them."""

    started: list[Process] = field(default_factory=list)

    async def wait_ready(self, processes: list[Process], timeout_s: float, progress: Callable[[int], None]) -> None:
        pass

    def start(self, process: Process, t0_ns: int) -> None:
        process.state = RUNNING
        self.started.append(process)

    def kill(self, processes: list[Process], signum: int) -> None:
        pass


class FakeJobs:
    def __init__(self, tmp_path: Path, *programs: Program) -> None:
        self.all = [Job("n", program, 0) for program in programs]
        for job in self.all:
            job.to_start = bool(job.program.after)
        self._tmp_path = tmp_path
        self.probes: dict[str, Process] = {}
        for job in self.all:
            if not job.to_start:
                self.spawn(job)

    def __getitem__(self, name: str) -> Job:
        return next(job for job in self.all if job.program.name == name)

    def spawn(self, job: Job) -> Process:
        job.to_start = False
        job.process = Process(0, job.node, job.program.name, self._tmp_path / f"{job.program.name}.txt", state=RUNNING)
        return job.process

    def spawn_probe(self, job: Job) -> Process:
        probe = self.probes[job.program.name] = Process(1, job.node, "probe", self._tmp_path / "probe.txt")
        return probe


class Bench:
    """A lifecycle at scenario time 0."""

    def __init__(self, tmp_path: Path, *programs: Program) -> None:
        self.jobs, self.processes = FakeJobs(tmp_path, *programs), FakeProcesses()
        self.events: list[tuple[str, str]] = []
        self.life = Lifecycle(self.jobs, self.processes, self._emit)  # type: ignore[arg-type]

    def _emit(self, job: Job, kind: str, data: dict[str, Any]) -> None:
        self.events.append((job.program.name, kind))

    def end(self, name: str, status: int) -> None:
        job = self.jobs[name]
        assert job.process is not None
        job.process.status, job.process.state = status, ENDED
        job.statuses.append(status)
        job.unasked = job.unasked or f"n: exited with status {status}"
        self.life.ended(job, job.process)

    def probe_succeeds(self, name: str) -> None:
        self.jobs.probes[name].status = 0
        self.jobs.probes[name].ended.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - a test's own deadline
                await asyncio.sleep(0.001)


def program(name: str, **keys: Any) -> Program:
    return Program.model_validate({"name": name, "nodes": "n", "command": "x", **keys})


def test_a_program_starts_when_those_before_it_are_ready(tmp_path: Path) -> None:
    async def play() -> None:
        bench = Bench(tmp_path, program("db", ready={"tcp": 1}), program("client", after="db"))
        bench.life.begin(0)
        await bench.until(lambda: "db" in bench.jobs.probes)
        assert [process.program for process in bench.processes.started] == ["probe"]
        assert not bench.life.all_ready.is_set()
        bench.probe_succeeds("db")
        await bench.until(lambda: ("client", "program-started") in bench.events)
        assert bench.events == [("db", "program-ready"), ("client", "program-started")]
        assert bench.life.all_ready.is_set()
        bench.life.end()

    asyncio.run(play())


@pytest.mark.parametrize("status", [0, 1])
def test_an_end_before_readiness_is_told_to_those_that_wait(tmp_path: Path, status: int) -> None:
    async def play() -> None:
        chain = [program("db", ready={"tcp": 1}), program("b", after="db"), program("c", after="b")]
        bench = Bench(tmp_path, *chain)
        bench.life.begin(0)
        await bench.until(lambda: "db" in bench.jobs.probes)
        bench.end("db", status)
        await bench.until(lambda: bool(bench.jobs["c"].not_ready))
        assert [bool(complaint(job)) for job in bench.jobs.all] == [True, True, True]
        assert bench.jobs["c"].not_ready == "it was not started: b on n is not ready"
        assert not any(job.to_start for job in bench.jobs.all)
        bench.life.end()

    asyncio.run(play())


def test_a_probe_without_success_ends_at_its_deadline(tmp_path: Path) -> None:
    async def play() -> None:
        bench = Bench(tmp_path, program("db", ready={"tcp": 1}, ready_within="10 ms"))
        bench.jobs["db"].restarts = 2
        (tmp_path / "probe.txt").write_text("refused\nstatus 503\n")
        bench.life.begin(0)
        await bench.until(lambda: bool(bench.jobs["db"].not_ready))
        assert bench.jobs["db"].not_ready == "its probe had no success within 0.01 s and 2 restarts; status 503"
        assert bench.events == [("db", "program-not-ready")]

    asyncio.run(play())


def test_the_tail_of_a_log_has_short_lines(tmp_path: Path) -> None:
    process = Process(0, "n", "p", tmp_path / "p.txt")
    process.log.write_bytes(b"x" * 1_000_000 + b"\nshort\n\xff\n")
    assert process.last_lines() == ["x" * 300 + " …", "short", "\ufffd"]


def test_a_failure_is_followed_by_so_many_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "FIRST_PAUSE_S", 0.0)

    async def play() -> None:
        bench = Bench(tmp_path, program("p", restart=2), program("well", restart=2))
        bench.life.begin(0)
        for number in (1, 2):
            bench.end("p", 1)
            await bench.until(lambda number=number: len(bench.processes.started) == number)
            assert not complaint(bench.jobs["p"])
        bench.end("p", -9)
        bench.end("well", 0)
        assert len(bench.processes.started) == 2
        assert bench.jobs["p"].restarts == 2
        assert complaint(bench.jobs["p"]) == "n: exited with status 1, and again after 2 restarts"
        assert not complaint(bench.jobs["well"])
        bench.life.end()

    asyncio.run(play())


def test_what_an_action_has_started_is_not_started_again(tmp_path: Path) -> None:
    async def play() -> None:
        bench = Bench(tmp_path, program("db", ready={"tcp": 1}), program("client", after="db"))
        bench.life.begin(0)
        await bench.until(lambda: "db" in bench.jobs.probes)
        process = bench.jobs.spawn(bench.jobs["client"])  # as a `restart` action does
        bench.probe_succeeds("db")
        await bench.until(lambda: bench.jobs["client"].ready_s is not None)
        assert bench.jobs["client"].process is process
        bench.life.end()

    asyncio.run(play())


def test_a_crash_takes_back_a_restart_that_was_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "FIRST_PAUSE_S", 0.0)

    async def play() -> None:
        bench = Bench(tmp_path, program("p", restart=2))
        bench.life.begin(0)
        to_start: list[bool] = []
        bench.life.on_change = lambda: to_start.append(bench.jobs["p"].to_start)
        await bench.until(lambda: bench.jobs["p"].ready_s is not None)
        bench.end("p", 1)
        Jobs.crash(bench.jobs, [bench.jobs["p"]])  # type: ignore[arg-type]
        await bench.until(lambda: len(to_start) == 2)
        assert not bench.processes.started
        assert to_start == [False, False]  # ready; then, with nothing to start any more, a run may be over
        bench.life.end()

    asyncio.run(play())


def test_a_fault_of_the_lifecycle_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        bench = Bench(tmp_path, program("p", ready={"tcp": 1}))
        monkeypatch.setattr(bench.jobs, "spawn_probe", lambda job: 1 / 0)
        bench.life.begin(0)
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(bench.life.broken, 10)

    asyncio.run(play())


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 20), st.integers(1, 7))
def test_a_line_is_found_however_it_is_written(
    tmp_path_factory: pytest.TempPathFactory, noise: list[bytes], at: int, piece: int
) -> None:
    lines = [line.replace(b"\n", b"").replace(b"ready", b"") for line in noise]
    path = tmp_path_factory.mktemp("log") / "log.txt"
    search = LogSearch(path, re.compile(r"^server ready$"))
    assert not search.found()
    text = b"".join(line + b"\n" for line in [*lines[:at], b"server ready", *lines[at:]])
    found = []
    for begin in range(0, len(text), max(1, len(text) // piece)):
        with open(path, "ab") as file:
            file.write(text[begin : begin + max(1, len(text) // piece)])
        found.append(search.found())
    assert any(found)


def test_output_of_a_command_is_kept_to_a_bound(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    output = b"x" * (KEPT_BYTES + 10) + b"end"
    processes: list[Process] = []

    def spawn(node: str, index: int, command: Any, fd: int) -> Process:
        import os

        os.write(fd, output)
        processes.append(Process(len(processes), node, "exec", tmp_path / "unused"))
        return processes[-1]

    executions = Executions(tmp_path, spawn, lambda kind, data: events.append(data))
    executions.start("n", 0, ["yes"], "exit 0")
    executions.start("n", 0, ["yes"])
    for process in processes:
        process.status, process.state = 1, ENDED
        executions.ended(process)
    assert [len(event["output"]) for event in events] == [EVENT_BYTES] * 2
    assert events[0]["output"].endswith("end")
    assert b"[13 more bytes of `yes` are not kept]" in (tmp_path / "n.txt").read_bytes()
    (outcome,) = executions.outcomes()
    assert (outcome.figure, outcome.observed, outcome.holds) == ("exec yes", "0 of 1", False)
    assert executions.warnings() == ["exec `yes` on n exited with status 1"]
