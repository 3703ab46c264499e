"""A validator that offers snapshots of commits that do not exist.

Invariant: its messages are well formed; only a comparison with other validators' offers reveals them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nodes.dagbft.byzantine.core import ByzantineCore, Sent
from nodes.dagbft.field_types import DIGEST_BYTES
from nodes.dagbft.messages import Message, SnapshotOffer, SnapshotPart, StateReply, StateRequest


class SnapshotForger(ByzantineCore):
    """Answers each request for state with offers of two snapshots, a true one and one far ahead, and sends neither."""

    def receive(self, peer: int, message: Message) -> None:
        if isinstance(message, StateRequest):
            for offer in self.core.snapshots.offers[-1:]:
                self.lies += 1
                self.send_more(peer, replace(offer, commits=offer.commits + 1000, digest=bytes(DIGEST_BYTES)))
                self.send_more(peer, offer)
        super().receive(peer, message)

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        match message:
            case SnapshotPart(commits, part, body):
                self.lies += 1
                return ((receiver, SnapshotPart(commits, part, bytes(len(body)))),)
            case SnapshotOffer() | StateReply():
                return ()
        return ((receiver, message),)
