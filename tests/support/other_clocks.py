"""The command with pseudo-hosts that have clocks of their own: `python other_clocks.py CLOCKS run … --hosts N`.

CLOCKS is a JSON list, for each host a map with `ahead_s` (by which its monotonic clock is ahead of the lead's: a
namespace of time), and where shifted_clock.c is preloaded `drift` (s/s) and `pause` ([after how many seconds the clock
stands still, for how many]). All processes of the host inherit it; nothing of the product knows of it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from emulator.cli import main
from emulator.fabric.kernel import syscalls
from emulator.runtime.cluster import pseudo_hosts

CLONE_NEWTIME = 0x00000080


def enter_time(ahead_s: float) -> None:
    """Move this process, which must have one thread, into a namespace of time whose clock is so far ahead."""
    syscalls.unshare(CLONE_NEWTIME)
    whole_s = int(ahead_s // 1)
    Path("/proc/self/timens_offsets").write_text(f"monotonic {whole_s} {round((ahead_s - whole_s) * 1e9)}\n")
    namespace = os.open("/proc/self/ns/time_for_children", os.O_RDONLY)
    syscalls.setns(namespace, CLONE_NEWTIME)
    os.close(namespace)


def shift(drift: float, pause: tuple[float, float]) -> None:
    """Let the monotonic clock of this process and of those that it starts drift, and stand still once."""
    now_ns = time.monotonic_ns()
    after_ns, pause_ns = (round(seconds * 1e9) for seconds in pause)
    os.environ["SHIFTED_CLOCK"] = f"{now_ns} {drift} {now_ns + after_ns} {pause_ns}"
    ctypes.CDLL(None).shifted_clock_read()


class OtherClocks(pseudo_hosts.PseudoHosts):
    """Those with clocks of their own."""

    clocks: list[dict[str, Any]]

    def enter(self, host: int) -> None:
        clock = self.clocks[host]
        enter_time(clock.get("ahead_s", 0.0))
        if "drift" in clock or "pause" in clock:
            shift(clock.get("drift", 0.0), clock.get("pause", (0.0, 0.0)))


if __name__ == "__main__":
    OtherClocks.clocks = json.loads(sys.argv.pop(1))
    pseudo_hosts.PseudoHosts = OtherClocks  # type: ignore[misc]
    main()
