"""How urgent the relay's thread is to the kernel.

A nice value does not help: sessions share the cores evenly (autogroups), whatever the nice values inside them.
Invariant: real-time priority is given up in the first quarter second in which the relay keeps a core busy, so a relay
with more work than a core can do competes like any other process and starves nobody.
"""

from __future__ import annotations

import os

GIVE_UP, TAKE_BACK = 0.85, 0.6  # share of a core


class Urgency:
    """The lowest real-time priority where that is allowed, else a nice value; for the calling thread."""

    def __init__(self) -> None:
        self._allowed = True
        self.real_time = False
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -10)
        except OSError:
            pass  # lateness will tell what that costs
        self.adapt(0.0)

    def adapt(self, share: float) -> None:
        """Follow the share of a core that was used since the last call."""
        if self.real_time and share > GIVE_UP:
            self._set(False)
        elif not self.real_time and self._allowed and share < TAKE_BACK:
            self._set(True)

    def _set(self, real_time: bool) -> None:
        policy, priority = (os.SCHED_FIFO, 1) if real_time else (os.SCHED_OTHER, 0)
        try:
            os.sched_setscheduler(0, policy, os.sched_param(priority))
            self.real_time = real_time
        except OSError:
            self._allowed = False
