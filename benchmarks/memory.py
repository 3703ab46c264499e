"""Memory of a whole run, process by process and in the kernel: `python -m benchmarks.memory [RUN ARGUMENTS]`.

Without arguments: `leo --set materialise=all --duration 20s`. "In all" is what the run's processes hold, counted by
PSS (private pages, and their part of those that they share), files apart, and by how much the kernel's own memory has
grown. Other work beside it hardly matters, as long as it makes no namespaces or interfaces. The steady state is the
median of the readings from second 10 to second 18 of play; the most is that of the whole run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIRST_S, LAST_S, EVERY_S = 10.0, 18.0, 0.5
FIELDS = ("Pss_Anon", "Pss_Shmem", "Pss_File", "Private_Dirty")
KERNEL = ("Slab", "KernelStack", "PageTables", "VmallocUsed", "Percpu")


def meminfo() -> dict[str, float]:
    """MB by name."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {words[0][:-1]: int(words[1]) * 1024 / 1e6 for words in lines}


def tree(root: int) -> dict[int, str]:
    """Names of a process and all that descend from it, by number."""
    children: dict[int, list[int]] = {}
    names: dict[int, str] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        pid = int(stat.parent.name)
        names[pid] = text[text.index("(") + 1 : text.rindex(")")]
        children.setdefault(int(text[text.rindex(")") + 1 :].split()[1]), []).append(pid)
    found, waiting = {}, [root]
    while waiting:
        pid = waiting.pop()
        if pid in names:
            found[pid] = names[pid]
            waiting += children.get(pid, [])
    return found


def sizes(pid: int) -> dict[str, float]:
    """MB by field of smaps_rollup; empty for one that has ended."""
    try:
        lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
        return {words[0][:-1]: int(words[1]) * 1024 / 1e6 for words in lines}
    except OSError:
        return {}


class Reading:
    """What the run takes at this moment, in MB, beside what the machine had before it."""

    def __init__(self, root: int, before: dict[str, float]) -> None:
        now = meminfo()
        self.by_name: dict[str, dict[str, float]] = {}
        for pid, name in tree(root).items():
            found = sizes(pid)
            row = self.by_name.setdefault("gs-*" if name.startswith("gs-") else name, dict.fromkeys(FIELDS, 0.0))
            row["count"] = row.get("count", 0.0) + 1
            for field in FIELDS:
                row[field] += found.get(field, 0.0)
        self.parts_of_kernel = {name: now[name] - before[name] for name in KERNEL}
        self.kernel = sum(self.parts_of_kernel.values())
        self.processes = sum(row["Pss_Anon"] + row["Pss_Shmem"] for row in self.by_name.values())
        self.in_all = self.processes + self.kernel

    def show(self) -> None:
        print(f"  {'process':14} {'count':>5} " + " ".join(f"{field:>14}" for field in FIELDS))
        for name, row in sorted(self.by_name.items(), key=lambda item: -item[1]["Private_Dirty"]):
            print(f"  {name:14} {row['count']:5.0f} " + " ".join(f"{row[field]:11.1f} MB" for field in FIELDS))
        print("  kernel: " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in self.parts_of_kernel.items()))


def plays(runs: Path) -> bool:
    """Whether the one run in this folder has begun to play."""
    return any("t0_monotonic_ns" in path.read_text() for path in runs.glob("*/*/platform.json"))


def main() -> None:
    words = sys.argv[1:] or ["leo", "--set", "materialise=all", "--duration", "20s"]
    readings: list[tuple[float, Reading]] = []  # with seconds of play
    with tempfile.TemporaryDirectory() as runs:
        before, began = meminfo(), None
        command = [sys.executable, "-m", "emulator.cli", "run", *words, "--no-tui", "--runs", runs]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ) as run:
            while run.poll() is None:
                if began is None and plays(Path(runs)):
                    began = time.monotonic()
                readings.append((0.0 if began is None else time.monotonic() - began, Reading(run.pid, before)))
                time.sleep(EVERY_S)
        print(f"skyloom run {' '.join(words)}: exit {run.returncode}")
    steady = [reading for played_s, reading in readings if FIRST_S <= played_s <= LAST_S]
    if not steady:
        raise SystemExit("the run was too short for a steady state, or failed")
    most = max((reading for _, reading in readings), key=lambda reading: reading.in_all)
    median = sorted(steady, key=lambda reading: reading.in_all)[len(steady) // 2]
    processes, kernel = (statistics.median(getattr(one, name) for one in steady) for name in ("processes", "kernel"))
    print(f"in all {median.in_all:.0f} MB: processes {processes:.0f}, kernel {kernel:.0f}; most {most.in_all:.0f} MB")
    median.show()


if __name__ == "__main__":
    main()
