"""The decision rule without certificates on small DAGs by hand: what is committed, skipped and left open, and why.

Four validators, a quorum of three. A DAG is written round by round: by block the authors of its parents; "1'" is a
second block of author 1 in the same round. Verdicts follow from the paper's rules (arXiv 2310.14821, section 3), by
hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from nodes.dagbft.consensus.committee import Committee, Turns
from nodes.dagbft.consensus.dag import Refused
from nodes.dagbft.uncertified.consensus import UncertifiedConsensus
from nodes.dagbft.uncertified.dag import BlockDag, Vertex

Row = Mapping[str, str]  # block -> parents, as "0 1' 2"
ALL = "0 1 2 3"


def name(round: int, block: str) -> bytes:
    return f"{round}.{block}".encode()


def vertex(round: int, block: str, parents: str = "") -> Vertex:
    return Vertex(
        round, int(block[0]), name(round, block), frozenset(name(round - 1, each) for each in parents.split())
    )


def rows(*given: Row) -> list[Vertex]:
    return [vertex(round, *item) for round, row in enumerate(given, 1) for item in row.items()]


def full(parents: str = ALL, blocks: str = ALL) -> Row:
    return dict.fromkeys(blocks.split(), parents)


def consensus(leaders: int = 1, turns: Iterable[int] = range(4)) -> UncertifiedConsensus:
    return UncertifiedConsensus(Committee(4), Turns(list(turns)), leaders, look_back=20, keep=50)


def decided(blocks: Iterable[Vertex], leaders: int = 1, turns: Iterable[int] = range(4)) -> list[tuple[int, int, str]]:
    """Round, author and what became of each leader slot, in order: the committed block, or "skip"."""
    found, validator = [], consensus(leaders, turns)
    for each in blocks:
        validator.dag.add(each)
        for decision in validator.rule.add(each):
            block = decision.block.digest.decode() if decision.block else "skip"
            found.append((decision.round, decision.author, block + ("" if decision.direct else " by anchor")))
    return found


FIRST = full("")


def test_a_leader_commits_with_three_certificates_two_rounds_above() -> None:
    blocks = rows(FIRST, full(), full())
    assert decided(blocks[:-2]) == []
    assert decided(blocks[:-1]) == [(1, 0, "1.0")]


def test_each_round_commits_its_leader_and_several_slots_in_their_order() -> None:
    blocks = rows(FIRST, full(), full(), full(), full())
    assert decided(blocks) == [(1, 0, "1.0"), (2, 1, "2.1"), (3, 2, "3.2")]
    assert decided(blocks, leaders=2) == [
        (1, 0, "1.0"), (1, 1, "1.1"), (2, 1, "2.1"), (2, 2, "2.2"), (3, 2, "3.2"), (3, 3, "3.3"),
    ]  # fmt: skip


def test_a_slot_is_skipped_as_soon_as_three_blocks_do_without_it() -> None:
    blocks = rows(full("", "1 2 3"), full("1 2 3", "1 2 3"))
    assert decided(blocks[:-1]) == []
    assert decided(blocks) == [(1, 0, "skip")]


def test_a_leader_that_only_one_block_supports_is_skipped() -> None:
    blocks = rows(FIRST, {"0": "0 1 2", "1": "1 2 3", "2": "1 2 3", "3": "1 2 3"})
    assert decided(blocks) == [(1, 0, "skip")]


def test_two_supporters_and_two_others_leave_it_open_and_the_anchor_skips_it() -> None:
    """No block of round 3 can be a certificate. The leader of round 4, committed, sees none: skip."""
    split = {"0": "0 1 2", "1": "0 1 2", "2": "1 2 3", "3": "1 2 3"}
    blocks = rows(FIRST, split, full(), full(), full(), full())
    assert decided(blocks[:-2]) == []
    assert decided(blocks) == [(1, 0, "skip by anchor"), (2, 1, "2.1"), (3, 2, "3.2"), (4, 3, "4.3")]


def test_one_certificate_in_the_past_of_the_anchor_commits() -> None:
    """(1, 0) has three supporters, but only (3, 0) sees all of them: one certificate, which (4, 3) has in its past."""
    second = {"0": "0 1 2", "1": "0 1 2", "2": "0 1 2", "3": "1 2 3"}
    third = {"0": "0 1 2", "1": "1 2 3", "2": "1 2 3", "3": "1 2 3"}
    blocks = rows(FIRST, second, third, full(), full(), full())
    assert decided(blocks)[:2] == [(1, 0, "1.0 by anchor"), (2, 1, "2.1")]
    without = rows(FIRST, second, third, full("1 2 3"), full(), full())
    assert decided(without)[:2] == [(1, 0, "skip by anchor"), (2, 1, "2.1")]


def test_an_anchor_that_is_open_keeps_slots_below_open() -> None:
    """The leader of round 4 is neither committed nor skipped, so (1, 0) waits, though that of round 5 is committed."""
    split = {"0": "0 1 2", "1": "0 1 2", "2": "1 2 3", "3": "1 2 3"}
    fifth = {"0": "0 1 3", "1": "0 1 3", "2": "0 1 2", "3": "0 1 2"}
    blocks = rows(FIRST, split, full(), full(), fifth, full(), full())
    assert decided(blocks) == []
    assert [slot[:3] for slot in decided([*blocks, *rows(*[{}] * 7, full(), full(), full())])][:4] == [
        (1, 0, "skip by anchor"), (2, 1, "2.1"), (3, 2, "3.2"), (4, 3, "skip by anchor"),
    ]  # fmt: skip


def test_a_skipped_slot_is_no_anchor() -> None:
    """Round 4 has no block of its leader; the first slot that counts is that of round 5."""
    split = {"0": "0 1 2", "1": "0 1 2", "2": "1 2 3", "3": "1 2 3"}
    blocks = rows(FIRST, split, full(), full(blocks="0 1 2"), full("0 1 2"), full(), full())
    assert decided(blocks) == [
        (1, 0, "skip by anchor"), (2, 1, "2.1"), (3, 2, "3.2"), (4, 3, "skip"), (5, 0, "5.0"),
    ]  # fmt: skip


def test_of_two_blocks_of_a_leader_the_supported_one_is_committed() -> None:
    first = {**FIRST, "0'": ""}
    second = {"0": "0' 1 2 3", "1": "0' 1 2 3", "2": "0' 1 2 3", "3": "0 1 2 3"}
    assert decided(rows(first, second, full())) == [(1, 0, "1.0'")]


def test_a_leader_with_two_blocks_and_split_support_is_skipped() -> None:
    """Three authors do without 1.0, and three without 1.0'."""
    first = {**FIRST, "0'": ""}
    second = {"0": "0 1 2", "1": "0' 1 2", "2": "1 2 3", "3": "1 2 3"}
    assert decided(rows(first, second)) == [(1, 0, "skip")]


def test_an_author_that_supports_and_does_not_counts_on_both_sides() -> None:
    """Author 3 has two blocks in round 2. With one it is the third supporter, with the other a non-supporter: neither
    three non-supporters nor anything else comes of it."""
    second = {"0": "0 1 2", "1": "0 1 2", "2": "1 2 3", "3": "0 1 3", "3'": "1 2 3"}
    assert decided(rows(FIRST, second)) == []
    third = full("0 1 3")
    assert decided(rows(FIRST, second, third)) == [(1, 0, "1.0")]


def test_two_blocks_of_one_author_are_one_certificate() -> None:
    blocks = rows(FIRST, full(), {"0": ALL, "1": ALL, "1'": "0 1 2"})
    assert decided(blocks) == []
    assert decided([*blocks, vertex(3, "2", ALL)]) == [(1, 0, "1.0")]


def test_two_authors_of_certificates_are_too_few_where_one_of_them_has_another_block() -> None:
    """3.0 and 3.3 are certificates for 1.0, but the anchor 4.1 rests on 3.3', which is none, and skips the slot."""
    second = {"0": "0 1 2", "1": "0 1 2", "2": "0 1 2", "3": "1 2 3"}
    third = {"0": "0 1 2", "3": "0 1 2", "1": "1 2 3", "2": "1 2 3", "3'": "1 2 3"}
    fourth = {"0": "0 1 2", "1": "1 2 3'", "2": "0 1 2", "3": "0 1 2"}
    blocks = rows(FIRST, second, third, fourth, full(), full())
    turns = [0, 1, 2, 1]
    assert decided(blocks[:10], turns=turns) == []
    assert decided(blocks, turns=turns)[:2] == [(1, 0, "skip by anchor"), (2, 1, "2.1")]


# The order


def test_a_leader_orders_its_past_by_round_and_author() -> None:
    validator = consensus()
    commits = [commit for each in rows(FIRST, full(), full(), full()) for commit in validator.add(each)]
    assert [(commit.number, commit.leader) for commit in commits] == [(0, (1, 0)), (1, (2, 1))]
    assert commits[0].blocks == ((1, 0),)
    assert commits[1].blocks == ((1, 1), (1, 2), (1, 3), (2, 1))


def test_of_two_blocks_of_one_slot_one_is_ordered() -> None:
    first = {**FIRST, "3'": ""}
    second = {"0": ALL, "1": "0 1 2 3'", "2": ALL, "3": ALL}
    validator = consensus(turns=[0, 1, 2])
    commits = [c for each in rows(first, second, full(), full(), full()) for c in validator.add(each)]
    slots = [slot for commit in commits for slot in commit.blocks]
    assert commits[1].leader == (2, 1)
    assert len(slots) == len(set(slots))
    assert validator.order.digests[1, 3] == b"1.3'"  # in the past of the first leader that has one of the two


# The DAG


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (vertex(0, "0"), "shape"),
        (vertex(1, "4"), "shape"),
        (vertex(1, "0'", "1"), "shape"),
        (vertex(2, "0", "0 1"), "shape"),
        (vertex(2, "0", "0 1 7"), "missing"),
        (vertex(2, "0", "1 2 2'"), "parents"),
        (Vertex(3, 0, b"x", frozenset((name(1, "0"), name(1, "1"), name(1, "2")))), "parents"),
    ],
)
def test_refusals_have_a_reason_and_change_nothing(block: Vertex, reason: str) -> None:
    dag = BlockDag(Committee(4))
    for each in rows({**FIRST, "2'": ""}):
        assert dag.add(each)
        assert not dag.add(each)
    with pytest.raises(Refused) as refusal:
        dag.add(block)
    assert refusal.value.reason == reason
    assert len(dag) == 5


def test_collected_rounds_are_stale_and_memory_stays_flat() -> None:
    validator = UncertifiedConsensus(Committee(4), Turns(range(4)), 2, look_back=2, keep=10)
    most = 0
    for each in rows(FIRST, *[full()] * 299):
        validator.add(each)
        validator.collect()
        most = max(most, len(validator.dag))
    assert most <= 4 * 14
    assert len(validator.order.digests) <= most
    assert len(validator.rule._certified) + len(validator.rule._certifiers) + len(validator.rule._decided) <= 2 * most
    assert validator.commits == 2 * 298
    with pytest.raises(Refused) as refusal:
        validator.add(vertex(50, "0'", ALL))
    assert refusal.value.reason == "stale"


def test_more_leaders_than_validators_are_refused() -> None:
    with pytest.raises(ValueError, match="5 leaders a round; expected 1 to 4"):
        consensus(leaders=5)
