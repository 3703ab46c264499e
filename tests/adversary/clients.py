"""Clients: what the blocks of a DAG carry. Few keys, so that much depends on the order.

Invariant: a transaction's id is its own but for parts of a gamma transaction, and no block carries one twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Transaction, encode, key_of, result_hash
from nodes.dagbft.field_types import batch_digest
from nodes.dagbft.wire import join_transactions


@dataclass(frozen=True, slots=True)
class Mix:
    """What clients send. Shares of kinds; `keys` are those of a shard."""

    beta: float
    gamma: float
    chained: float
    keys: int
    most: int  # transactions in a block
    readers: int = 0  # foreign shards of which every block reads a key, and does nothing else with it
    writers: float = 0.0  # chance that a block has one more transaction, which adds to a key
    least: int = 1  # operations of an alpha transaction
    unmet: float = 0.1  # of chained ones: that what they depend on never comes
    patience: int = 10  # rounds that a gamma transaction gives its parts, at most
    haste: float = 0.6  # that a part of a gamma transaction that waits goes into the next block of its shard
    again: float = 0.05  # that a block carries a batch that has been sent before
    chase: int = 0  # rounds for which all are about the keys of the last gamma transaction; 0: clients do not

    @classmethod
    def draw(cls, random: Random, n: int) -> Mix:
        """One of the profiles, by weight."""
        name = random.choices(list(PROFILES), [weight for _, weight in PROFILES.values()])[0]
        return PROFILES[name][0](random, n)


def _anything(random: Random, n: int) -> Mix:
    """Everything in all shares."""
    return Mix(
        beta=random.choice((0.0, 0.2, 0.5, 0.8)),
        gamma=random.choice((0.0, 0.03, 0.1, 0.3)),
        chained=random.choice((0.0, 0.3, 0.6)),
        keys=random.choice((1, 2, 2, 3)),
        most=random.choice((1, 2, 4)),
    )


def _readers(random: Random, n: int) -> Mix:
    """All read all shards all the time, and there is little else: what comes between two blocks shows."""
    return Mix(0.0, 0.0, 0.0, random.choice((1, 2, 3)), 0, readers=n - 1, writers=0.5)


def _sparse(random: Random, n: int) -> Mix:
    """So little that often nothing waits, and what happened before is all that matters."""
    return Mix(0.35, random.choice((0.1, 0.2)), 0.0, 2, 1)


def _chasing(random: Random, n: int) -> Mix:
    """Nothing but what is about one gamma transaction at a time: changes that entangle its keys, readers who look."""
    return Mix(
        beta=0.0, gamma=0.5, chained=random.choice((0.0, 0.8)), keys=random.choice((2, 2, 3)), most=0,
        writers=random.choice((0.3, 0.6)), least=2, patience=20, haste=random.choice((0.3, 0.6)),
        chase=random.choice((3, 6, 10)),
    )  # fmt: skip


def _dependent(random: Random, n: int) -> Mix:
    """Most depends on what another did; half of it on what never comes."""
    gamma, unmet, keys, most = random.choice((0.2, 0.4)), random.choice((0.1, 0.5)), random.choice((1, 2)), 4
    return Mix(random.choice((0.0, 0.2)), gamma, 0.8, keys, random.choice((2, most)), unmet=unmet, haste=0.4)


def _impatient(random: Random, n: int) -> Mix:
    """All is sent again and again, parts of gamma transactions too."""
    gamma, keys = random.choice((0.2, 0.4)), random.choice((1, 2))
    return Mix(0.0, gamma, 0.0, keys, 1, readers=2, patience=20, again=0.6)


PROFILES: dict[str, tuple[Callable[[Random, int], Mix], int]] = {
    "anything": (_anything, 3),
    "readers": (_readers, 2),
    "sparse": (_sparse, 1),
    "chasing": (_chasing, 3),
    "dependent": (_dependent, 2),
    "impatient": (_impatient, 2),
}  # and their weights


class Clients:
    """Makes batches for blocks while a DAG grows."""

    def __init__(self, committee: Committee, mix: Mix, random: Random) -> None:
        self.bodies: dict[bytes, bytes] = {}  # batches by their digests
        self._committee = committee
        self._mix = mix
        self._random = random
        self._ids: dict[bytes, frozenset[bytes]] = {}
        self._count = 0
        self._parts: list[list[Transaction]] = [[] for _ in range(committee.n)]  # that still wait for a block, by shard
        self._foreseen: deque[bytes] = deque(maxlen=6)  # results that are certain, if their transactions run
        self._last: tuple[int, tuple[int, ...]] = (-1000, ())  # round and shards of the last gamma transaction
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=3 * committee.n)  # shards and batches

    def payload(self, slot: Slot) -> tuple[bytes, ...]:
        """The batches of a new block."""
        random, shard = self._random, self._committee.shard(slot[1], slot[0])
        batches = []
        waiting, self._parts[shard] = self._parts[shard], []  # those of new transactions go into later blocks
        if sent := self._chase(slot[0], shard) if self._mix.chase else self._looks(shard):
            batches.append(self._batch(sent))
        rest = random.randint(0, self._mix.most)
        while rest > 0:
            size = random.randint(1, rest)
            rest -= size
            batches.append(self._batch([self._transaction(slot[0], shard) for _ in range(size)]))
        for part in waiting:
            if random.random() < self._mix.haste:
                batches.append(self._batch([part]))
            else:
                self._parts[shard].append(part)
        if self._sent and random.random() < self._mix.again:  # by the same author or another
            mine = [batch for home, batch in self._sent if home == shard][-3:]
            again = random.choice(mine if mine and random.random() < 0.7 else [batch for _, batch in self._sent])
            if self._ids[again].isdisjoint(id for batch in batches for id in self._ids[batch]):
                batches.append(again)
        random.shuffle(batches)
        self._sent += [(shard, batch) for batch in batches]
        return tuple(batches)

    def submissions(self, round: int) -> list[bytes]:
        """A transaction for some shard, and parts that have waited for theirs: where workers make the batches."""
        waiting = [part for parts in self._parts for part in parts]
        self._parts = [[] for _ in self._parts]
        new = self._transaction(round, self._random.randrange(self._committee.n))
        return [encode(each) for each in (new, *waiting)]

    def _batch(self, transactions: list[Transaction]) -> bytes:
        body = join_transactions([encode(each) for each in transactions])
        digest = batch_digest(body)
        self.bodies[digest] = body
        self._ids[digest] = frozenset(each.id for each in transactions)
        return digest

    def _operation(self, shard: int, codes: tuple[Code, ...] = tuple(Code)) -> tuple[int, int, int, int]:
        code = self._random.choice(codes)
        key, other = self._key(shard), self._key(shard)
        return int(code), key, other if code == Code.TRANSFER else self._random.randrange(4), self._random.randrange(4)

    def _key(self, shard: int) -> int:
        return key_of(shard, self._random.randrange(self._mix.keys))

    def _looks(self, shard: int) -> list[Transaction]:
        """One for each foreign shard that is read, so that they are final apart; and now and then a change."""
        random, mix = self._random, self._mix
        others = [each for each in range(self._committee.n) if each != shard]
        read = random.sample(others, min(mix.readers, len(others)))
        found = [(Kind.BETA, (int(Code.GET), self._key(foreign), 0, 0)) for foreign in read]
        if random.random() < mix.writers:
            found.append((Kind.ALPHA, (int(Code.ADD), self._key(shard), 0, 1)))
        return [self._one(kind, shard, operation) for kind, operation in found]

    def _chase(self, round: int, shard: int) -> list[Transaction]:
        """A gamma transaction, or what comes too near to the last one."""
        random, mix, (made, hot) = self._random, self._mix, self._last
        if round - made > mix.chase:
            if random.random() >= mix.gamma:
                return []
            return [self._gamma(self._id(), round, shard)]
        found = [self._one(Kind.BETA, shard, (int(Code.GET), self._key(each), 0, 0)) for each in hot if each != shard]
        if (shard in hot or random.random() < mix.chained) and random.random() < mix.writers:
            found.append(self._ordinary(shard))
        random.shuffle(found)
        return found

    def _one(self, kind: Kind, shard: int, *operations: tuple[int, int, int, int]) -> Transaction:
        return Transaction(int(kind), 0, shard, self._id(), NOTHING, 0, 1, 0, operations)

    def _id(self) -> bytes:
        self._count += 1
        return self._count.to_bytes(16, "big")

    def _transaction(self, round: int, shard: int) -> Transaction:
        random, mix = self._random, self._mix
        if random.random() < 0.02:
            shard = random.randrange(self._committee.n)  # a foreign one: void
        return self._gamma(self._id(), round, shard) if random.random() < mix.gamma else self._ordinary(shard)

    def _ordinary(self, shard: int) -> Transaction:
        """One of a single part."""
        random, mix, id = self._random, self._mix, self._id()
        chained = random.random() < mix.chained
        expected = NOTHING
        if chained and random.random() < mix.unmet:
            expected = result_hash(id, (1,))  # never
        elif chained and self._foreseen and random.random() < 0.7:
            expected = random.choice(self._foreseen)
        if random.random() < mix.beta:
            foreign = [each for each in range(self._committee.n) if each != shard]
            operations = [self._operation(random.choice(foreign), (Code.GET,)) for _ in range(random.randint(1, 2))]
            operations.insert(random.randint(0, len(operations)), self._operation(shard))
            kind = Kind.BETA
        else:
            codes = (Code.PUT,) if chained and random.random() < 0.7 else tuple(Code)
            operations = [self._operation(shard, codes) for _ in range(random.randint(mix.least, 3))]
            kind = Kind.ALPHA
        if chained and all(code == Code.PUT for code, *_ in operations):
            self._foreseen.append(result_hash(id, tuple(value for *_, value in operations)))
        return Transaction(int(kind), int(chained), shard, id, expected, 0, 1, 0, tuple(operations))

    def _gamma(self, id: bytes, round: int, home: int) -> Transaction:
        """The home shard's part; the others wait for blocks of theirs. Now and then one never comes."""
        random, n = self._random, self._committee.n
        others = random.sample([shard for shard in range(n) if shard != home], random.choice((1, 1, 2)))
        shards = sorted((home, *others))
        self._last = round, tuple(shards)
        operations = [self._operation(shard) for shard in shards]
        if random.random() < 0.5:
            first, second = random.sample(shards, 2)
            operations.append((int(Code.TRANSFER), self._key(first), self._key(second), random.randrange(3)))
        deadline = round + random.randint(1, self._mix.patience)
        parts = {
            shard: Transaction(int(Kind.GAMMA), 0, shard, id, NOTHING, number, len(shards), deadline, tuple(operations))
            for number, shard in enumerate(shards)
        }
        for shard in others:
            if random.random() < 0.9:
                self._parts[shard].append(parts[shard])
        return parts[home]
