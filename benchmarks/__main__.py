"""`make bench`: every benchmark in turn, or those named on the command line, with the machine at the head.

What follows a name and is none of them goes to that benchmark: `python -m benchmarks hops lateness default --runs 20`.
"""

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
    "netlink",
    "carrier",
    "nodes",
    "hosts",
    "packets",
    "hops",
    "tcp",
    "delays",
    "cluster",
    "capture",
    "pcapng",
    "lateness",
    "screen",
    "screens",
    "page",
    "watch",
    "access",
    "leo",
    "memory",
    "rounds",
    "plurality",
    "dagbft_rules",
    "dagbft_store",
    "dagbft_transport",
    "dagbft_execution",
    "dagbft_restart",
    "lemonshark",
    "ibc",
    "ibc_proofs",
    "ibc_relayer",
    "xroute_graph",
    "xroute_flooding",
    "ibc_validators",
    "xroute_proof",
    "xroute_load",
    "llm_decode",
    "llm_codecs",
    "llm_plan",
)


def main() -> None:
    asked: list[list[str]] = []  # names, each with its arguments
    for word in sys.argv[1:]:
        if word in ALL:
            asked.append([word])
        elif asked:
            asked[-1].append(word)
        else:
            sys.exit(f"benchmarks: no {word}; there are {', '.join(ALL)}")
    print(f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}")
    for name, *arguments in asked or [[name] for name in ALL]:
        load, _, _ = os.getloadavg()
        print(f"\n== {' '.join([name, *arguments])}   (load average before: {load:.1f})", flush=True)
        began = time.perf_counter()
        sys.argv = [f"benchmarks/{name}.py", *arguments]
        try:
            runpy.run_module(f"benchmarks.{name}", run_name="__main__")
        except SystemExit as done:
            if done.code:
                print(f"benchmarks.{name} ended with {done.code}")
        print(f"({time.perf_counter() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
