"""Clients: what the blocks of a DAG carry. Few keys, so that much depends on the order.

Invariant: a transaction's id is its own but for parts of a gamma transaction, and no block carries one twice.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Transaction, encode, key_of, result_hash
from nodes.dagbft.kinds import batch_digest
from nodes.dagbft.wire import join_transactions


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of kinds; `keys` are those of a shard."""

    beta: float
    gamma: float
    chained: float
    keys: int
    most: int  # transactions in a block

    @classmethod
    def draw(cls, random: Random) -> Mix:
        return cls(
            beta=random.choice((0.0, 0.2, 0.5, 0.8)),
            gamma=random.choice((0.0, 0.03, 0.1, 0.3)),
            chained=random.choice((0.0, 0.3, 0.6)),
            keys=random.choice((1, 2, 2, 3)),
            most=random.choice((1, 2, 4)),
        )


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
        self._sent: deque[bytes] = deque(maxlen=12)  # batches

    def payload(self, slot: Slot) -> tuple[bytes, ...]:
        """The batches of a new block."""
        random, shard = self._random, self._committee.shard(slot[1], slot[0])
        batches = []
        waiting, self._parts[shard] = self._parts[shard], []  # those of new transactions go into later blocks
        rest = random.randint(0, self._mix.most)
        while rest > 0:
            size = random.randint(1, rest)
            rest -= size
            batches.append(self._batch([self._transaction(slot[0], shard) for _ in range(size)]))
        for part in waiting:
            if random.random() < 0.6:
                batches.append(self._batch([part]))
            else:
                self._parts[shard].append(part)
        if self._sent and random.random() < 0.05:  # again, by the same author or another, in this shard or another
            again = random.choice(self._sent)
            if self._ids[again].isdisjoint(id for batch in batches for id in self._ids[batch]):
                batches.append(again)
        random.shuffle(batches)
        self._sent += batches
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

    def _transaction(self, round: int, shard: int) -> Transaction:
        random, mix = self._random, self._mix
        self._count += 1
        id = self._count.to_bytes(16, "big")
        if random.random() < 0.02:
            shard = random.randrange(self._committee.n)  # a foreign one: void
        chance = random.random()
        if chance < mix.gamma:
            return self._gamma(id, round, shard)
        chained = random.random() < mix.chained
        expected = NOTHING
        if chained and self._foreseen and random.random() < 0.7:
            expected = random.choice(self._foreseen)
        elif chained and random.random() < 0.3:
            expected = result_hash(id, (1,))  # never
        if chance < mix.gamma + mix.beta:
            foreign = [each for each in range(self._committee.n) if each != shard]
            operations = [self._operation(random.choice(foreign), (Code.GET,)) for _ in range(random.randint(1, 2))]
            operations.insert(random.randint(0, len(operations)), self._operation(shard))
            kind = Kind.BETA
        else:
            codes = (Code.PUT,) if chained and random.random() < 0.7 else tuple(Code)
            operations = [self._operation(shard, codes) for _ in range(random.randint(1, 3))]
            kind = Kind.ALPHA
        if chained and all(code == Code.PUT for code, *_ in operations):
            self._foreseen.append(result_hash(id, tuple(value for *_, value in operations)))
        return Transaction(int(kind), int(chained), shard, id, expected, 0, 1, 0, tuple(operations))

    def _gamma(self, id: bytes, round: int, home: int) -> Transaction:
        """The home shard's part; the others wait for blocks of theirs. Now and then one never comes."""
        random, n = self._random, self._committee.n
        others = random.sample([shard for shard in range(n) if shard != home], random.choice((1, 1, 2)))
        shards = sorted((home, *others))
        operations = [self._operation(shard) for shard in shards]
        if random.random() < 0.5:
            first, second = random.sample(shards, 2)
            operations.append((int(Code.TRANSFER), self._key(first), self._key(second), random.randrange(3)))
        deadline = round + random.randint(1, 10)
        parts = {
            shard: Transaction(int(Kind.GAMMA), 0, shard, id, NOTHING, number, len(shards), deadline, tuple(operations))
            for number, shard in enumerate(shards)
        }
        for shard in others:
            if random.random() < 0.9:
                self._parts[shard].append(parts[shard])
        return parts[home]
