"""A committee in memory whose clients trade, with snapshots every few rounds, and what must hold of it in the end.

`Trade.agree` is the verdict: of each commit number there is one commit, one digest of the ledger and one snapshot, no
early result was wrong, and no transaction was executed twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from nodes.dagbft.consensus.core import Rules
from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Transaction, encode, key_of
from nodes.dagbft.messages import FinalReply, Header, Vote
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.simulate import Settings, Simulation, Validator, uniform
from nodes.dagbft.simulate.validator import PRIMARY
from nodes.dagbft.worker.core import WorkerConfig

EVERY = 16  # rounds
KEEP = 20
ASYNC = PrimaryConfig(
    Rules(look_back=10, keep=KEEP), leader_timeout_s=0.3, grace_s=0.01, header_delay_s=0.03, retry_s=0.3, window=40,
    snapshot_rounds=EVERY,
)  # fmt: skip
CONFIGS = {
    "async": ASYNC,
    "psync": replace(ASYNC, rules=Rules("psync", look_back=10, keep=KEEP)),
    "gated": replace(ASYNC, rules=Rules(order="support-gated", look_back=2, keep=KEEP)),
}
WORKER = WorkerConfig(batch_delay_s=0.02, retry_s=0.3, keep_rounds=3 * EVERY + KEEP)


class Trade:
    """A committee with clients: each transaction adds 1 to a key of its own, beta ones read and gamma ones move."""

    def __init__(self, config: PrimaryConfig = ASYNC, make: dict[int, Any] | None = None, seed: int = 5) -> None:
        self.run = Simulation(
            Settings(n=4, seed=seed, delay=uniform(0.02), primary=config, worker=WORKER, ledger=True), make
        )
        self.random = Random(f"trade/{seed}")
        self.said: dict[tuple[int, ...], set[bytes]] = {}
        self.told: list[tuple[int, FinalReply]] = []
        self.lost = -1  # nothing reaches this validator, or comes from it
        self.count = 0
        self.on_submit: Callable[[Transaction], None] = lambda transaction: None  # before a validator has it
        self.run.network.hook = self._see
        self.run.on_reply = self._hear

    def _see(self, sender: int, receiver: int, message: Any, now_s: float) -> float | None:
        if isinstance(message, Vote):
            self.said.setdefault((message.voter, message.round, message.author), set()).add(message.header_id)
        elif isinstance(message, Header) and sender == message.author:
            self.said.setdefault((message.author, message.round), set()).add(message.id)
        return None if self.lost in (sender, receiver) else 0.0

    def _hear(self, validator: Validator, reply: Any) -> None:
        if isinstance(reply, FinalReply):
            self.told.append((validator.me, reply))

    def load(self, rate_hz: float = 40.0) -> Trade:
        def submit() -> None:
            self.submit(self.random.randrange(4))
            self.run.clock.at(self.run.clock.now_s + self.random.expovariate(rate_hz), submit)

        self.run.clock.at(self.run.clock.now_s, submit)
        return self

    def submit(self, at: int) -> None:
        random, number = self.random, self.count
        self.count += 1
        id, home, other = number.to_bytes(16, "big"), *random.sample(range(4), 2)
        mine = (int(Code.ADD), key_of(home, 1000 + number), 0, 1)
        chance = random.random()
        if chance < 0.2:
            round = max(validator.primary.pace.round for validator in self.run.validators if validator.alive)
            first, second = sorted((home, other))
            move = (int(Code.TRANSFER), key_of(first, 1), key_of(second, 1), 0)
            for part, shard in enumerate((first, second)):
                if random.random() < 0.9:
                    self._submit(at, Transaction(Kind.GAMMA, 0, shard, id, NOTHING, part, 2, round + 25, (mine, move)))
        elif chance < 0.5:
            read = (int(Code.GET), key_of(other, 1), 0, 0)
            self._submit(at, Transaction(Kind.BETA, 0, home, id, NOTHING, 0, 1, 0, (mine, read)))
        else:
            self._submit(at, Transaction(Kind.ALPHA, 0, home, id, NOTHING, 0, 1, 0, (mine,)))

    def _submit(self, at: int, transaction: Transaction) -> None:
        self.on_submit(transaction)
        self.run.validators[at].submit(0, encode(transaction))

    def go(self, duration_s: float) -> Trade:
        self.run.run(duration_s)
        return self

    def primary(self, number: int) -> Any:
        return self.run.validators[number].primary

    def disk(self, number: int) -> dict[str, dict[bytes, bytes]]:
        return self.run.validators[number]._disks[PRIMARY]._tables

    def commits(self) -> list[int]:
        return [validator.ledger.commits for validator in self.run.validators]

    def agree(self, *liars: int) -> None:
        commits: dict[int, Any] = {}
        digests: dict[int, bytes] = {}
        snapshots: dict[int, bytes] = {}
        for validator in self.run.validators:
            if validator.me in liars:
                continue
            for commit in validator.archive.commits():
                assert commits.setdefault(commit.number, commit) == commit
            for number, digest in validator.history.digests.items():
                assert digests.setdefault(number, digest) == digest
            for kept in validator.archive.snapshots():
                assert snapshots.setdefault(kept.commits, kept.digest) == kept.digest
            assert validator.primary.consensus.check.wrong == 0
            assert validator.ledger.counts.early_wrong == 0
            assert not validator.history.again
            assert all(value <= 1 for key, value in validator.ledger.state.items() if key & 0xFFFFFF >= 1000)
        assert all(len(ids) == 1 for said, ids in self.said.items() if said[0] not in liars)
        assert snapshots
        results: dict[tuple[bytes, int], bytes] = {}
        for number, reply in self.told:
            for id, hash in reply.results if number not in liars else ():
                assert results.setdefault((id, reply.round), hash) == hash  # parts of a gamma one may end differently
