"""A clock that stands still until somebody sleeps, and then jumps."""

from __future__ import annotations


class JumpingClock:
    """A clock that moves only when told."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s

    def now(self) -> float:
        return self._now_s

    def jump_to(self, t_s: float) -> None:
        if t_s < self._now_s:
            raise ValueError(f"the clock stands at {self._now_s} s and cannot go back to {t_s} s")
        self._now_s = t_s
