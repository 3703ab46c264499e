"""Validators that behave as a correct one that has lost some of its records.

Invariant: they lose only messages and records that a crash at the worst moment, or a lost disk, would lose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nodes.dagbft.byzantine.core import ByzantineCore, Sent
from nodes.dagbft.messages import Header, Message, Vote
from nodes.dagbft.primary.core import PrimaryCore


class VoteLoser(ByzantineCore):
    """Its first vote on each header is lost, as by a crash between reading and voting."""

    def __init__(self, core: PrimaryCore) -> None:
        super().__init__(core)
        self._lost: dict[tuple[int, int], None] = {}

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        if isinstance(message, Vote) and (message.round, message.author) not in self._lost:
            self._lost[message.round, message.author] = None
            if len(self._lost) > 1 << 12:
                del self._lost[next(iter(self._lost))]
            self.lies += 1
            return ()
        return ((receiver, message),)


class TwiceWiped(ByzantineCore):
    """Loses its disk every `every_s` without noticing it: after each loss it votes at once, as a new validator."""

    def __init__(self, core: PrimaryCore, again: Callable[[], PrimaryCore], every_s: float = 5.0) -> None:
        super().__init__(core)
        self._again = again
        self._every_s = every_s
        self._due_s = every_s

    def tick(self, now_s: float) -> None:
        if now_s >= self._due_s:
            self._due_s = now_s + self._every_s
            self.core = self._again()
            self.lies += 1
        super().tick(now_s)

    def receive(self, peer: int, message: Message) -> None:
        if isinstance(message, Header) and self.core.votes.find((message.round, message.author)) is None:
            self.lies += 1  # it may have voted differently before the loss
        super().receive(peer, message)

    def next_deadline_s(self) -> float:
        return min(self.core.next_deadline_s(), self._due_s)
