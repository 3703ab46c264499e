"""Certificates on the way: their headers are left out, as the receivers have had them from their author.

Invariant: a certificate that is put together again is the one that was sent, for the header is known by its id. A
receiver that lacks the header asks the sender for the whole certificate; where that does not answer, the children of
the block are what makes it ask others, as after a certificate that was lost.
"""

from __future__ import annotations

from collections import deque

from nodes.dagbft.messages import BareCertificate, Certificate, CertRequest, Header, Message
from nodes.dagbft.primary.effects import ALL

KEPT = 16  # headers of each author, the latest


class Headers:
    """The headers that have come, for as long as their certificates may follow. `n` validators."""

    def __init__(self, n: int) -> None:
        self.put_together = 0  # certificates
        self.asked = 0  # for whole ones
        self._latest: list[deque[Header]] = [deque(maxlen=KEPT) for _ in range(n)]

    def outgoing(self, receiver: int, message: Message) -> Message:
        """What to send in place of a message: certificates to all go without their headers."""
        if receiver != ALL or not isinstance(message, Certificate):
            return message
        return BareCertificate(message.header.id, message.round, message.author, message.votes)

    def incoming(self, peer: int, message: Message) -> tuple[Message | None, Message | None]:
        """What a message that has come stands for, if that can be told, and what to answer at once, if anything."""
        if isinstance(message, Header):
            if message.author == peer:
                self._latest[peer].append(message)
        elif isinstance(message, BareCertificate):
            header = self._find(message)
            if header is None:
                self.asked += 1
                return None, CertRequest((message.digest,))
            self.put_together += 1
            return Certificate(header, message.votes), None
        return message, None

    def _find(self, bare: BareCertificate) -> Header | None:
        if bare.author >= len(self._latest):
            return None
        found = (each for each in self._latest[bare.author] if each.round == bare.round and each.id == bare.header_id)
        return next(found, None)
