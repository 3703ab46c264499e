"""How late whole runs are: `skyloom run` as a user types it, under loads from the old default to every satellite live.

python -m benchmarks lateness [NAME ...] [--runs N] [--duration 30s] [--busy K]

Names: old, default, tenfold, live, terminals, starlink; all of them without one. Each is run N times in a row (1 by
default); of those of `default` the last K (1 where there are several) run beside a busy loop on each core. Figures come
from verdict.json. Floor: a thread as urgent as the engine's that does nothing but wake, two hundred times a second,
during the same runs; what it is late by nobody can better.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_double, cast
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import spread
from benchmarks.leo import MemoryWatch, play
from benchmarks.native import native
from emulator.link.health import be_urgent

STATIONS = (
    "tokyo", "paris", "new-york", "sao-paulo", "johannesburg", "sydney",
    "los-angeles", "london", "delhi", "singapore", "lagos", "santiago",
)  # fmt: skip
SLOW_FLOWS = ("program.bulk.config.rate=4 Mbit/s", "expect=[]")
MANY = ", ".join(f'"gs-{STATIONS[n % 12]} -> gs-{STATIONS[(5 * n + n // 12 * 2 + 3) % 12]}"' for n in range(20))
WAKE_S = 0.005


@dataclass(frozen=True, slots=True)
class Case:
    what: str
    target: str
    arguments: tuple[str, ...]
    settings: tuple[str, ...] = ()
    duration: bool = True  # whether --duration applies


CASES = {
    "old": Case("leo, old load", "p99 <= 0.8, max <= 10 ms, engine <= 18 %", ("leo",),
        ("program.probe.config.interval=500 ms", *SLOW_FLOWS),
    ),
    "default": Case("leo, default", "all end with 0, p99 <= 2 ms", ("leo",)),
    "tenfold": Case(
        "leo, ten times the old probes, 20 flows of 4 Mbit/s", "p99 <= 1 ms, engine <= 45 %", ("leo",),
        ("program.probe.config.interval=50 ms", f"program.bulk.config.flows=[{MANY}]", *SLOW_FLOWS),
    ),
    "live": Case("leo, all satellites live", "pass, p99 <= 2 ms, <= 1.5 GB", ("leo",), ("materialise=all",)),
    "terminals": Case(
        "leo_access, four terminals at true rates", "on time, engine <= 40 %", ("leo_access",),
        ("hours=2,8,14,20", "terminals=1", "rain=false", "probing=10 s", "flow=20 s"), duration=False,
    ),
    "starlink": Case("leo, terminal = starlink", "on time, engine <= 40 %", ("leo",), ("ground.terminal=starlink",)),
}  # fmt: skip


@dataclass(slots=True)
class Found:
    """What runs of one case came to."""

    codes: list[int] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    max_ms: list[float] = field(default_factory=list)
    engine: list[float] = field(default_factory=list)  # % of a core
    stolen: list[float] = field(default_factory=list)  # % of all cores
    floor_p99_ms: list[float] = field(default_factory=list)
    floor_max_ms: list[float] = field(default_factory=list)
    memory_gb: list[float] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)
    mbit_s: list[float] = field(default_factory=list)  # sum of all flows

    def tell(self, what: str, target: str) -> None:
        floor = f"p99 {spread(self.floor_p99_ms, 2)}, max {spread(self.floor_max_ms, 1)} ms"
        late = f"late p99 {spread(self.p99_ms, 2)}, max {spread(self.max_ms, 1)} ms"
        more = f"memory {spread(self.memory_gb, 2)} GB, flows {spread(self.mbit_s)} Mbit/s"
        codes = ", ".join(map(str, self.codes))
        print(
            f"{what}: exit {codes}; {late}, engine {spread(self.engine, 1)} % of a core, {more}; "
            f"beside a thread that only wakes {floor}, {spread(self.stolen, 1)} % of all cores stolen; target {target}",
            flush=True,
        )
        for cause in self.causes:
            print(f"  {cause}")


def one(case: Case, duration: str, busy: bool, runs: Path, found: Found) -> None:
    arguments = [*case.arguments, *(["--duration", duration] if case.duration else [])]
    for setting in case.settings:
        arguments += ["--set", setting]
    before = _ticks()
    with MemoryWatch() as memory, waking() as late, loops(busy):
        folder, _ = play(runs, *arguments)
    stolen, whole = (now - then for now, then in zip(_ticks(), before, strict=True))
    verdict = json.loads((folder / "verdict.json").read_text())
    budget = verdict.get("lateness_budget", {})
    floor_ms = late() * 1e3
    found.codes.append(verdict["exit_code"])
    found.p99_ms.append(verdict["lateness_ms"]["p99"])
    found.max_ms.append(verdict["lateness_ms"]["max"])
    found.engine.append(budget.get("engine_cpu_share", float("nan")) * 100)
    found.stolen.append(stolen / whole * 100)
    found.floor_p99_ms.append(float(np.quantile(floor_ms, 0.99)))
    found.floor_max_ms.append(float(floor_ms.max()))
    found.memory_gb.append(memory.used_bytes / 1e9)
    found.mbit_s.append(sum(flow["mean_bps"] for flow in verdict["flows"]) / 1e6)
    if verdict["exit_code"]:
        shares = {name: round(budget[name], 2) for name in ("engine", "scheduler", "capture") if name in budget}
        failed = [row["figure"] for row in verdict["expectations"] if not row["holds"]]
        found.causes.append(f"run {len(found.codes)}: late by {shares}; not held: {failed}")


@contextmanager
def waking() -> Iterator[Callable[[], NDArray[np.float64]]]:
    """While the block runs a child only wakes; gives a function that returns how late it was, in seconds."""
    reader, writer = os.pipe()
    stop_reader, stop_writer = os.pipe()
    native()
    pid = os.fork()
    if pid == 0:
        os.close(stop_writer)
        os.set_blocking(stop_reader, False)
        be_urgent()
        room = np.zeros(100)
        with open(writer, "wb") as pipe:
            while not _closed(stop_reader):
                native().only_wake(WAKE_S, cast(room.ctypes.data, POINTER(c_double)), len(room))
                pipe.write(room.tobytes())
        os._exit(0)
    os.close(writer)
    os.close(stop_reader)
    told: list[NDArray[np.float64]] = []
    try:
        yield lambda: told[0]
    finally:
        os.close(stop_writer)
        with open(reader, "rb") as pipe:
            told.append(np.frombuffer(pipe.read()))
        os.waitpid(pid, 0)


def _closed(fd: int) -> bool:
    try:
        return os.read(fd, 1) == b""
    except BlockingIOError:
        return False


@contextmanager
def loops(wanted: bool) -> Iterator[None]:
    """A busy loop on each core, as another user of the machine would have it."""
    pids = []
    for _ in range((os.cpu_count() or 1) if wanted else 0):
        pid = os.fork()
        if pid == 0:
            os.setsid()
            while True:
                pass
        pids.append(pid)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _ticks() -> tuple[int, int]:
    """Processor time stolen by the hypervisor, and all."""
    numbers = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return numbers[7], sum(numbers)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks lateness")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--runs", type=int, default=1, help="of each, in a row")
    parser.add_argument(
        "--busy", type=int, default=-1, help="of these beside busy loops; by default the last of `default`"
    )
    parser.add_argument("--duration", default="30s")
    given = parser.parse_args()
    unknown = set(given.names) - set(CASES)
    if unknown:
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    for name in given.names or CASES:
        busy = given.busy if given.busy >= 0 else int(name == "default" and given.runs > 1)
        quiet, loaded = Found(), Found()
        with tempfile.TemporaryDirectory() as runs:
            for number in range(given.runs):
                beside = number >= given.runs - busy
                one(CASES[name], given.duration, beside, Path(runs), loaded if beside else quiet)
                time.sleep(1.0)
        for found, where in ((quiet, ""), (loaded, ", beside a busy loop on each core")):
            if found.codes:
                found.tell(f"{CASES[name].what}{where}, {len(found.codes)} x {given.duration}", CASES[name].target)


if __name__ == "__main__":
    main()
