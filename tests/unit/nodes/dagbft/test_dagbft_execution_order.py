"""F6: the ledger never runs behind the consensus that it asks, whatever comes between a finding and its execution."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from dagbft_rows import ASYNC, PSYNC

from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Transaction, encode, key_of
from nodes.dagbft.messages import Batch, BatchReply
from nodes.dagbft.simulate import Settings, Simulation, uniform
from nodes.dagbft.worker.core import WorkerConfig


def beta(number: int, n: int, random: Random) -> Transaction:
    """Reads the one key of another shard, and adds to that of its own."""
    home, foreign = random.sample(range(n), 2)
    operations = ((int(Code.GET), key_of(foreign, 0), 0, 0), (int(Code.ADD), key_of(home, 0), 0, 1))
    return Transaction(int(Kind.BETA), 0, home, number.to_bytes(16, "big"), NOTHING, 0, 1, 0, operations)


def play(config, seed: int) -> Simulation:
    """Batches that come late, and turns in which several things happen before anything is carried out."""
    worker = WorkerConfig(batch_delay_s=0.01, retry_s=5.0)
    primary = replace(config, grace_s=0.0)
    run = Simulation(
        Settings(seed=seed, delay=uniform(0.03), primary=primary, worker=worker, ledger=True, turn_s=0.012)
    )
    random = Random(f"order/{seed}")
    run.network.jitter = 1.0

    def hold(sender, receiver, message, now_s):
        return random.uniform(0.1, 1.0) if isinstance(message, Batch | BatchReply) and receiver == 3 else 0.0

    run.network.hook = hold
    for number in range(400):
        transaction = encode(beta(number, 4, random))
        at = number % 4
        run.clock.at(number * 0.01, lambda at=at, transaction=transaction: run.validators[at].submit(0, transaction))
    return run.start().run(6)


def wrong(run: Simulation) -> int:
    return sum(validator.ledger.counts.early_wrong for validator in run.validators)


@pytest.mark.parametrize("config", [ASYNC, PSYNC], ids=["async", "psync"])
@pytest.mark.parametrize("seed", range(2))
def test_batches_that_complete_a_commit_ask_nothing_of_a_consensus_that_is_ahead(config, seed):
    run = play(config, seed)
    assert wrong(run) == 0
    digests: dict[int, bytes] = {}
    for validator in run.validators:
        assert validator.ledger.counts.early_ok > 10
        for commits, digest in validator.history.digests.items():
            assert digests.setdefault(commits, digest) == digest
    assert len(digests) > 10


def test_where_the_order_is_support_gated_foreign_reads_wait_for_their_commit():
    """Its early rule knows nothing of foreign reads: a ledger that asked it for one ended with an AttributeError."""
    run = play(replace(ASYNC, rules=replace(ASYNC.rules, order="support-gated")), seed=0)
    assert wrong(run) == 0
    assert all(validator.ledger.counts.committed > 100 for validator in run.validators)
