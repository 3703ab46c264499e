"""Byzantine headers: two for one round, a foreign shard, false keys, an invalid share of the coin.

Invariant: each of these headers is signed and, apart from the one false field, as a correct header is.
"""

from __future__ import annotations

from collections.abc import Iterable

from nodes.dagbft.byzantine.core import ByzantineCore, Sent
from nodes.dagbft.field_types import digest_of
from nodes.dagbft.messages import Header, Message
from nodes.dagbft.wire import join_transactions


class Equivocator(ByzantineCore):
    """Sends one header to one half of the others, another to the other half, and certifies whichever it can.

    In odd rounds each half also receives the other's header, so that accomplices can vote for both.
    """

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header) or message.author != self.core.me:
            return ((receiver, message),)
        other = self._other(message)
        self.count_votes(message)  # the correct core would give one up when the other is certified
        sent = [(peer, message if number % 2 else other) for number, peer in enumerate(self.others(receiver))]
        if message.round % 2:
            sent += [(peer, other if number % 2 else message) for number, peer in enumerate(self.others(receiver))]
        return sent

    def _other(self, header: Header) -> Header:
        """A second valid header: fewer batches or parents, a batch of another validator, or one inside the header."""
        if header.names:
            return self.forge(header, payload=(), inline=b"", summary=self.core.payload.summary(()))
        if len(header.parents) > self.core.roster.committee.quorum:
            return self.forge(header, parents=header.parents[1:])
        if held := tuple(self.core.payload._held)[:1]:
            return self.forge(header, payload=held, summary=self.core.payload.summary(held))
        inline = join_transactions((header.id,))
        return self.forge(header, inline=inline, summary=self.core.payload.summary((), self.core.keys_of(inline)))


class WrongShard(ByzantineCore):
    """Claims the shard of its neighbour in its headers."""

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header):
            return ((receiver, message),)
        return ((receiver, self.forge(message, shard=(message.shard + 1) % self.core.roster.committee.n)),)


class WrongSummary(ByzantineCore):
    """Signs a digest of keys other than those that its batches may write."""

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header):
            return ((receiver, message),)
        return ((receiver, self.forge(message, summary=digest_of("dagbft lie", message.summary))),)


class WrongWorker(ByzantineCore):
    """Names for each batch a worker that does not have it, so that it cannot be fetched there."""

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header) or not message.payload:
            return ((receiver, message),)
        workers = self.core.roster.workers
        return (
            (receiver, self.forge(message, payload=tuple((name, (w + 1) % workers) for name, w in message.payload))),
        )


class BadCoin(ByzantineCore):
    """Sends invalid shares of the coin: one bit of the proof, all of it, or another validator's share, in turn."""

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header) or message.round % 4:
            return ((receiver, message),)
        share = message.coin_share
        spoilt = (bytes((share[0] ^ 1,)) + share[1:], bytes(len(share)), share[:-1])[self.lies % 3] if share else b"?"
        return ((receiver, self.forge(message, coin_share=spoilt)),)


class Shunner(ByzantineCore):
    """Omits the parent that was in charge of the same shard, if enough other parents remain.

    If such a header leads, it is ordered before the block that it omits.
    """

    def outgoing(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header) or message.round == 1:
            return ((receiver, message),)
        committee = self.core.roster.committee
        shunned = self.core.blocks.at((message.round - 1, committee.owner(message.shard, message.round - 1)))
        left = tuple(parent for parent in message.parents if shunned is None or parent != shunned.digest)
        if len(left) in (len(message.parents), committee.quorum - 1):
            return ((receiver, message),)
        return ((receiver, self.forge(message, parents=left)),)
