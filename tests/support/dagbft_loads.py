"""Random transactions on random DAGs, and ledgers that are fed with them: what tests of the execution share."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Consensus, Rules
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Transaction, encode, key_of, result_hash
from nodes.dagbft.field_types import batch_digest
from nodes.dagbft.wire import join_transactions


@dataclass
class Mix:
    """Shares of kinds, and how many keys a shard has: few make conflicts."""

    beta: float = 0.2
    gamma: float = 0.1
    chained: float = 0.2
    keys: int = 4
    per_block: int = 4
    lost_parts: float = 0.2  # of gamma transactions, one part never comes
    wrong_shard: float = 0.05


class Loads:
    """Bodies of batches for the blocks of a DAG."""

    def __init__(self, committee: Committee, blocks: list[Block], mix: Mix, random: Random) -> None:
        self.committee, self.mix, self.random = committee, mix, random
        self._count = 0
        self.transactions: dict[tuple[int, int], list[Transaction]] = {block.slot: [] for block in blocks}
        self._slots = sorted(self.transactions)
        self._chains: list[tuple[Transaction, tuple[int, int]]] = []
        for slot in self._slots:
            for _ in range(random.randint(0, mix.per_block)):
                self._add(slot)
        self.bodies = {
            slot: join_transactions([encode(each) for each in found]) for slot, found in self.transactions.items()
        }
        self.payloads = {slot: [batch_digest(body)] if body else [] for slot, body in self.bodies.items()}
        self.batches = {batch_digest(body): body for body in self.bodies.values()}

    def repeat(self, share: float) -> None:
        """Have some blocks carry the batch of another one, too."""
        digests = list(self.batches)
        for payload in self.payloads.values():
            if self.random.random() < share and (digest := self.random.choice(digests)) not in payload:
                payload.append(digest)

    def _id(self) -> bytes:
        self._count += 1
        return self._count.to_bytes(16, "big")

    def _key(self, shard: int) -> int:
        return key_of(shard, self.random.randrange(self.mix.keys))

    def _operation(self, shard: int, *, read: bool = False) -> tuple[int, int, int, int]:
        random = self.random
        code = Code.GET if read else random.choice(list(Code))
        other = self._key(shard) if code == Code.TRANSFER else random.randrange(4)
        return int(code), self._key(shard), other, random.randrange(4)

    def _add(self, slot: tuple[int, int]) -> None:
        random, mix, n = self.random, self.mix, self.committee.n
        round, author = slot
        shard = self.committee.shard(author, round)
        if random.random() < mix.wrong_shard:
            shard = random.randrange(n)
        chance = random.random()
        if chance < mix.gamma:
            self._add_gamma(slot)
            return
        home = self._operation(shard)
        if chance < mix.gamma + mix.beta:
            foreign = self._operation(random.choice([each for each in range(n) if each != shard]), read=True)
            operations, kind = random.choice([(home, foreign), (foreign, home)]), Kind.BETA
        else:
            operations, kind = tuple(self._operation(shard) for _ in range(random.randint(1, 2))), Kind.ALPHA
        chained = int(random.random() < mix.chained)
        expected = NOTHING
        if chained and self._chains:
            before, _ = random.choice(self._chains[-4:])
            # small values: now and then the guess of what the one before puts out is right
            guess = tuple(random.choice((0, 1, 2, 3, 4)) for _ in before.operations)
            expected = result_hash(before.id, guess)
        transaction = Transaction(int(kind), chained, shard, self._id(), expected, 0, 1, 0, operations)
        if chained:
            self._chains.append((transaction, slot))
        self.transactions[slot].append(transaction)

    def _add_gamma(self, slot: tuple[int, int]) -> None:
        random, n = self.random, self.committee.n
        shards = sorted(random.sample(range(n), random.randint(2, 3)))
        operations = tuple(self._operation(shard) for shard in shards)
        first, second = random.sample(shards, 2)
        operations += ((int(Code.TRANSFER), self._key(first), self._key(second), random.randrange(3)),)
        deadline = slot[0] + random.randint(2, 12)
        id = self._id()
        places = {
            shard: [
                (round, author)
                for round, author in self._slots
                if abs(round - slot[0]) <= 6 and self.committee.shard(author, round) == shard
            ]
            for shard in shards
        }
        for part, shard in enumerate(shards):
            if not places[shard] or random.random() < self.mix.lost_parts / len(shards):
                continue
            whole = Transaction(int(Kind.GAMMA), 0, shard, id, NOTHING, part, len(shards), deadline, operations)
            for _ in range(2 if random.random() < 0.05 else 1):  # now and then a part comes twice
                self.transactions[random.choice(places[shard])].append(whole)


@dataclass
class Validator:
    """A consensus with its ledger."""

    consensus: Consensus
    ledger: Ledger
    loads: Loads

    @classmethod
    def of(cls, committee: Committee, rules: Rules, loads: Loads, me: int = 0, snapshot_rounds: int = 0) -> Validator:
        consensus = Consensus(committee, rules)
        reads = consensus.early if hasattr(consensus.early, "may_read") else None
        look_back = rules.look_back if rules.order == "causal" else 2
        ledger = Ledger(committee, me, look_back, reads, consensus.dag, snapshot_rounds=snapshot_rounds)
        return cls(consensus, ledger, loads)

    def take(self, block: Block, *, batch_later: bool = False) -> list:
        """The block with its batches, or without them."""
        payload = self.loads.payloads[block.slot]
        self.ledger.on_block(block, payload)
        if not batch_later:
            self.batch(block)
        return self.ledger.on_events(self.consensus.add(block))

    def batch(self, block: Block) -> list:
        replies = []
        for digest in self.loads.payloads[block.slot]:
            replies += self.ledger.on_batch(digest, self.loads.batches[digest])
        return replies
