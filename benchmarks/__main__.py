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
    "llm_decode",
    "llm_codecs",
