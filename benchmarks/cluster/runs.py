"""Whole runs over pseudo-hosts, as a user types them: how soon they begin, what memory a host takes, how they end.

Everything is seen from outside: by the clock, the kernel's list of processes, and files of the run folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import spread, tell
from benchmarks.leo import SKYLOOM, start_s
from benchmarks.memory import sizes, tree

HOSTS = (1, 2, 3)
PLAY_S = 20  # in which lateness is measured
WAIT_S = 60.0


class Run:
    """A run that goes on."""

    def __init__(self, runs: Path, *arguments: str) -> None:
        self.began_s = time.monotonic()
        self._runs = runs
        command = [*SKYLOOM, "run", *arguments, "--no-tui", "--runs", str(runs)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def folder(self) -> Path:
        """Of the run; one that is not there, before it is made."""
        return next(self._runs.glob("*/2*"), self._runs / "none")

    def has(self, name: str) -> bool:
        return (self.folder() / name).exists()

    def plays(self) -> bool:
        return self.has("platform.json") and "t0_utc_ns" in (self.folder() / "platform.json").read_text()

    def ended(self) -> None:
        self.process.wait(WAIT_S)

    def until(self, condition: Callable[[], object]) -> float:
        """CLOCK_MONOTONIC when it holds, in seconds. SystemExit where it does not within WAIT_S."""
        deadline_s = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline_s:
                self.process.kill()
                raise SystemExit("the run does not get on")
            time.sleep(0.005)
        return time.monotonic()

    def hosts(self) -> dict[str, int]:
        """The runners of its hosts, by name."""
        return {name: pid for pid, name in tree(self.process.pid).items() if name.startswith("host ")}


def _memory_mb(run: Run) -> dict[str, float]:
    """What the processes of each host hold, files apart; of one host: all of the run."""
    roots = run.hosts() or {"": run.process.pid}
    found = {}
    for name, root in roots.items():
        each = [sizes(pid) for pid in tree(root)]
        found[name] = sum(size.get("Pss_Anon", 0.0) + size.get("Pss_Shmem", 0.0) for size in each)
    return found


def starts() -> None:
    """`leo` on one host and on several: from enter to the first probe, and memory in play."""
    with tempfile.TemporaryDirectory() as scratch:
        for hosts in HOSTS:
            run = Run(Path(scratch) / f"{hosts}", "leo", "--duration", "3s", "--hosts", str(hosts))
            begun_s, most = run.until(run.plays), dict[str, float]()
            for after_s in (1.0, 2.0):
                time.sleep(max(0.0, begun_s + after_s - time.monotonic()))
                most = {name: max(mb, most.get(name, 0.0)) for name, mb in _memory_mb(run).items()}
            run.ended()
            tell(
                f"leo on {hosts} host{'s' if hosts > 1 else ''}",
                f"first probe after {start_s(run.folder(), run.began_s):.2f} s, "
                f"memory a host {spread(list(most.values()))} MB",
                target="5 s" if hosts == HOSTS[-1] else "",
            )


def late() -> None:
    """Packets of `leo` on three hosts that come after they are due, and what the engines take."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(Path(scratch), "leo", "--duration", f"{PLAY_S}s", "--hosts", "3")
        run.ended()
        verdict = json.loads((run.folder() / "verdict.json").read_text())
        trunks, engines_s = verdict["trunks"], [row["engine_cpu_s"] for row in verdict["machines"]]
        tell(
            f"leo on 3 hosts for {PLAY_S} s",
            f"{trunks['crossings']:,} packets crossed, {trunks['late_share']:.3%} of them late, {trunks['lost']} lost; "
            f"lateness p99 {verdict['lateness_ms']['p99']:.2f} ms; engines {sum(engines_s) / PLAY_S:.0%} of a core",
            target="late 0.1 %, lost 0",
        )


def _end(runs: Path, what: str, break_it: Callable[[Run], None], *, named: bool = True) -> None:
    """Break a run. `named`: there is a verdict, which names what was lost."""
    run = Run(runs, "leo", "--duration", "60s", "--hosts", "3")
    run.until(run.plays)
    processes = tree(run.process.pid)
    began_s = time.monotonic()
    break_it(run)
    named_s = run.until(lambda: run.has("verdict.json")) if named else began_s
    run.ended()
    gone_s = run.until(lambda: not any(_lives(pid) for pid in processes))
    words = ""
    if named:
        error = json.loads((run.folder() / "verdict.json").read_text())["error"]
        words = f"named in the verdict after {named_s - began_s:.2f} s ({error}), "
    target = "3 / 5 s" if named else "1 s"
    tell(f"leo on 3 hosts, {what}", f"{words}all gone after {gone_s - began_s:.2f} s", target=target)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _kill_a_runner(run: Run) -> None:
    os.kill(run.hosts()["host 1"], signal.SIGKILL)


def _cut_off(run: Run) -> None:
    (lead,) = (pid for pid, name in tree(run.process.pid).items() if name == "supervisor")
    subprocess.run(["nsenter", "-t", str(lead), "-n", "ip", "link", "set", "host2", "down"], check=True)


def _kill_the_command(run: Run) -> None:
    run.process.kill()


def ends() -> None:
    """A host that is lost, and a command that is killed."""
    with tempfile.TemporaryDirectory() as scratch:
        _end(Path(scratch) / "killed", "a runner is killed", _kill_a_runner)
        _end(Path(scratch) / "cut", "a host is cut off", _cut_off)
        _end(Path(scratch) / "command", "the command is killed", _kill_the_command, named=False)
