"""Certificates are sent without their headers, which the receivers already have from the author.

Invariant: the certificate that a receiver puts together equals the one that was sent, as the header is identified by
its digest. A receiver that lacks the header requests the whole certificate from the sender; if that does not answer,
the children of the block make it request the block from others, as after a lost certificate.
"""

from __future__ import annotations

from collections import deque

from emulator.sdk.transport.mesh import Mesh
from nodes.dagbft.messages import BareCertificate, Certificate, CertRequest, Header, Message
from nodes.dagbft.primary.effects import ALL, Effects

KEPT = 16  # headers of each author, the latest


class Headers:
    """Received headers, kept while their certificates may follow. `n` validators."""

    def __init__(self, n: int) -> None:
        self.put_together = 0  # certificates completed with a header
        self.asked = 0  # requests for whole certificates
        self._latest: list[deque[Header]] = [deque(maxlen=KEPT) for _ in range(n)]

    def outgoing(self, receiver: int, message: Message) -> Message:
        """The message to send: a certificate to all validators is sent without its header."""
        if receiver != ALL or not isinstance(message, Certificate):
            return message
        return BareCertificate(message.header.id, message.round, message.author, message.votes)

    def send(self, primaries: Mesh[Message], effects: Effects) -> None:
        """Send what a primary has for others, whose records are on disk by now, and forget the rounds collected."""
        for receiver, message in effects.send:
            round = getattr(message, "round", None)
            if receiver == ALL:
                primaries.broadcast(self.outgoing(receiver, message), round)
            else:
                primaries.send(receiver, message, round)
        if effects.floor is not None:
            primaries.forget(effects.floor)

    def incoming(self, peer: int, message: Message) -> tuple[Message | None, Message | None]:
        """The received message with its header restored (None if it is not here), and a request to send, if any."""
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
