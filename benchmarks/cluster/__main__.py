"""One run over several hosts: what crossing costs in time, in rate and in processor time, and how runs begin and end.

python -m benchmarks cluster                  all parts, in some three minutes
python -m benchmarks cluster times flows      these; there are partition, times, losses, flows, carriers, starts, late,
                                              ends

SECONDS=1 makes measurements on trunks shorter (2.5 s each by default), REPEAT=3 makes three of each. Targets are those
of an idle machine: each figure stands beside that of one host in the same run, where load shows alike.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from benchmarks.chain import in_sandbox
from benchmarks.cluster import carriers, partition, runs, trunks


def on_trunks(measure: Callable[[], None]) -> Callable[[], None]:
    """In a sandbox, where both ends of trunks are on its loopback interface."""

    def body() -> None:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        measure()

    return lambda: in_sandbox(body)


PARTS = {
    "partition": partition.main,
    "times": on_trunks(trunks.times),
    "losses": on_trunks(trunks.losses),
    "flows": on_trunks(trunks.flows),
    "carriers": on_trunks(carriers.measure),
    "starts": runs.starts,
    "late": runs.late,
    "ends": runs.ends,
}


def main() -> None:
    asked = sys.argv[1:] or list(PARTS)
    if wrong := [name for name in asked if name not in PARTS]:
        sys.exit(f"benchmarks cluster: no {', '.join(wrong)}; there are {', '.join(PARTS)}")
    for name in asked:
        PARTS[name]()


if __name__ == "__main__":
    main()
