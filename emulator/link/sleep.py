"""How the relay sleeps: shorter than asked before a delivery to a port, with the rest spent awake.

Waking up takes 50-200 µs. Invariant: at most SPIN_SHARE of a core is spent awake in each interval between two `renew`.
"""

from __future__ import annotations

from collections.abc import Callable

from emulator.link.self_watch import SelfWatch
from emulator.link.wait import Waiter

SPIN_SHARE = 0.05
SPIN_MAX_S = 250e-6


class Sleeper:
    """Sleeps by `waiter`, counts in `watch`; `clock` is the scenario's, `interval_s` the time between two `renew`."""

    def __init__(self, waiter: Waiter, watch: SelfWatch, clock: Callable[[], float], interval_s: float) -> None:
        self._waiter = waiter
        self._watch = watch
        self._clock = clock
        self._budget_s = self._left_s = SPIN_SHARE * interval_s
        self._early_s = 50e-6
        self._spun_until_s = 0.0

    def renew(self) -> None:
        """A new interval begins."""
        self._left_s = self._budget_s

    def sleep(self, now: float, until: float, exactly: bool) -> None:
        """Sleep from `now` until `until` or until a descriptor is readable; `exactly`: wake a little before."""
        early = self._early_s if exactly and self._left_s > 0.0 else 0.0
        if until - now <= early:
            if until != self._spun_until_s:
                self._spun_until_s = until
                self._left_s -= until - now
            return
        self._waiter.wait(until - early - now)
        woken = self._clock()
        self._watch.wakeups += 1
        self._watch.slept_s += woken - now
        if early:  # follow the time that waking up takes, so that some 9 of 10 wake-ups are in time
            overshoot = woken - (until - early)
            if overshoot > early:
                self._early_s = min(SPIN_MAX_S, early * 1.18 + 1e-6)
            elif overshoot >= 0.0:
                self._early_s = max(5e-6, early * 0.98)
