"""Load: the transactions that an open-loop client sends, and their times.

Invariant: sending times do not depend on answers (an open loop, Poisson arrivals), so that a slow committee appears as
latency and not as a smaller load.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from random import Random

from emulator.model.errors import Unfit
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.execution.transactions import (
    MOST_WAIT_ROUNDS,
    NOTHING,
    Code,
    Kind,
    Operations,
    Transaction,
    encode,
    key_of,
)

HOT_KEYS = 4  # keys of each shard that conflicting transactions share
PRIVATE_KEYS = 1 << 10  # keys of each client in each shard; bounded, so that the validators' state is bounded


@dataclass(frozen=True, slots=True)
class LoadConfig:
    """The open loop of a client. Shares are fractions of all transactions of the open loop."""

    rate: float = 100.0  # transactions a second
    size_bytes: int = 512
    start_s: float = 0.0
    stop_s: float = inf
    conflict: float = 0.0  # share that writes and reads keys which other clients use too
    cross_shard: float = 0.0  # share of beta transactions
    gamma: float = 0.0  # share of gamma transactions, over two shards
    lead_rounds: int = 2  # from an own header to the one that contains the transactions sent after it

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1e6:
            raise Unfit(f"rate {self.rate}", "0 to 1e6 transactions a second")
        if self.cross_shard + self.gamma > 1:
            raise Unfit(f"cross-shard and gamma shares of {self.cross_shard + self.gamma}", "at most 1")
        if not 0 <= self.size_bytes <= 1 << 16:
            raise Unfit(f"transactions of {self.size_bytes} bytes", f"at most {1 << 16}")


class Load:
    """Arrivals and transactions of one client, which is number `client` and next to validator `me`."""

    def __init__(self, committee: Committee, me: int, client: int, config: LoadConfig, random: Random, first: int = 0):
        self.round = 0  # the latest known round
        self.header = 0  # round of the latest known own header; 0: none
        self._committee, self._me, self._client = committee, me, client
        self._config, self._random = config, random
        self._next = first  # number of the next transaction
        self._due_s = config.start_s + self._gap_s()

    @property
    def due_s(self) -> float:
        """When the next transaction is to be sent; inf: never."""
        return self._due_s if self._due_s < self._config.stop_s else inf

    def arrive(self) -> tuple[str, bytes, list[bytes]]:
        """The transaction that is due: its kind, its identifier, and the bytes of all its parts."""
        self._due_s += self._gap_s()
        config, chance = self._config, self._random.random()
        if chance < config.gamma:
            return self._gamma()
        home = self.home()
        operation = (int(Code.ADD), self.key(home), 0, 1)
        if chance < config.gamma + config.cross_shard:
            foreign = (home + self._random.randrange(1, self._committee.n)) % self._committee.n
            operations: Operations = ((int(Code.GET), self.key(foreign), 0, 0), operation)
            return "beta", *self._one(Kind.BETA, home, operations)
        return "alpha", *self._one(Kind.ALPHA, home, (operation,))

    def link(self, expected: bytes) -> tuple[bytes, bytes]:
        """The next transaction of a chain, which depends on the result `expected`: identifier and bytes."""
        home = self.home()
        operations = ((int(Code.ADD), self.key(home), 0, 1),)
        id = self._id()
        return id, self._encode(Transaction(int(Kind.ALPHA), 1, home, id, expected, 0, 1, 0, operations))

    def home(self) -> int:
        """The home shard of the next transaction: that of the own header which it reaches, so that it need not wait for
        the turn of another shard; a random shard if no header is known yet.
        """
        if self.header:
            return self._committee.shard(self._me, self.header + self._config.lead_rounds)
        return self._random.randrange(self._committee.n)

    def key(self, shard: int) -> int:
        """A key of a shard, private to this client or shared by all."""
        if self._random.random() < self._config.conflict:
            return key_of(shard, self._random.randrange(HOT_KEYS))
        return key_of(shard, (self._client + 1) * PRIVATE_KEYS + self._random.randrange(PRIVATE_KEYS))

    def _gamma(self) -> tuple[str, bytes, list[bytes]]:
        """A transfer from the home shard to the shard that the own validator has in the next round."""
        home = self.home()
        shards = sorted((home, (home + 1) % self._committee.n))
        one, other = self.key(shards[0]), self.key(shards[1])
        operations = ((int(Code.ADD), one, 0, 2), (int(Code.TRANSFER), one, other, 1))
        id, deadline = self._id(), self.round + MOST_WAIT_ROUNDS // 2
        parts = [
            Transaction(int(Kind.GAMMA), 0, shard, id, NOTHING, part, 2, deadline, operations)
            for part, shard in enumerate(shards)
        ]
        return "gamma", id, [self._encode(part) for part in parts]

    def _one(self, kind: Kind, home: int, operations: Operations) -> tuple[bytes, list[bytes]]:
        id = self._id()
        return id, [self._encode(Transaction(int(kind), 0, home, id, NOTHING, 0, 1, 0, operations))]

    def _encode(self, transaction: Transaction) -> bytes:
        return encode(transaction).ljust(self._config.size_bytes, b"\0")

    def _id(self) -> bytes:
        number, self._next = self._next, self._next + 1
        return self._client.to_bytes(8, "big") + number.to_bytes(8, "big")

    def _gap_s(self) -> float:
        return self._random.expovariate(self._config.rate) if self._config.rate else inf
