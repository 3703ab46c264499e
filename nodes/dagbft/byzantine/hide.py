"""A validator that hides its blocks: it reveals a chain that no block references after others dropped its rounds.

Invariant: no header equivocates or violates a rule: each rests on a quorum that includes its own block. A correct
validator that is slow enough would do the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from nodes.dagbft.byzantine.core import ByzantineCore, Sent
from nodes.dagbft.messages import Certificate, CertReply, Header, Message, StateReply
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.effects import ALL


class Hider(ByzantineCore):
    """Up to round `until` it sends its headers to q - 1 others only, and each certificate to these after their next
    one.

    Its blocks rest on its own and those of these q - 1. From then on it is correct.
    """

    def __init__(self, core: PrimaryCore, until: int = 61) -> None:
        super().__init__(core)
        self.until = until
        committee = core.roster.committee
        self.shown = [(core.me + step) % committee.n for step in range(1, committee.quorum)]
        self._passed = dict.fromkeys(self.shown, 0)  # the highest round of which each has made a header
        self._held: dict[int, Certificate] = {}

    def receive(self, peer: int, message: Message) -> None:
        if isinstance(message, Header) and peer in self._passed:
            self._passed[peer] = max(self._passed[peer], message.round)
            self._show()
        super().receive(peer, message)

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        if isinstance(message, CertReply | StateReply):
            return ((receiver, message),) if receiver in self.shown or not self.hides else ()
        if not isinstance(message, Header | Certificate) or message.round > self.until:
            return ((receiver, message),)
        self.lies += 1
        if isinstance(message, Certificate):
            self._held[message.round] = message
            return ()
        chosen = [self.core.blocks.at((message.round - 1, author)) for author in (self.core.me, *self.shown)]
        if message.round > 1 and None not in chosen:
            message = self.forge(message, parents=tuple(sorted(each.digest for each in chosen if each is not None)))
        return tuple((other, message) for other in self.shown)

    def send_more(self, receiver: int, message: Message) -> None:
        if isinstance(message, Certificate) and message.round <= self.until:
            self._held[message.round] = message
        else:
            super().send_more(receiver, message)

    @property
    def hides(self) -> bool:
        return bool(self.core.pace.round <= self.until)

    def _show(self) -> None:
        """Send the certificates of rounds for which their receivers have already made a later header."""
        for round in [round for round in self._held if round < min(self._passed.values())]:
            certificate = self._held.pop(round)
            for other in self.shown:
                super().send_more(other, certificate)
        if not self.hides and self._held:
            for certificate in self._held.values():
                super().send_more(ALL, certificate)
            self._held.clear()
