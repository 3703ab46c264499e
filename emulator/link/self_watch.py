"""What the relay knows about itself: how late it was, how long it slept, whether it can keep up.

Invariant: lateness is cumulative over the run, everything else is of the time since the report before.
"""

from __future__ import annotations

import os
import time
from typing import Any

from emulator.link.lateness import Lateness

SATURATED = 0.95  # share of the time without sleep, or of a core, from which on the relay says it cannot keep up
NICE = -10


def be_urgent() -> None:
    """Come before the nodes when cores are short, as far as this user may; lateness tells how far that was.

    The kernel may share cores evenly between sessions (autogroups), and a nice value counts only within one: hence a
    session of the relay's own, with that value too. Never a real-time class: relays of several runs took turns in it
    and starved the machine.
    """
    try:
        os.setsid()
    except OSError:
        pass  # it leads its session already
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        with open("/proc/self/autogroup", "w") as file:
            file.write(str(NICE))
    except OSError:
        pass


class SelfWatch:
    """Counters that the loop fills and `report` empties."""

    __slots__ = ("_cpu_at", "_cpu_s", "lateness", "slept_s", "turn_max_s", "wakeups")

    def __init__(self) -> None:
        self.lateness = Lateness()
        self.wakeups = 0
        self.slept_s = 0.0
        self.turn_max_s = 0.0  # the longest turn of the loop
        self._cpu_s = self._cpu_at = 0.0

    def begin(self, now: float) -> None:
        """Packets are read from now on."""
        self._cpu_s, self._cpu_at = time.thread_time(), now

    def report(self, now: float) -> dict[str, Any]:
        """What a `stats` message says of the relay itself."""
        cpu_s = time.thread_time()
        elapsed = max(now - self._cpu_at, 1e-9)
        share = (cpu_s - self._cpu_s) / elapsed
        message: dict[str, Any] = {
            "lateness": self.lateness.pack(),
            "cpu_s": cpu_s,
            "wakeups": self.wakeups,
            "turn_max_s": self.turn_max_s,
            "saturated": share > SATURATED or self.slept_s < (1.0 - SATURATED) * elapsed,
        }
        self._cpu_s, self._cpu_at = cpu_s, now
        self.turn_max_s = self.slept_s = 0.0
        return message
