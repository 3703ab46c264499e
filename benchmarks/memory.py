"""Memory of a whole run, process by process and in the kernel: `python -m benchmarks.memory [RUN ARGUMENTS]`.

Without arguments: `leo --set materialise=all --duration 20s`. A process counts by its PSS (private pages, and its part
of those that it shares); what the machine has less than before the run, beside that, is the kernel's. The steady
state is the middle of five readings, two seconds apart, the first one ten seconds after play began.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FIRST_S, EVERY_S, READINGS = 10.0, 2.0, 5
FIELDS = ("Pss", "Pss_Anon", "Pss_Shmem", "Pss_File", "Private_Dirty")
KERNEL = ("Slab", "SUnreclaim", "KernelStack", "PageTables", "VmallocUsed", "Percpu", "Shmem", "AnonPages")


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
    """What the run takes at this moment, beside what the machine had before it."""

    def __init__(self, root: int, before: dict[str, float]) -> None:
        now = meminfo()
        self.kernel = {name: now[name] - before[name] for name in KERNEL if name in now}
        self.all_mb = before["MemAvailable"] - now["MemAvailable"]
        self.by_name: dict[str, dict[str, float]] = {}
        for pid, name in tree(root).items():
            found = sizes(pid)
            row = self.by_name.setdefault(name, dict.fromkeys(FIELDS, 0.0) | {"count": 0})
            row["count"] += 1
            for field in FIELDS:
                row[field] += found.get(field, 0.0)
        self.pss_mb = sum(row["Pss"] for row in self.by_name.values())

    def show(self) -> None:
        print(f"all {self.all_mb:.0f} MB less available; processes {self.pss_mb:.0f} MB (PSS)")
        print(f"  {'process':18} {'count':>5} " + " ".join(f"{field:>14}" for field in FIELDS))
        for name, row in sorted(self.by_name.items(), key=lambda item: -item[1]["Pss"])[:24]:
            print(f"  {name:18} {row['count']:5.0f} " + " ".join(f"{row[field]:11.1f} MB" for field in FIELDS))
        print("  kernel: " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in self.kernel.items()))


def plays(runs: Path) -> bool:
    """Whether the one run in this folder has begun to play."""
    return any("t0_monotonic_ns" in path.read_text() for path in runs.glob("*/*/platform.json"))


def main() -> None:
    words = sys.argv[1:] or ["leo", "--set", "materialise=all", "--duration", "20s"]
    readings: list[Reading] = []
    with tempfile.TemporaryDirectory() as runs:
        before = meminfo()
        lowest_mb = before["MemAvailable"]
        command = [sys.executable, "-m", "emulator.cli", "run", *words, "--no-tui", "--runs", runs]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ) as run:
            due: float | None = None
            while run.poll() is None:
                time.sleep(0.05)
                lowest_mb = min(lowest_mb, meminfo()["MemAvailable"])
                if due is None and plays(Path(runs)):
                    due = time.monotonic() + FIRST_S
                if due is not None and time.monotonic() >= due and len(readings) < READINGS:
                    readings.append(Reading(run.pid, before))
                    due += EVERY_S
            print(f"exit {run.returncode}; most in all {before['MemAvailable'] - lowest_mb:.0f} MB")
    for reading in readings:
        print(f"  reading: all {reading.all_mb:.0f} MB, processes {reading.pss_mb:.0f} MB")
    if readings:
        sorted(readings, key=lambda one: one.all_mb)[len(readings) // 2].show()


if __name__ == "__main__":
    main()
