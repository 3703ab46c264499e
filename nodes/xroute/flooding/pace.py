"""How much may be said to a neighbour, or heard from it, in a time: a token bucket.

Invariant: in any span of t seconds at most `burst_bytes + t * rate_bytes_per_s` bytes pass.
"""

from __future__ import annotations

from emulator.model.errors import Unfit

__all__ = ["TokenBucket"]


class TokenBucket:
    """Full at first; time is passed in, and never goes back."""

    def __init__(self, rate_bytes_per_s: int, burst_bytes: int, now_ms: int) -> None:
        if rate_bytes_per_s <= 0 or burst_bytes <= 0:
            raise Unfit(f"{rate_bytes_per_s} bytes/s in bursts of {burst_bytes}", "more than 0 of both")
        self._rate, self._burst = rate_bytes_per_s, burst_bytes
        self._milli = burst_bytes * 1000  # thousandths of a byte, so that nothing is lost to rounding
        self._at_ms = now_ms

    def spend(self, count: int, now_ms: int) -> bool:
        """Let so many bytes pass; False, and nothing is spent, where there are not enough."""
        self._milli = min(self._burst * 1000, self._milli + max(0, now_ms - self._at_ms) * self._rate)
        self._at_ms = max(self._at_ms, now_ms)
        if self._milli < count * 1000:
            return False
        self._milli -= count * 1000
        return True
