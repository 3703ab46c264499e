"""Transactions under attack and conflict, with ledgers and clients on the jumping clock: rows E4 to E7.

Every run ends with the verdict of all rows, equal digests of all ledgers, and no early result that was wrong.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from dagbft_bank import Bank
from dagbft_rows import ASYNC, Row

from nodes.dagbft.client.core import ClientConfig
from nodes.dagbft.client.load import LoadConfig
from nodes.dagbft.consensus.core import Rules
from nodes.dagbft.execution import executor
from nodes.dagbft.execution.transactions import NOTHING, Code, Kind, Transaction, key_of, result_hash
from nodes.dagbft.messages import Certificate

SHORT = replace(ASYNC, rules=Rules(look_back=4, keep=30))


def alpha(number: int, key: int, *, shard: int | None = None) -> Transaction:
    operations = ((int(Code.ADD), key, 0, 1),)
    home = key >> 48 if shard is None else shard
    return Transaction(int(Kind.ALPHA), 0, home, number.to_bytes(16, "big"), NOTHING, 0, 1, 0, operations)


def gamma(number: int, keys: tuple[int, int], deadline: int) -> list[Transaction]:
    operations = tuple((int(Code.ADD), key, 0, 10) for key in keys)
    shards = sorted(key >> 48 for key in keys)
    id = number.to_bytes(16, "big")
    return [
        Transaction(int(Kind.GAMMA), 0, shard, id, NOTHING, part, 2, deadline, operations)
        for part, shard in enumerate(shards)
    ]


def outcome(bank: Bank, number: int) -> bytes:
    """The result of a transaction of which all validators have told the same."""
    return next(iter(bank.results[number.to_bytes(16, "big")].values()))


def test_foreign_shards_in_a_batch_are_void():  # E4
    row = Row(4, {}, load_hz=0)
    bank = Bank(row)
    row.start().go(1)
    for number in range(40):  # says that it is of shard 0, and writes to shard 1
        bank.submit(number % 4, alpha(number, key_of(1, 7), shard=0))
    bank.submit(0, alpha(99, key_of(1, 8)))
    row.go(3)
    bank.verdict()
    assert all(bank.ledger(number).state == {key_of(1, 8): 1} for number in range(4))


@pytest.mark.parametrize("behaviour", ["wrong-summary", "equivocate", "shun", "withhold-certificates"])
def test_ledgers_agree_beside_a_liar(behaviour):  # E4
    row = Row(4, {3: behaviour}, load_hz=0)
    bank = Bank(row, ClientConfig(LoadConfig(60, 200, conflict=0.5, cross_shard=0.3, gamma=0.1, stop_s=5)))
    row.start().go(8)
    bank.verdict()
    assert bank.count("committed") > 300
    assert bank.count("early_ok") > 0


def test_a_gamma_transaction_whose_other_part_never_comes_is_given_up():  # E5
    row = Row(4, {}, SHORT, load_hz=0)
    bank = Bank(row)
    row.start().go(1)
    keys = (key_of(0, 1), key_of(2, 1))
    first, _ = gamma(1, keys, deadline=row.primary(0).proposer.round + 8)
    bank.submit(1, first)
    row.go(0.3)
    bank.submit(2, alpha(2, keys[0]))  # waits behind the lock
    row.go(0.5)
    assert not bank.results.get((1).to_bytes(16, "big"))
    row.go(6)
    bank.verdict()
    assert outcome(bank, 1) == result_hash((1).to_bytes(16, "big"), executor.EXPIRED)
    assert outcome(bank, 2) == result_hash((2).to_bytes(16, "big"), (1,))
    assert all(bank.ledger(number).state == {keys[0]: 1} for number in range(4))


def test_two_gamma_transactions_in_a_cycle():  # E5
    row = Row(4, {}, load_hz=0)
    bank = Bank(row)
    row.start().go(1)
    keys = (key_of(0, 1), key_of(2, 1))
    deadline = row.primary(0).proposer.round + 40
    one, other = gamma(1, keys, deadline), gamma(2, keys, deadline)
    bank.submit(0, one[0])
    bank.submit(1, other[1])
    row.go(1.5)
    bank.submit(2, other[0])
    bank.submit(3, one[1])
    row.go(4)
    bank.verdict()
    ids = [number.to_bytes(16, "big") for number in (1, 2)]
    told = [outcome(bank, number) for number in (1, 2)]
    given_up = [hash == result_hash(id, executor.CYCLE) for id, hash in zip(ids, told, strict=True)]
    assert sum(given_up) == 1
    assert told[given_up.index(False)] == result_hash(ids[given_up.index(False)], (10, 10))
    assert all(bank.ledger(number).state == {keys[0]: 10, keys[1]: 10} for number in range(4))


def share(conflict: float, cross: float = 0.8) -> tuple[float, int]:
    row = Row(4, {}, load_hz=0)
    bank = Bank(row, ClientConfig(LoadConfig(60, 150, conflict=conflict, cross_shard=cross, stop_s=4)))
    row.start().go(6)
    bank.verdict()
    return bank.early_share(), bank.count("early_ok")


def test_conflicting_reads_are_answered_early_less_often_and_never_wrong():  # E6
    shares = {conflict: share(conflict) for conflict in (0.0, 0.5, 1.0)}
    assert all(ok > 100 for _, ok in shares.values())
    assert shares[0.0][0] > shares[1.0][0]
    assert shares[0.0][0] > 0.5


@pytest.mark.parametrize("confirm", ["commit", "early"])
@pytest.mark.parametrize("conflict", [0.0, 1.0])
def test_chains_roll_back_as_far_as_they_must_and_lose_nothing(confirm, conflict):  # E7
    row = Row(4, {}, load_hz=0)
    # Blocks of shards that are in charge next are late now and then, so that speculation builds on what is not all.
    row.wire.hook = lambda sender, receiver, message, now_s: (
        0.15 * (message.round % 3) if isinstance(message, Certificate) and now_s < 8 else 0.0
    )
    load = LoadConfig(0, 150, conflict=conflict, stop_s=6)
    bank = Bank(row, ClientConfig(load, chains=3, chain_length=6, ahead=4, confirm=confirm))
    row.start().go(14)
    bank.verdict()
    counts = [client.counts for client in bank.clients]
    names = ("chain_sends", "chain_wasted", "chain_confirmed", "chain_rollbacks", "chains", "chains_lost", "lost")
    total = {name: sum(count[name] for count in counts) for name in names}
    assert total["chains"] > 4
    assert total["lost"] == total["chains_lost"] == 0
    assert total["chain_confirmed"] == 6 * total["chains"]
    assert total["chain_sends"] == total["chain_confirmed"] + total["chain_wasted"]
    assert total["chain_wasted"] <= 4 * total["chain_rollbacks"]
    assert (total["chain_rollbacks"] > 0) == (conflict > 0)
    if all(client.outstanding == 0 for client in bank.clients):  # each confirmed link was done once, no other one was
        assert sum(bank.ledger(0).state.values()) == total["chain_confirmed"]
