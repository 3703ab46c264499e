"""How much may wait in a link end's queue: bytes, packets, time, whichever is full first.

Invariant: the packet in transmission is apart from the bounds, and a bound that is exactly met is kept.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from emulator.network import Effects


class Bounds(NamedTuple):
    """The bounds of one queue; inf where there is none."""

    most_bytes: float
    most_packets: float
    most_s: float

    @staticmethod
    def of(effects: Effects) -> Bounds | None:
        """The bounds that the effects name; None for a queue without any."""
        bounds = Bounds(effects.queue_bytes, effects.queue_packets, effects.queue_s)
        return None if bounds == (inf, inf, inf) else bounds

    def admit(self, waiting_bytes: float, waiting_packets: int, wait_s: float) -> bool:
        """Whether a queue may hold so much: bytes and packets with the newcomer, and the newcomer's own wait."""
        return (
            waiting_bytes <= self.most_bytes
            and waiting_packets <= self.most_packets
            and (self.most_s == inf or wait_s <= self.most_s * (1 + 1e-12))
        )

    def seconds_only(self, least_s: float) -> bool:
        """Whether only time bounds the queue, and it is as long as `least_s` at the least."""
        return self.most_bytes == self.most_packets == inf and self.most_s >= least_s
