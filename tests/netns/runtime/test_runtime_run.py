"""Whole runs of two hosts and one link, by the command line: programs, faults, other terminals, every way to end."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from host_topology import host_topology
from skyloom_command import SKYLOOM, skyloom

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]

TOPOLOGY = host_topology("ab")
PROGRAMS = """
import asyncio, os, time
from emulator.sdk.node import Node

class Quiet(Node):
    async def run(self):
        self.context.emit("hello", peers=list(self.context.peers), members=list(self.context.members))
        await self.context.stopping.wait()

class BadSetup(Node):
    async def setup(self):
        raise ValueError("no such thing as a free port")

class BadRun(Node):
    async def run(self):
        await self.context.sleep(0.2)
        raise RuntimeError("lost my way")

class Leaves(Node):
    async def setup(self):
        os._exit(3)

class Done(Node):
    async def run(self):
        await self.context.sleep(0.1)

class Deaf(Node):
    async def run(self):
        self.context.emit("deaf")
        await asyncio.sleep(0.1)
        time.sleep(60)
"""


class Started:
    """A run as a child process."""

    def __init__(self, folder: Path, body: str, duration: str = "1 s") -> None:
        (folder / "topo.py").write_text(TOPOLOGY)
        (folder / "programs.py").write_text(PROGRAMS)
        (folder / "small.toml").write_text(f'name = "small"\ntopology = "topo.py"\nduration = "{duration}"\n{body}')
        self.runs = folder / "runs"
        self.lines: list[str] = []
        command = [*SKYLOOM, "run", str(folder / "small.toml"), "--no-tui", "--runs"]
        self.process = subprocess.Popen(
            [*command, str(self.runs)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def wait_for(self, word: str) -> None:
        """Until a line with this word was printed."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if word in line:
                return
        raise AssertionError(f"{word!r} never came:\n{''.join(self.lines)}")

    def finish(self) -> int:
        out, _ = self.process.communicate(timeout=60)
        self.lines.append(out)
        return self.process.returncode

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def folder(self) -> Path:
        return self.runs / "small" / "latest"

    def verdict(self) -> dict:
        return json.loads((self.folder / "verdict.json").read_text())

    def events(self) -> list[tuple[str, str]]:
        from emulator.record.load import load_run

        return [(row["node"], row["kind"]) for row in load_run(self.folder).events.iter_rows(named=True)]

    def control(self, *words: str) -> subprocess.CompletedProcess:
        """A `skyloom` command on this run, from another process."""
        return skyloom(words[0], "--run", self.run_id, *words[1:], timeout_s=30)

    @property
    def run_id(self) -> str:
        return self.folder.resolve().name.rpartition("-")[2]


@pytest.fixture
def start(tmp_path):
    started = []

    def go(body="", duration="1 s"):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Started(folder, body, duration))
        return started[-1]

    yield go
    for run in started:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.communicate()


def program(name, run=None, command=None, nodes=("*",), **more):
    lines = ["[[program]]", f'name = "{name}"', f"nodes = {json.dumps(list(nodes))}"]
    lines.append(f'run = "{run}"' if run else f"command = {json.dumps(command)}")
    lines += [f"{key} = {value}" for key, value in more.items()]
    return "\n".join(lines) + "\n"


def on_a_terminal(run: Started, node: str, command: str, interrupt_after: bytes) -> int:
    """`skyloom exec` on a terminal of 40 rows; Ctrl-C is typed once `interrupt_after` was printed.

    By then the shell must have no child: one that ends by itself just then hides the interrupt from a shell.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 40, 100, 0, 0))
    words = [*SKYLOOM, "exec", "--run", run.run_id, node, "--", "sh", "-c", command]
    process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    try:
        seen = b""
        while interrupt_after not in seen:
            seen += os.read(master, 4096)
        os.write(master, b"\x03")
        return process.wait(20)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def processes_of(run: Started) -> list[int]:
    """The run's process and all its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {run.process.pid}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def named(run: Started, name: str) -> int:
    """The one process of the run that goes by this name."""
    (pid,) = [pid for pid in processes_of(run) if Path(f"/proc/{pid}/comm").read_text().strip() == name]
    return pid


def gone(pids: list[int], timeout_s: float = 5.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not any(_lives(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


QUIET = program("quiet", "programs:Quiet")


def test_probes_and_a_command_pass(start):
    run = start(
        program("probe", "nodes.traffic.probe:Probe", config='{ interval = "50 ms" }')
        + program("bulk", "nodes.traffic.bulk:Bulk", config='{ flows = ["a -> b"], rate = "2 Mbit/s" }')
        + program("request", "nodes.traffic.request:Request", config='{ pairs = ["b -> a"], think = "50 ms" }')
        + program("once", command=["sh", "-c", "getent hosts b && echo resolved"], nodes=["a"], expect='"exit 0"')
        + '[fidelity]\nlateness_p99 = "10 s"\n'
        + '[capture]\nlinks = ["a:b"]\n',
        duration="2 s",
    )
    assert run.finish() == 0, run.output
    verdict = run.verdict()
    assert verdict["verdict"] == "pass"
    pairs = {row["pair"]: row for row in verdict["probes"]}
    assert set(pairs) == {"a → b", "b → a"}
    for row in pairs.values():
        assert row["asked_ms"] == pytest.approx(20, abs=0.1)
        assert row["seen_ms"] >= 20
    (flow,) = verdict["flows"]
    assert flow["pair"] == "a → b"
    assert flow["bytes"] > 100_000
    assert "resolved" in (run.folder / "logs" / "a" / "once.txt").read_text()
    capture = (run.folder / "capture.pcapng").read_bytes()
    assert len(capture) > 1000
    assert f"run {verdict['run_id']}, scenario small, seed 1".encode() in capture
    platform = json.loads((run.folder / "platform.json").read_text())
    assert 0 < time.monotonic_ns() - platform["t0_monotonic_ns"] < 600e9
    assert 0 < time.time_ns() - platform["t0_utc_ns"] < 600e9
    events = run.events()
    assert ("", "play") in events
    assert ("a", "probe") in events
    assert ("b", "requests") in events
    assert ("b", "flow") in events


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("BadSetup", "b: program odd failed: ValueError: no such thing as a free port (in setup)"),
        ("Missing", "'Missing'"),
    ],
)
def test_a_program_that_fails_at_the_start_ends_the_run(start, name, said):
    run = start(QUIET + program("odd", f"programs:{name}", nodes=["b"]))
    code = run.finish()
    assert code in (65, 70), run.output  # a class that does not exist is seen when the scenario is read
    assert said in run.output


def test_a_program_that_raises_during_play_fails_the_verdict(start):
    run = start(program("odd", "programs:BadRun", nodes=["a"]) + QUIET)
    assert run.finish() in (1, 75), run.output
    (outcome,) = [row for row in run.verdict()["expectations"] if row["figure"] == "program odd"]
    assert not outcome["holds"]
    assert "RuntimeError: lost my way" in outcome["reason"]
    assert ("a", "program-ended") in run.events()


def test_exit_status_is_judged(start):
    run = start(
        program("done", "programs:Done", expect='"exit 0"') + program("one", command=["false"], expect='"exit 1"')
    )
    assert run.finish() == 0, run.output


def test_a_program_that_hears_nothing_is_killed(start):
    run = start(program("deaf", "programs:Deaf", nodes=["a"]))
    assert run.finish() == 0, run.output
    assert any("was killed" in warning for warning in run.verdict()["warnings"])


def test_crash_restart_and_exec_actions(start):
    run = start(
        QUIET
        + '[[action]]\nat = "200 ms"\ndo = "crash"\nnodes = ["a"]\n'
        + '[[action]]\nat = "600 ms"\ndo = "restart"\nprogram = "quiet"\nnodes = ["a"]\n'
        + '[[action]]\nat = "300 ms"\ndo = "exec"\nnodes = ["b"]\ncommand = ["echo", "here I am"]\n'
        + '[[action]]\nat = "400 ms"\ndo = "link-down"\nlinks = ["a:b"]\nfor = "100 ms"\n',
        duration="2 s",
    )
    assert run.finish() == 0, run.output
    events = run.events()
    assert events.count(("a", "hello")) == 2
    assert events.count(("b", "hello")) == 1
    assert events.count(("", "action")) == 5
    assert "here I am" in (run.folder / "logs" / "b.txt").read_text()


def test_a_restart_of_all_programs_does_not_end_a_run_that_ends_with_them(start):
    restart = '[[action]]\nat = "200 ms"\ndo = "restart"\nprogram = "quiet"\n'
    run = start(f'ends = "programs"\n{QUIET}expect = "running"\n{restart}')
    assert run.finish() == 0, run.output
    assert run.events().count(("a", "hello")) == 2
    assert run.verdict()["duration_s"] == 1.0


def test_other_terminals(start):
    run = start(program("bulk", "nodes.traffic.bulk:Bulk", config='{ flows = ["a -> b"], rate = "1 Mbit/s" }'), "180 s")
    run.wait_for("play")
    assert run.control("exec").stdout.split() == ["a", "b"]
    assert run.control("exec", "a", "--", "sh", "-c", "hostname; ls /sys/class/net").stdout.split() == ["a", "b", "lo"]
    ping = run.control("exec", "a", "--", "getent", "hosts", "b")
    assert (ping.returncode, ping.stdout.split()[-1]) == (0, "b")
    command = [*SKYLOOM, "exec", "--run", run.run_id, "b", "--", "cat"]
    assert subprocess.run(command, input="through", capture_output=True, text=True, timeout=30).stdout == "through"
    assert run.control("exec", "b", "--", "sh", "-c", "exit 7").returncode == 7
    assert run.control("exec", "b", "--", "sh", "-c", "kill -9 $$").returncode == 137
    missing = run.control("exec", "b", "--", "no-such-program")
    assert (missing.returncode, "no such program" in missing.stderr) == (127, True)
    assert (
        on_a_terminal(run, "a", "tty; stty size; echo ready; exec sleep 60", interrupt_after=b"40 100\r\nready") == 130
    )
    wrong = run.control("exec", "zebra", "--", "true")
    assert wrong.returncode != 0
    assert "zebra" in wrong.stderr
    other = start(QUIET, "1 s")  # two runs at once do not meet
    assert other.finish() == 0, other.output
    assert run.process.poll() is None
    run.process.send_signal(signal.SIGINT)
    assert run.finish() == 130, run.output
    assert run.verdict()["interrupted"] is True


@pytest.mark.parametrize("stage", ["schedule", "start", "play"])
def test_ctrl_c_ends_a_run_in_every_stage(start, stage):
    run = start(QUIET, "180 s")
    run.wait_for(stage)
    pids = processes_of(run)
    run.process.send_signal(signal.SIGINT)
    assert run.finish() == 130, run.output
    assert run.verdict()["interrupted"] is True
    assert gone(pids)


def test_ctrl_c_twice_does_not_wait(start):
    run = start(program("deaf", "programs:Deaf"), "180 s")
    run.wait_for("play")
    pids = processes_of(run)
    began = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    run.process.send_signal(signal.SIGINT)
    assert run.finish() == 130, run.output
    assert gone(pids)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("victim", ["front", "supervisor", "zygote", "relay", "planner", "a"])
def test_nothing_is_left_after_kill_9(start, victim):
    run = start(QUIET, "180 s")
    run.wait_for("play")
    pids = processes_of(run)
    assert len(pids) >= 8
    os.kill(run.process.pid if victim == "front" else named(run, victim), signal.SIGKILL)
    if victim == "a":  # the run goes on without this node, and its verdict tells
        assert not gone(pids, 0.5)
        run.process.send_signal(signal.SIGINT)
    code = run.finish()
    assert gone(pids)
    if victim in ("zygote", "relay", "planner"):
        assert code == 70, run.output
        assert victim in run.verdict()["error"]
    if victim == "supervisor":
        assert code == 70
        assert "without a verdict" in run.output
    if victim == "a":
        assert code == 130, run.output
        assert ("a", "program-ended") in run.events()
