"""A liar that offers and sends snapshots of a past that never was.

Invariant: what it says has the form of what an honest validator says; only who compares it with others can tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nodes.dagbft.byzantine.core import ByzantineCore, Sent
from nodes.dagbft.field_types import DIGEST_BYTES
from nodes.dagbft.messages import Message, SnapshotOffer, SnapshotPart, StateReply, StateRequest


class SnapshotForger(ByzantineCore):
    """Offers two snapshots to everybody who asks for state, a true one and one of a far future, and sends neither."""

    def hear(self, peer: int, message: Message) -> None:
        if isinstance(message, StateRequest):
            for offer in self.core.snapshots.offers[-1:]:
                self.lies += 1
                self.send_more(peer, replace(offer, commits=offer.commits + 1000, digest=bytes(DIGEST_BYTES)))
                self.send_more(peer, offer)
        super().hear(peer, message)

    def say(self, receiver: int, message: Message) -> Iterable[Sent]:
        match message:
            case SnapshotPart(commits, part, body):
                self.lies += 1
                return ((receiver, SnapshotPart(commits, part, bytes(len(body)))),)
            case SnapshotOffer() | StateReply():
                return ()
        return ((receiver, message),)
