"""Random transactions on random DAGs: what is told early comes true, on every validator, whatever it sees first."""

from __future__ import annotations

from random import Random

import pytest
from dagbft_loads import Loads, Mix, Validator
from dagbft_oracle import Oracle
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.dagbft_dags import HARSH, WEATHERS, random_dag, random_view

from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.committee import Committee, Hashed
from nodes.dagbft.consensus.core import PROTOCOLS, Commit, Rules
from nodes.dagbft.consensus.early import EarlyRule

SEEDS = st.integers(0, 2**32)
MIXES = st.builds(
    Mix,
    beta=st.sampled_from([0.0, 0.3, 0.7]),
    gamma=st.sampled_from([0.0, 0.1, 0.3]),
    chained=st.sampled_from([0.0, 0.4, 1.0]),
    keys=st.sampled_from([1, 2, 4, 50]),
)


def play(validator, view, coin, random):
    """Feed a view; now and then batches come late."""
    late = []
    for block in view:
        hold_back = random.random() < 0.1
        validator.take(block, batch_later=hold_back)
        if hold_back:
            late.append(block)
        if late and random.random() < 0.3:
            validator.batch(late.pop(random.randrange(len(late))))
        if validator.consensus.rule.needs_coin and (found := coin.reveal(block)):
            validator.ledger.on_events(validator.consensus.coin(*found))
    for block in late:
        validator.batch(block)
    validator.ledger.on_events(())


def judge(n, seed, weather, mix, rules, views=3, rounds=22):
    """The ledgers of some views of one random DAG."""
    random, committee = Random(seed), Committee(n)
    blocks = random_dag(committee, rounds, weather, random)
    loads = Loads(committee, blocks, mix, random)
    ledgers = []
    for number in range(views):
        view = blocks if number == 0 else random_view(blocks, n, committee.faults, random)
        validator = Validator.of(committee, rules, loads, me=number % n)
        play(validator, view, SeededCoin(committee, seed), random)
        ledgers.append(validator.ledger)
    return ledgers


@settings(max_examples=40)
@given(st.sampled_from([4, 4, 5, 7]), SEEDS, st.sampled_from(WEATHERS), MIXES, st.sampled_from(list(PROTOCOLS)),
       st.sampled_from([2, 4, 50]))  # fmt: skip
def test_what_is_told_early_comes_true(n, seed, weather, mix, protocol, look_back):
    rules = Rules(protocol, Hashed(n, seed), look_back=look_back)
    for ledger in judge(n, seed, weather, mix, rules):
        counts = ledger.counts
        assert (counts.early_wrong, counts.resets, counts.early_unmatched, counts.early_skipped) == (0, 0, 0, 0)
        assert counts.early_ok <= counts.early


F2 = {  # by seed: what was told early and was wrong, while the overlay dropped keys behind gamma transactions
    601: (7, 0, "asynchronous", 4, Mix(beta=0.0, gamma=0.1, chained=0.5, keys=2)),
    620: (7, 0, "psync", 50, Mix(beta=0.3, gamma=0.1, chained=0.5, keys=1)),
    622: (7, 4, "asynchronous", 50, Mix(beta=0.0, gamma=0.1, chained=0.5, keys=4)),
    755: (4, 1, "asynchronous", 4, Mix(beta=0.0, gamma=0.15, chained=0.5, keys=2)),
}


@pytest.mark.parametrize("seed", F2)
def test_unmet_dependencies_behind_gamma_transactions(seed):
    n, weather, protocol, look_back, mix = F2[seed]
    rules = Rules(protocol, Hashed(n, seed), look_back=look_back)
    for ledger in judge(n, seed, WEATHERS[weather], mix, rules, views=2):
        assert ledger.counts.early_wrong == 0


@settings(max_examples=25)
@given(st.sampled_from([4, 7]), SEEDS, st.sampled_from(WEATHERS), MIXES, st.sampled_from([2, 3, 50]))
def test_outcomes_are_those_of_a_plain_execution_and_the_same_everywhere(n, seed, weather, mix, look_back):
    random, committee = Random(seed), Committee(n)
    rules = Rules("psync", Hashed(n, seed), look_back=look_back)
    blocks = random_dag(committee, 14, weather, random)
    loads = Loads(committee, blocks, mix, random)
    digests = {}
    for number in range(3):
        view = blocks if number == 0 else random_view(blocks, n, committee.faults, random)
        validator = Validator.of(committee, rules, loads)
        oracle = Oracle(committee, look_back, loads)
        known = {}
        for block in view:
            validator.ledger.on_block(block, loads.payloads[block.slot])
            known[block.slot] = validator.ledger._blocks[block.slot]
            validator.batch(block)
            events = validator.consensus.add(block)
            validator.ledger.on_events(events)
            for event in events:
                if isinstance(event, Commit):
                    oracle.commit(event.leader[0], event.blocks)
            commits = validator.ledger.commits
            assert digests.setdefault(commits, validator.ledger.digest) == validator.ledger.digest
        found = {
            (slot, index): outcome
            for slot, execution in known.items()
            for index, outcome in enumerate(execution.final)
            if outcome is not None
        }
        assert found == oracle.outcomes
        assert {key: value for key, value in validator.ledger.state.items() if value} == {
            key: value for key, value in oracle.state.items() if value
        }


@settings(max_examples=25)
@given(SEEDS, st.sampled_from(WEATHERS), st.sampled_from([1, 3]))
def test_gamma_transactions_run_in_all_their_shards_or_in_none(seed, weather, keys):
    mix = Mix(beta=0.2, gamma=0.5, chained=0.0, keys=keys)
    random, committee = Random(seed), Committee(4)
    blocks = random_dag(committee, 14, weather, random)
    loads = Loads(committee, blocks, mix, random)
    validator = Validator.of(committee, Rules("psync", Hashed(4, seed), look_back=4), loads)
    outcomes = {}
    known = {}
    for block in blocks:
        validator.take(block)
        known[block.slot] = validator.ledger._blocks.get(block.slot) or known.get(block.slot)
    for slot, execution in known.items():
        for index, transaction in enumerate(loads.transactions[slot]):
            if transaction.kind == 2 and execution is not None and execution.final and execution.final[index]:
                outcomes.setdefault(transaction.group, []).append((transaction, execution.final[index]))
    for parts in outcomes.values():
        ran = [(transaction, outcome) for transaction, outcome in parts if isinstance(outcome, tuple)]
        if ran:
            assert len({transaction.part for transaction, _ in ran}) == ran[0][0].parts
            assert len({outcome for _, outcome in ran}) == 1


def wrong_over(seeds, mix, rules):
    return sum(
        ledger.counts.early_wrong + ledger.counts.resets + ledger.counts.early_unmatched
        for seed in range(seeds)
        for ledger in judge(4, seed, HARSH, mix, rules(seed))
    )


def psync(seed):
    return Rules("psync", Hashed(4, seed), look_back=4)


@pytest.mark.parametrize("clause", ["persists", "passes_leader_check", "knows_what_is_before", "is_not_written_beside"])
def test_the_self_check_notices_when_a_clause_is_switched_off(monkeypatch, clause):
    """M1: without the clause, early results are told that do not come true, and they are counted."""
    if clause == "persists":
        monkeypatch.setattr(EarlyRule, clause, lambda self, round, author: self._dag.holds(round, author))
    else:
        monkeypatch.setattr(EarlyRule, clause, lambda self, *given: True)
    assert wrong_over(60, Mix(beta=0.6, gamma=0.0, chained=0.0, keys=1), psync) > 0


def test_the_self_check_notices_when_the_foreign_leader_check_is_switched_off(monkeypatch):
    """M1, T3: one DAG in fifty tells; those that did come first, quick while random DAGs stay the same."""
    monkeypatch.setattr(EarlyRule, "passes_foreign_leader_check", lambda self, *given: True)
    mix = Mix(beta=0.9, gamma=0.0, chained=0.0, keys=1, per_block=6)
    tries = [(5144, 4), (5000, 4), (1056, 0), (1120, 2), *[(seed, seed % len(WEATHERS)) for seed in range(200)]]
    assert any(
        ledger.counts.early_wrong
        for seed, weather in tries
        for ledger in judge(4, seed, WEATHERS[weather], mix, Rules("psync", Hashed(4, seed), look_back=50))
    )
