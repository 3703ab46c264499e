"""`make bench`: every benchmark in turn, or those named on the command line, with the machine at the head."""

from __future__ import annotations

import os
import platform
import runpy
import sys
import time

ALL = (
    "plan",
    "routes",
    "fabric",
    "nodes",
    "relay",
    "capture",
    "screen",
    "watch",
    "access",
    "leo",
    "rounds",
    "plurality",
    "dagbft_rules",
    "dagbft_store",
    "dagbft_transport",
    "dagbft_execution",
    "lemonshark",
)


def main() -> None:
    names = sys.argv[1:] or ALL
    unknown = set(names) - set(ALL)
    if unknown:
        sys.exit(f"benchmarks: no {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    print(f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}")
    for name in names:
        print(f"\n== {name}", flush=True)
        began = time.perf_counter()
        sys.argv = [f"benchmarks/{name}.py"]
        try:
            runpy.run_module(f"benchmarks.{name}", run_name="__main__")
        except SystemExit as done:
            if done.code:
                print(f"benchmarks.{name} ended with {done.code}")
        print(f"({time.perf_counter() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
