"""Whole runs as a user types them: start, memory, seven thousand satellites in real time, death by SIGKILL.

Each figure comes from the run folder or from outside the run; nothing is asked of the emulator's own word where the
kernel can be asked instead.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SKYLOOM = [sys.executable, "-m", "emulator.cli"]


def available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    raise OSError("no MemAvailable")


class MemoryWatch:
    """Largest fall of the machine's available memory while the block runs: kernel objects included."""

    def __enter__(self) -> MemoryWatch:
        self.before = available_bytes()
        self.lowest = self.before
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.lowest = min(self.lowest, available_bytes())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def used_bytes(self) -> int:
        return self.before - self.lowest


def play(runs: Path, *arguments: str) -> tuple[Path, float]:
    """Runs to the end; gives the run folder and the CLOCK_MONOTONIC reading when it was started, in seconds."""
    began_s = time.monotonic()
    done = subprocess.run(
        [*SKYLOOM, "run", *arguments, "--no-tui", "--json", "--runs", str(runs)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1, 75):
        raise SystemExit(f"run {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    newest = max(runs.glob("*/*/verdict.json"), key=lambda path: path.stat().st_mtime)
    return newest.parent, began_s


def start_s(folder: Path, began_s: float) -> float:
    """Seconds from enter to the first probe sent."""
    import polars

    origin_s = json.loads((folder / "platform.json").read_text())["t0_monotonic_ns"] * 1e-9
    samples = polars.read_parquet(folder / "samples.parquet").filter(polars.col("name") == "rtt_s")
    return origin_s - began_s + float(samples["t_s"].min())  # type: ignore[arg-type]


def show(folder: Path) -> str:
    verdict = json.loads((folder / "verdict.json").read_text())
    return (
        f"verdict {verdict['verdict']} ({verdict['exit_code']}), lateness ms {verdict['lateness_ms']}, "
        f"probe error ms {verdict.get('probe_error_ms')}, warnings {len(verdict['warnings'])}"
    )


def help_time() -> None:
    times = []
    for _ in range(10):
        began = time.perf_counter()
        subprocess.run([*SKYLOOM, "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    print(f"skyloom --help: best {min(times) * 1e3:.0f} ms, median {sorted(times)[5] * 1e3:.0f} ms   (target 300 ms)")


def transit(runs: Path) -> None:
    figures = []
    for _ in range(3):
        with MemoryWatch() as memory:
            folder, began_s = play(runs, "leo", "--duration", "10s")
        figures.append(start_s(folder, began_s))
    print(f"run leo, 1,584 in transit: first probe after {', '.join(f'{f:.2f}' for f in figures)} s   (target 5 s)")
    print(f"  memory {memory.used_bytes / 1e6:.0f} MB; {show(folder)}")


def all_live(runs: Path) -> None:
    with MemoryWatch() as memory:
        folder, began_s = play(runs, "leo", "--duration", "10s", "--set", "materialise=all")
    print(f"run leo, all materialised: first probe after {start_s(folder, began_s):.2f} s   (target 12 s)")
    print(f"  memory {memory.used_bytes / 1e9:.2f} GB   (target 1.5 GB); {show(folder)}")


def seven_thousand(scratch: Path, duration: str = "120s") -> None:
    """7,000 element sets in transit, 50 stations that probe each other, routes every second."""
    import polars

    from benchmarks.plan import SETS, STATIONS, element_sets

    (scratch / "sets.tle").write_text(element_sets(SETS))
    stations = ", ".join(f'"{name}"' for name in STATIONS)
    scenario = scratch / "seven.toml"
    scenario.write_text(
        f"""topology = "topologies.leo"
shell.elements = "sets.tle"
ground.stations = [{stations}]
[[program]]
name = "probe"
nodes = ["gs-*"]
run = "nodes.traffic.probe:Probe"
config = {{ interval = "10 s" }}
"""
    )
    folder, began_s = play(scratch, str(scenario), "--duration", duration)
    events = polars.read_parquet(folder / "events.parquet").filter(polars.col("kind") == "machinery")
    costs = json.loads(events["data"][0])
    print(f"7,000 satellites, 50 stations, {duration}: first probe after {start_s(folder, began_s):.2f} s")
    print(f"  {costs}   (target: planner 50 % of a core, nothing late)")
    print(f"  {show(folder)}")


def foreign() -> dict[str, str]:
    """What the host holds and a run must leave alone."""

    def out(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    return {
        "interfaces": out("ip", "-o", "link"),
        "routes": out("ip", "route", "show", "table", "all"),
        "sysctls": out("sysctl", "-a", "--pattern", "^net.(core|ipv4.(tcp|ip_forward|conf.all))"),
    }


def of_this_run(marker: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if marker.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def net_namespaces() -> set[str]:
    found = set()
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(str(entry.readlink()))
        except OSError:
            continue
    return found


def killed(runs: Path) -> None:
    marker = f"SKYLOOM_BENCH={os.getpid()}"
    before, spaces = foreign(), net_namespaces()
    run = subprocess.Popen(
        [*SKYLOOM, "run", "leo", "--duration", "60s", "--no-tui", "--set", "materialise=all", "--runs", str(runs)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "SKYLOOM_BENCH": str(os.getpid())},
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(net_namespaces() - spaces) < 10:
        time.sleep(0.1)
    children = [pid for pid in of_this_run(marker) if pid not in (run.pid, os.getpid())]
    supervisor = min(children)
    os.kill(supervisor, signal.SIGKILL)
    began = time.monotonic()
    while time.monotonic() - began < 60:
        left = [pid for pid in of_this_run(marker) if pid not in (run.pid, os.getpid())]
        if not left and net_namespaces() <= spaces:
            break
        time.sleep(0.02)
    took = time.monotonic() - began
    run.wait(timeout=60)
    after = foreign()
    same = {name: after[name] == before[name] for name in before}
    print(f"kill -9 of the supervisor, all materialised: nothing left after {took:.2f} s   (target 5 s)")
    print(f"  unchanged on the host: {same}; skyloom itself ended with {run.returncode}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        help_time()
        transit(Path(scratch))
        all_live(Path(scratch))
        seven_thousand(Path(scratch))
        killed(Path(scratch))
