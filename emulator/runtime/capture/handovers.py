"""Who is at the far end of captured moving links, as the rows of the schedule say it ahead of play.

Invariant: a change is told once, with the scenario time from which it holds; where rows have gone by unread, the newest
one tells what they led to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.schedule.ring import RowRing


class Move(NamedTuple):
    """From `t_s` on node `after` is at the far end of the link, and no longer node `before`; -1: nobody."""

    t_s: float
    link: int
    before: int
    after: int


class Moves:
    """Follows the moving links among those of `ends`; `step` is the first whose row counts."""

    def __init__(self, network: Network, ring: RowRing | None, ends: Iterable[int], step: int = 0) -> None:
        moving = sorted({end // 2 for end in ends if network.links[end // 2].moving})
        self.far = {link: network.links[link].b for link in moving}  # by link
        self._ring = ring
        self._step_s = network.timeline.step_s if network.timeline is not None else 0.0
        self._seen = step
        if moving and ring is not None and ring.holds(step):
            peers = ring.copy(step, ["peer"])["peer"]
            self.far = {link: int(peers[2 * link]) for link in moving}

    def news(self) -> list[Move]:
        """What has become known since the last time."""
        found: list[Move] = []
        ring = self._ring
        if ring is None or not self.far:
            return found
        while self._seen < ring.latest:
            step = self._seen + 1
            try:
                peers = ring.copy(step, ["peer"])["peer"]
            except LookupError:
                self._seen = step = ring.latest
                peers = ring.copy(step, ["peer"])["peer"]
            for link, before in self.far.items():
                after = int(peers[2 * link])
                if after != before:
                    found.append(Move(step * self._step_s, link, before, after))
                    self.far[link] = after
            self._seen = step
        return found
