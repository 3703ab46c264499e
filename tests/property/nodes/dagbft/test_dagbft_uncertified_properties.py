"""Without certificates: all views of random DAGs with equivocators agree, and calm rounds are committed."""

from __future__ import annotations

from random import Random

import pytest
from dagbft_uncertified import Paper, random_dag, random_view
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.dagbft.consensus.committee import Committee, Hashed
from nodes.dagbft.consensus.dag import Refused
from nodes.dagbft.uncertified.consensus import UncertifiedConsensus
from nodes.dagbft.uncertified.dag import Vertex
from nodes.dagbft.uncertified.rule import DecisionRule

SEEDS = st.integers(0, 2**32)
SIZES = st.sampled_from([4, 4, 5, 7, 10])


def play(view: list[Vertex], n: int, seed: int, leaders: int, keep: int = 1000):
    """The decisions of one validator, its commits with the digests that they order, and how many blocks it refused."""
    validator = UncertifiedConsensus(Committee(n), Hashed(n, seed), leaders, look_back=2, keep=keep)
    decisions, commits, stale = [], [], 0
    decide = validator.rule.add

    def noted(vertex):
        found = decide(vertex)
        decisions.extend(((each.round, each.author), each.block.digest if each.block else None) for each in found)
        return found

    validator.rule.add = noted  # type: ignore[method-assign]
    for vertex in view:
        try:
            found = validator.add(vertex)
        except Refused as refusal:
            if refusal.reason != "stale":
                raise
            stale += 1
            continue
        commits += [(commit, [validator.order.digests[slot] for slot in commit.blocks]) for commit in found]
        validator.collect()
    return decisions, commits, stale


def agree(one: list, other: list) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def judge(n: int, seed: int, leaders: int, rounds: int = 14, views: int = 3, keep: int = 1000) -> bool:
    """Whether some views of one random DAG, and the whole, decide and order the same."""
    random, committee = Random(seed), Committee(n)
    blocks = random_dag(committee, rounds, random, random.randint(0, committee.faults))
    whole = play(blocks, n, seed, leaders)
    for _ in range(views):
        some = play(random_view(blocks, n, committee.faults, random), n, seed, leaders, keep)
        if not agree(whole[0], some[0]) or not agree(whole[1], some[1]):
            return False
    slots = [slot for commit, _ in whole[1] for slot in commit.blocks]
    return len(slots) == len(set(slots))


@settings(max_examples=120)
@given(SIZES, SEEDS, st.sampled_from([1, 2, 3]))
def test_all_views_agree(n, seed, leaders):
    assert judge(n, seed, leaders)


@settings(max_examples=20)
@given(st.sampled_from([4, 7]), SEEDS, st.sampled_from([1, 2]))
def test_collecting_old_rounds_forks_nobody(n, seed, leaders):
    """Views that keep 10 rounds of 50, against one that keeps all."""
    assert judge(n, seed, leaders, rounds=50, keep=10)


@settings(max_examples=60)
@given(st.sampled_from([4, 5, 7]), SEEDS, st.sampled_from([1, 2, 3]))
def test_the_paper_word_for_word_says_the_same(n, seed, leaders):
    random, committee = Random(seed), Committee(n)
    blocks = random_dag(committee, 9, random, random.randint(0, committee.faults))
    view = random_view(blocks, n, committee.faults, random)
    assert play(view, n, seed, leaders)[0] == Paper(committee, Hashed(n, seed), leaders, view).decisions()


@settings(max_examples=60)
@given(SIZES, SEEDS, st.sampled_from([1, 2]))
def test_calm_rounds_decide_all_that_was_open(n, seed, leaders):
    """Whatever came before: after calm rounds every slot up to two rounds below the top is decided."""
    random, committee = Random(seed), Committee(n)
    blocks = random_dag(committee, 18, random, random.randint(0, committee.faults), calm_from=11)
    decisions, commits, _ = play(blocks, n, seed, leaders)
    assert len(decisions) >= 16 * leaders
    assert commits[-1][0].leader[0] >= 16


MUTATIONS = {
    "commit with one author": (
        DecisionRule, "is_committed",
        lambda self, leader: bool(self._certifiers.get(leader.digest, 0)),
    ),
    "skip with f + 1 authors": (
        DecisionRule, "is_skipped",
        lambda self, round, author: self._dag.authors(round + 1) >= self._dag.committee.quorum and all(
            len({v.author for v in self._dag.of_round(round + 1) if leader.digest not in v.parents})
            > self._dag.committee.faults
            for leader in self._dag.at(round, author)
        ),
    ),
    "certificate with f + 1 supporters": (
        DecisionRule, "is_certificate",
        lambda self, vertex, leader: (
            sum(leader.digest in p.parents for p in self._dag.parents(vertex)) > self._dag.committee.faults
        ),
    ),
    "an anchor without a look at certificates": (DecisionRule, "_certified_in", lambda self, *_: None),
    "no wait for an open anchor": (
        DecisionRule, "_by_anchor",
        lambda self, round, author: next(
            (self._anchored(round, author, self._decided[above, place].block)
             for above in range(round + 3, self._dag.top) for place in range(self._leaders)
             if (above, place) in self._decided and self._decided[above, place].block is not None), None,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("clause", MUTATIONS)
def test_switching_off_a_clause_is_found_out(clause, monkeypatch):
    from nodes.dagbft.uncertified.rule import Decision

    where, name, without = MUTATIONS[clause]
    anchored = lambda self, round, author, anchor: Decision(  # noqa: E731
        round, author, self._certified_in(anchor, round, author), direct=False
    )
    monkeypatch.setattr(DecisionRule, "_anchored", anchored, raising=False)
    monkeypatch.setattr(where, name, without)
    for seed in range(1500):
        if not judge(4, seed, 1 + seed % 2, views=4):
            return
    pytest.fail(f"1500 DAGs with {clause}, and nothing wrong was seen")
