"""How urgent the relay's thread is to the kernel: a nice value, never a real-time class.

Invariant: however much work the relay has, every other process keeps its share. (SCHED_FIFO was tried, given up while a
core was busy: three relays of three runs took turns in it and starved the machine for minutes.)
"""

from __future__ import annotations

import os
from pathlib import Path

NICE = -10


def raise_urgency() -> None:
    """Ask for a larger share of the cores, for this thread and for its session; where refused, lateness will tell.

    Sessions share the cores evenly (autogroups), whatever the nice values inside them, so the session's counts too.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except OSError:
        pass
    try:
        Path("/proc/self/autogroup").write_text(str(NICE))
    except OSError:
        pass
