"""Time of `skyloom plan` and of the schedule: 7,000 element sets with 50 stations, and the bundled `leo` scenario.

The element sets are those of six Starlink and Kuiper shells, written as a 3LE file. `python -m benchmarks.plan`.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from emulator.orbit.tle import checksum
from emulator.orbit.walker import SHELLS, constellation
from topologies.leo import DEFAULT_EPOCH, Config, build
from topologies.leo.stations import SITES

SETS = 7000
STATIONS = [name for name in SITES if name not in ("mcmurdo", "svalbard")][:50]
MIX = ("starlink-1", "starlink-2", "starlink-3", "starlink-4", "starlink-5", "kuiper-1", "kuiper-2", "kuiper-3")


def element_sets(count: int) -> str:
    """A 3LE file of `count` satellites from the shells of MIX, round and round."""
    from sgp4.exporter import export_tle

    records = (record for name in MIX for record in constellation(SHELLS[name], DEFAULT_EPOCH).records)
    lines = []
    for number, record in enumerate(islice(records, count), 1):
        lines.append(f"MADE-{number}")
        for line in export_tle(record):
            body = f"{line[:2]}{number:05}{line[7:68]}"
            lines.append(body + str(checksum(body + " ")))
    return "\n".join(lines) + "\n"


def skyloom(title: str, *words: str) -> None:
    """Wall clock and CPU time of a command, the quickest of three, start of Python and imports included."""
    taken = []
    for _ in range(3):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-m", "emulator.cli", *words], check=True, stdout=subprocess.DEVNULL)
        wall_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append((wall_s, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime))
    print(f"  {title:22} {min(taken)[0]:8.3f} s wall, {min(taken)[1]:.3f} s CPU")


def parts(tables: dict, steps: int) -> None:
    """What a step costs, by part, in CPU time of this process."""
    from emulator.model.network import BuildOptions

    began = time.perf_counter()
    topo = build(Config.model_validate(tables), BuildOptions())
    print(f"  topology built         {time.perf_counter() - began:8.3f} s")
    timeline = topo.timeline
    next(iter(timeline.rows(0, 1)))
    began = time.process_time()
    for _ in timeline.instants(0, steps):
        pass
    geometry_s = time.process_time() - began
    fresh = build(Config.model_validate(tables), BuildOptions()).timeline
    wall, began = time.perf_counter(), time.process_time()
    for _ in fresh.rows(0, steps):
        pass
    all_s = time.process_time() - began
    print(f"  {steps} steps of 1 s         {time.perf_counter() - wall:8.3f} s wall, {all_s:.3f} s CPU")
    print(f"  a step                 {all_s / steps * 1e3:8.1f} ms CPU = {all_s / steps:.1%} of a core at 1 s steps")
    print(f"    orbits and access    {geometry_s / steps * 1e3:8.1f} ms")
    print(f"    delays and routes    {(all_s - geometry_s) / steps * 1e3:8.1f} ms")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sets, scenario = Path(folder) / "made.tle", Path(folder) / "many.toml"
        sets.write_text(element_sets(SETS))
        names = ", ".join(f'"{name}"' for name in STATIONS)
        scenario.write_text(f'topology = "topologies.leo"\nduration = "60 s"\n[ground]\nstations = [{names}]\n')
        words = (str(scenario), "--elements", str(sets))
        print(f"{SETS} element sets, {len(STATIONS)} stations")
        skyloom("plan --at 0s", "plan", *words, "--at", "0s")
        skyloom("plan --at 30s --json", "plan", *words, "--at", "30s", "--json")
        skyloom("plan, whole minute", "plan", *words)
        parts({"shell": {"elements": str(sets)}, "ground": {"stations": STATIONS}}, 60)
        print("starlink-1, 12 stations")
        scenario.write_text('topology = "topologies.leo"\nduration = "60 s"\n')
        skyloom("plan, whole minute", "plan", str(scenario))
        parts({}, 60)


if __name__ == "__main__":
    main()
