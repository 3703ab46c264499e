"""Random certified DAGs and random views of them: one order for all, and what is final early stays so.

The product's rules are compared with each other across views and with a naive copy of the specification; and where a
safety clause is switched off, that must be found out (the specification's mutation runs, M1).
"""

from __future__ import annotations

from random import Random

import pytest
from dagbft_naive import View
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.dagbft_compare import Reference
from oracle.dagbft_dags import CREEPING, HARSH, RETURNING, SPARSE, WEATHERS, random_dag, random_view

from nodes.dagbft.consensus.asynchronous import Asynchronous
from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.committee import Committee, Hashed
from nodes.dagbft.consensus.core import ORDERS, PROTOCOLS, Commit, Consensus, Rules
from nodes.dagbft.consensus.dag import Refused, members
from nodes.dagbft.consensus.early import Early, EarlyRule
from nodes.dagbft.consensus.ordering import CausalOrder
from nodes.dagbft.consensus.rule import LeaderRule, rule_class
from nodes.dagbft.consensus.run_file import commit_log, feed, with_modes
from nodes.dagbft.consensus.shoal import Shoal

SEEDS = st.integers(0, 2**32)
SIZES = st.sampled_from([4, 4, 5, 7, 8, 10])
LOOK_BACKS = st.sampled_from([2, 3, 4, 6, 50])


def judge(n, rounds, weather, seed, rules_of, views=3):
    """Early events, foreign reads and breaches of some views of one random DAG."""
    random, committee = Random(seed), Committee(n)
    rules = rules_of(Hashed(n, seed))
    blocks = random_dag(committee, rounds, weather, random)
    whole, events = feed(blocks, committee, rules, SeededCoin(committee, seed))
    reference = Reference(whole, events)
    early, reads, found = 0, 0, reference.breaches(whole, events)
    for _ in range(views):
        view = random_view(blocks, n, committee.faults, random)
        validator, events = feed(view, committee, rules, SeededCoin(committee, seed))
        early += sum(isinstance(event, Early) for event in events)
        found += reference.breaches(validator, events)
        if rules.order == "causal":
            count, wrong = reference.foreign_reads(validator, events, lambda r, a: {"k0"} if (r + a) % 3 else set())
            reads += count
            found += wrong
    return early, reads, found


@settings(max_examples=120)
@given(SIZES, st.sampled_from(WEATHERS), SEEDS, st.sampled_from(list(PROTOCOLS)), LOOK_BACKS)
def test_all_views_agree_and_early_is_right(n, weather, seed, protocol, look_back):
    _, _, found = judge(n, 22, weather, seed, lambda schedule: Rules(protocol, schedule, look_back=look_back))
    assert not found


@settings(max_examples=60)
@given(SIZES, st.sampled_from(WEATHERS), SEEDS, st.sampled_from(list(PROTOCOLS)))
def test_support_gated_order_is_one_too(n, weather, seed, protocol):
    _, _, found = judge(n, 22, weather, seed, lambda schedule: Rules(protocol, schedule, "support-gated"))
    assert not found


def test_early_events_are_many_and_none_is_wrong(capsys):
    """The ordinary suite's share of the long run (benchmarks/dagbft_rules.py): the count is printed."""
    early = reads = 0
    for seed in range(180):
        protocol, order = PROTOCOLS[seed % 2], "support-gated" if seed % 5 == 4 else "causal"
        rules_of = lambda schedule: Rules(protocol, schedule, order, look_back=(2, 4, 8)[seed % 3])  # noqa: B023, E731
        more, more_reads, found = judge((4, 4, 7)[seed // 2 % 3], 22, WEATHERS[seed % len(WEATHERS)], seed, rules_of)
        assert not found, f"seed {seed}: {found[0]}"
        early += more
        reads += more_reads
    with capsys.disabled():
        print(f" [{early} early events, {reads} foreign reads, 0 wrong] ", end="")
    assert early > 10_000
    assert reads > 1_000


@settings(max_examples=100)
@given(st.sampled_from([4, 5, 7]), st.sampled_from(WEATHERS), SEEDS, st.sampled_from(list(PROTOCOLS)), LOOK_BACKS)
def test_the_specification_word_for_word_says_the_same(n, weather, seed, protocol, look_back):
    random, committee, schedule = Random(seed), Committee(n), Hashed(n, seed)
    coin = SeededCoin(committee, seed)
    blocks = random_view(random_dag(committee, 14, weather, random), n, committee.faults, random)
    naive = View(committee, schedule, coin, protocol, look_back)
    for block in blocks:
        naive.add(block)
    _, events = feed(blocks, committee, Rules(protocol, schedule, look_back=look_back), coin)
    commits = [event for event in events if isinstance(event, Commit)]
    assert [commit.leader for commit in commits] == naive.leaders
    order = [slot for commit in commits for slot in commit.blocks]
    assert order == naive.order
    done = set(order)
    assert {e.block: e.position for e in events if isinstance(e, Early) and e.block not in done} == naive.early()


@settings(max_examples=40)
@given(SIZES, st.sampled_from(WEATHERS), SEEDS)
def test_random_dags_are_certified_dags_and_views_are_closed(n, weather, seed):
    random, committee = Random(seed), Committee(n)
    blocks = random_dag(committee, 16, weather, random)
    held = {block.slot for block in blocks}
    assert len(held) == len(blocks)
    for round in range(1, 17):
        assert sum(slot[0] == round for slot in held) >= committee.quorum
    for block in blocks:
        if block.round > 1:
            assert block.parents.bit_count() >= committee.quorum
            assert (block.round - 1, block.author) not in held or block.parents >> block.author & 1
        assert all((block.round - 1, parent) in held for parent in members(block.parents))
    seen = set()
    for block in random_view(blocks, n, committee.faults, random):
        assert block.slot not in seen
        assert all((block.round - 1, parent) in seen for parent in members(block.parents))
        seen.add(block.slot)


@settings(max_examples=40)
@given(st.sampled_from([4, 7]), SEEDS, st.sampled_from(list(PROTOCOLS)))
def test_blocks_out_of_order_or_twice_are_refused_or_harmless(n, seed, protocol):
    """Blocks come in any order, some twice, refused ones again. The commits are those of the plain order."""
    random, committee, schedule = Random(seed), Committee(n), Hashed(n, seed)
    blocks = random_dag(committee, 12, HARSH, random)
    rules, coin = Rules(protocol, schedule), SeededCoin(committee, seed)
    _, expected = feed(blocks, committee, rules, SeededCoin(committee, seed))
    waiting = blocks + random.sample(blocks, len(blocks) // 3)
    random.shuffle(waiting)
    validator, events = Consensus(committee, rules), []
    while waiting:
        again = []
        for block in waiting:
            try:
                events += validator.add(block)
            except Refused as refusal:
                if refusal.reason not in ("missing", "coin"):
                    raise
                again.append(block)
                continue
            if protocol == "asynchronous" and (value := coin.reveal(block)):
                events += validator.coin(*value)
        assert len(again) < len(waiting)
        waiting = again
    commits = [event for event in events if isinstance(event, Commit)]
    assert commits == [event for event in expected if isinstance(event, Commit)]


@settings(max_examples=40)
@given(st.sampled_from([4, 7]), st.sampled_from(WEATHERS), SEEDS, st.sampled_from(list(PROTOCOLS)))
def test_collecting_old_rounds_forks_nobody(n, weather, seed, protocol):
    """A validator that keeps few rounds, and gets some blocks too late, against one that keeps them all."""
    random, committee, schedule = Random(seed), Committee(n), Hashed(n, seed)
    blocks = random_dag(committee, 60, weather, random)
    coin = SeededCoin(committee, seed)
    _, events = feed(blocks, committee, Rules(protocol, schedule, look_back=2, keep=1000), SeededCoin(committee, seed))
    log = commit_log(events)
    validator, events = Consensus(committee, Rules(protocol, schedule, look_back=2, keep=24)), []
    for block in random_view(blocks, n, committee.faults, random):
        try:
            events += validator.add(block)
        except Refused as refusal:
            if refusal.reason != "stale":
                raise
            continue
        if protocol == "asynchronous" and (value := coin.reveal(block)):
            events += validator.coin(*value)
    assert log.startswith(commit_log(events)) or commit_log(events).startswith(log)
    assert validator.check.wrong == 0


def chain_past_holes(self, round, author):
    """C switched off: a slot whose block is not held, though a quorum of the next round is, stops nothing."""
    above = self._dag.layers.get(round + 1)
    hole = not self._dag.holds(round, author) and above is not None and above.held.bit_count() >= self._quorum
    return hole or self._dag.ordered(round, author) or round <= self._order.floor


MUTATIONS = {
    "L": (EarlyRule, "passes_leader_check", lambda self, round, author, above: True, CREEPING),
    "P": (EarlyRule, "persists", lambda self, round, author: bool(self._dag.kids(round, author)), CREEPING),
    "C": (EarlyRule, "resolved", chain_past_holes, CREEPING),
    "T1": (EarlyRule, "knows_what_is_before", lambda self, block, shard: True, HARSH),
    "T2": (EarlyRule, "is_not_written_beside", lambda self, block, shard, keys, written: True, CREEPING),
    "T3": (EarlyRule, "passes_foreign_leader_check", lambda self, block, shard: True, CREEPING),
    "floor anchor": (CausalOrder, "anchor", lambda self, previous, leader: leader, HARSH),
    "mode clause": (Asynchronous, "votes_from_own_past", lambda self, block, first: True, RETURNING),
    "walk back": (Shoal, "_first", lambda self, leader: leader, SPARSE),
    "q to f+1": (Asynchronous, "direct_votes", lambda self: self._dag.committee.faults + 1, SPARSE),
}
CASES = [
    (clause, protocol)
    for clause, (where, *_) in MUTATIONS.items()
    for protocol in PROTOCOLS
    if not issubclass(where, LeaderRule) or where is rule_class(protocol)
]
BOUND = 1500  # DAGs within which a mutation must be found out


@pytest.mark.parametrize(("clause", "protocol"), CASES)
def test_switching_off_a_safety_clause_is_found_out(clause, protocol, monkeypatch):
    where, name, without, weather = MUTATIONS[clause]
    monkeypatch.setattr(where, name, without)
    for seed in range(BOUND):
        rules_of = lambda schedule: Rules(protocol, schedule, look_back=4)  # noqa: E731
        if judge(4, 22, weather, seed, rules_of, views=4)[2]:
            return
    pytest.fail(f"{BOUND} DAGs without {clause}, and nothing wrong was seen")


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.sampled_from(WEATHERS), st.sampled_from(list(PROTOCOLS)), st.sampled_from(ORDERS))
def test_a_life_that_begins_at_any_commit_goes_on_as_the_former_one_did(seed, weather, protocol, order):
    """F5: with the log of commits up to there, and the floor that was stored with the last of them."""
    committee, random = Committee(4), Random(seed)
    rules = Rules(protocol, Hashed(4, seed), order=order, look_back=2, keep=10)
    blocks = with_modes(random_dag(committee, 50, weather, random), committee, rules, SeededCoin(committee, seed))
    validator, events = feed(blocks, committee, rules, SeededCoin(committee, seed))
    commits = [event for event in events if isinstance(event, Commit)]
    for count in range(1, len(commits), 5):
        floor = validator.floor_after(commits[count - 1])
        again, coin, found = Consensus(committee, rules), SeededCoin(committee, seed), []
        again.resume(commits[:count], floor)
        for block in blocks:
            if block.round > again.dag.floor:
                found += again.add(block)
                if protocol == "asynchronous" and (value := coin.reveal(block)):
                    found += again.coin(*value)
        assert [event for event in found if isinstance(event, Commit)] == commits[count:]
        assert again.check.wrong == 0
