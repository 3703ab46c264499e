"""Byzantine votes: a validator that votes for every header, and twins with one key.

Invariant: a false vote is signed; the f + 1 common members of two quorums must outweigh two such votes on one slot.
"""

from __future__ import annotations

from typing import Any

from nodes.dagbft.byzantine.core import ByzantineCore
from nodes.dagbft.field_types import vote_digest
from nodes.dagbft.messages import Header, Message, Vote
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.effects import Effects
from nodes.dagbft.primary.payload import Keys


class DoubleVoter(ByzantineCore):
    """Votes at once for every header that it receives, whatever it lacks and whatever it has voted for before."""

    def receive(self, peer: int, message: Message) -> None:
        core = self.core
        if isinstance(message, Header):
            signature = core._signer.sign(vote_digest(message.id, message.round, message.author))
            self.send_more(message.author, Vote(message.id, message.round, message.author, core.me, signature))
            self.lies += 1
        core.on_message(peer, message, self.now_s)


class Twins(ByzantineCore):
    """Two correct cores with one key. Each peer talks to one of them; every `swap_s` some move to the other.

    Only the first core has a disk, workers and a history.
    """

    def __init__(self, core: PrimaryCore, twin: PrimaryCore, swap_s: float = float("inf")) -> None:
        super().__init__(core)
        self.twin = twin
        self.swap_s = swap_s

    def is_with_twin(self, peer: int) -> bool:
        """Whether a peer talks to the second core now."""
        turn = int(self.now_s / self.swap_s) if self.swap_s != float("inf") else 0
        return (peer + turn) % 2 == 1

    def receive(self, peer: int, message: Message) -> None:
        (self.twin if self.is_with_twin(peer) else self.core).on_message(peer, message, self.now_s)

    def on_batch(self, digest: bytes, worker: int, keys: Keys, own: bool, now_s: float, *more: Any) -> None:
        super().on_batch(digest, worker, keys, own, now_s, *more)
        self.twin.on_batch(digest, worker, keys, own, now_s, *more)

    def on_sealed(self, worker: int, round: int, inline: bytes, now_s: float) -> None:
        super().on_sealed(worker, round, inline, now_s)
        self.twin.on_sealed(worker, round, inline, now_s)

    def tick(self, now_s: float) -> None:
        super().tick(now_s)
        self.twin.tick(now_s)

    def take(self) -> Effects:
        effects, second = super().take(), self.twin.take()
        sent = [(peer, message) for receiver, message in effects.send for peer in self.others(receiver)]
        also = [(peer, message) for receiver, message in second.send for peer in self.others(receiver)]
        effects.send = [each for each in sent if not self.is_with_twin(each[0])]
        effects.send += [each for each in also if self.is_with_twin(each[0])]
        effects.workers += second.workers
        self.lies += sum(isinstance(message, Header) for _, message in also)
        return effects

    def next_deadline_s(self) -> float:
        return min(self.core.next_deadline_s(), self.twin.next_deadline_s())
