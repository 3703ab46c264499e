"""Liars about their own headers: two for one round, a foreign shard, false keys, a spoilt share of the coin.

Invariant: each of these headers is signed and, but for the one lie, as an honest header is.
"""

from __future__ import annotations

from collections.abc import Iterable

from nodes.dagbft.byzantine.core import ByzantineCore, Sent
from nodes.dagbft.field_types import digest_of
from nodes.dagbft.messages import Header, Message
from nodes.dagbft.wire import join_transactions


class Equivocator(ByzantineCore):
    """Sends one header to one half of the others, another to the other half, and certifies whichever it can.

    In odd rounds each half is shown the other's header too, so that accomplices can vote for both.
    """

    def say(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header) or message.author != self.core.me:
            return ((receiver, message),)
        other = self._other(message)
        self.count_votes(message)  # and not by the honest core, which would give up on one when the other is certified
        sent = [(peer, message if number % 2 else other) for number, peer in enumerate(self.others(receiver))]
        if message.round % 2:
            sent += [(peer, other if number % 2 else message) for number, peer in enumerate(self.others(receiver))]
        return sent

    def _other(self, header: Header) -> Header:
        """A second header that is valid: fewer batches, or fewer parents, a batch of somebody else or one inside."""
        if header.names:
            return self.forge(header, payload=(), inline=b"", summary=self.core.payload.summary(()))
        if len(header.parents) > self.core.roster.committee.quorum:
            return self.forge(header, parents=header.parents[1:])
        if held := tuple(self.core.payload._held)[:1]:
            return self.forge(header, payload=held, summary=self.core.payload.summary(held))
        inline = join_transactions((header.id,))
        return self.forge(header, inline=inline, summary=self.core.payload.summary((), self.core.keys_of(inline)))


class WrongShard(ByzantineCore):
    """Says that its headers are in charge of the shard of its neighbour."""

    def say(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header):
            return ((receiver, message),)
        return ((receiver, self.forge(message, shard=(message.shard + 1) % self.core.roster.committee.n)),)


class WrongSummary(ByzantineCore):
    """Signs a digest of keys that are not the ones its batches may write."""

    def say(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header):
            return ((receiver, message),)
        return ((receiver, self.forge(message, summary=digest_of("dagbft lie", message.summary))),)


class WrongWorker(ByzantineCore):
    """Names for each batch a worker that does not have it, so that nobody could fetch it from there."""

    def say(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header) or not message.payload:
            return ((receiver, message),)
        workers = self.core.roster.workers
        return (
            (receiver, self.forge(message, payload=tuple((name, (w + 1) % workers) for name, w in message.payload))),
        )


class BadCoin(ByzantineCore):
    """Spoils its shares of the coin: one bit of the proof, all of it, or somebody else's share, in turn."""

    def say(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header) or message.round % 4:
            return ((receiver, message),)
        share = message.coin_share
        spoilt = (bytes((share[0] ^ 1,)) + share[1:], bytes(len(share)), share[:-1])[self.lies % 3] if share else b"?"
        return ((receiver, self.forge(message, coin_share=spoilt)),)


class Shunner(ByzantineCore):
    """Leaves out the parent that was in charge of the same shard, wherever enough others are left.

    Where such a header leads, it is ordered before the block that it left out.
    """

    def say(self, receiver: int, message: Message) -> Iterable[Sent]:
        if not isinstance(message, Header) or message.round == 1:
            return ((receiver, message),)
        committee = self.core.roster.committee
        shunned = self.core.blocks.at((message.round - 1, committee.owner(message.shard, message.round - 1)))
        left = tuple(parent for parent in message.parents if shunned is None or parent != shunned.digest)
        if len(left) in (len(message.parents), committee.quorum - 1):
            return ((receiver, message),)
        return ((receiver, self.forge(message, parents=left)),)
