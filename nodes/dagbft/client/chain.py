"""A chain of dependent transactions: each is sent on the speculative result of the one before.

Invariant: links are confirmed strictly in order. If a final result differs from the speculative one, all later links
are dropped (they abort when executed, as the result that they expect did not occur) and the chain continues from the
last confirmed link; a confirmed link is never lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from emulator.model.errors import Unfit
from nodes.dagbft.execution.executor import UNMET
from nodes.dagbft.execution.transactions import NOTHING, result_hash

CONFIRMS = ("none", "commit", "early")  # no speculation; speculate, confirm at commit; speculate, confirm early
Send = Callable[[bytes], bytes]  # sends a link that expects this result hash; returns its identifier


@dataclass(slots=True)
class Link:
    """A link that has been sent and is not confirmed."""

    id: bytes
    sent_s: float
    guess: bytes = b""  # hash of the speculative result; empty: none yet
    final: bytes = b""


class Chain:
    """One chain of `length` links, at most `ahead` of them sent and not confirmed."""

    def __init__(self, confirm: str, length: int, ahead: int, send: Send) -> None:
        if confirm not in CONFIRMS:
            raise Unfit(f"confirm {confirm!r}", f"one of {', '.join(CONFIRMS)}")
        self.confirmed = 0
        self.sends = 0
        self.wasted = 0  # links that were sent and dropped
        self.rollbacks = 0
        self.links: deque[Link] = deque()
        self._confirm, self._length, self._ahead, self._send = confirm, length, ahead, send
        self._last = NOTHING  # hash of the last confirmed result

    @property
    def done(self) -> bool:
        return self.confirmed == self._length

    def advance(self, now_s: float) -> None:
        """Send the next link if it can be sent."""
        while len(self.links) < self._ahead and self.confirmed + len(self.links) < self._length:
            expected = self._last
            if self.links:
                expected = self.links[-1].guess
                if not expected or self._confirm == "none":
                    return
            self.sends += 1
            self.links.append(Link(self._send(expected), now_s))

    def speculated(self, id: bytes, hash: bytes, now_s: float) -> None:
        """A speculative result."""
        for link in self.links:
            if link.id == id and not link.guess:
                link.guess = hash
        self.advance(now_s)

    def finished(self, id: bytes, hash: bytes, early: bool, now_s: float) -> list[Link]:
        """Record a final result, new or repeated; returns the links that it confirms, in order."""
        if early and self._confirm != "early":
            return []
        for link in self.links:
            if link.id == id and not link.final:
                link.final = hash
        confirmed: list[Link] = []
        while self.links and self.links[0].final:
            link = self.links.popleft()
            if link.final == result_hash(link.id, UNMET):  # its dependency was not met in time
                self._roll_back(1)
                self._last = NOTHING
                break
            confirmed.append(link)
            self.confirmed += 1
            self._last = link.final
            if self.links and link.guess != link.final:
                self._roll_back(0)
        self.advance(now_s)
        return confirmed

    def _roll_back(self, more: int) -> None:
        """Drop all later links."""
        self.rollbacks += 1
        self.wasted += len(self.links) + more
        self.links.clear()
