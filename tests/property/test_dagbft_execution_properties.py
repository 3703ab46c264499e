"""Random transactions on random DAGs: what is told early comes true, on every validator, whatever it sees first."""

from __future__ import annotations

from random import Random

from dagbft_loads import Loads, Mix, Validator
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.dagbft.consensus.asynchronous import Asynchronous
from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.committee import Committee, Hashed
from nodes.dagbft.consensus.core import PROTOCOLS, Rules
from nodes.dagbft.consensus.generate import WEATHERS, random_dag, random_view

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
        if isinstance(validator.consensus.rule, Asynchronous) and (found := coin.reveal(block)):
            validator.ledger.on_events(validator.consensus.coin(*found))
    for block in late:
        validator.batch(block)
    validator.ledger.on_events(())


def judge(n, seed, weather, mix, rules, views=3, rounds=22):
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


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([4, 4, 5, 7]), SEEDS, st.sampled_from(WEATHERS), MIXES, st.sampled_from(list(PROTOCOLS)),
       st.sampled_from([2, 4, 50]))  # fmt: skip
def test_what_is_told_early_comes_true(n, seed, weather, mix, protocol, look_back):
    rules = Rules(protocol, Hashed(n, seed), look_back=look_back)
    for ledger in judge(n, seed, weather, mix, rules):
        counts = ledger.counts
        assert (counts.early_wrong, counts.resets, counts.early_unmatched, counts.early_skipped) == (0, 0, 0, 0)
        assert counts.early_ok <= counts.early


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([4, 7]), SEEDS, st.sampled_from(WEATHERS), MIXES, st.sampled_from(list(PROTOCOLS)))
def test_support_gated_order_too(n, seed, weather, mix, protocol):
    for ledger in judge(n, seed, weather, mix, Rules(protocol, Hashed(n, seed), order="support-gated")):
        assert (ledger.counts.early_wrong, ledger.counts.resets, ledger.counts.early_unmatched) == (0, 0, 0)
