"""The time that a relayer was last told.

Invariant: it never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Clock:
    """Nanoseconds since 1970."""

    now_ns: int = 0

    def tell(self, now_ns: int) -> None:
        self.now_ns = max(self.now_ns, now_ns)

    def after_s(self, delay_s: float) -> float:
        """The moment so many seconds from now."""
        return self.now_ns + delay_s * 1e9
