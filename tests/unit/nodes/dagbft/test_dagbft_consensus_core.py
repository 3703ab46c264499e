"""The consensus core piece by piece: committee, coin, DAG, refusals, garbage collection, DAG files."""

from __future__ import annotations

import json
from itertools import pairwise
from random import Random

import pytest
from oracle.dagbft_dags import CALM, random_dag

from nodes.dagbft.consensus.coin import ListedCoin, SeededCoin
from nodes.dagbft.consensus.committee import Committee, Hashed, Turns
from nodes.dagbft.consensus.core import Commit, Consensus, Rules
from nodes.dagbft.consensus.dag import Block, Dag, Refused, members
from nodes.dagbft.consensus.early import Early
from nodes.dagbft.consensus.run_file import commit_log, feed, play, read, write

ALL = 0b1111


def full_rounds(rounds: int, n: int = 4) -> list[Block]:
    everybody = (1 << n) - 1
    return [
        Block(round, author, everybody if round > 1 else 0) for round in range(1, rounds + 1) for author in range(n)
    ]


@pytest.mark.parametrize("n", range(4, 60))
def test_quorums_share_more_than_the_faulty(n):
    committee = Committee(n)
    assert 2 * committee.quorum - n >= committee.faults + 1
    assert committee.quorum <= n - committee.faults


def test_a_shard_has_one_owner_that_goes_down_by_one_each_round():
    committee = Committee(7)
    for round in range(1, 30):
        assert sorted(committee.owner(shard, round) for shard in range(7)) == list(range(7))
        for shard in range(7):
            assert committee.shard(committee.owner(shard, round), round) == shard
            assert committee.owner(shard, round + 1) == (committee.owner(shard, round) - 1) % 7
    assert [committee.owner(3, round) for round in (1, 2, 3, 4, 5)] == [3, 2, 1, 0, 6]


def test_hashed_leaders_never_repeat_at_once_and_depend_on_the_seed():
    leaders = [Hashed(4, 1).author(turn) for turn in range(500)]
    assert all(one != other for one, other in pairwise(leaders))
    assert set(leaders) == {0, 1, 2, 3}
    assert leaders == [Hashed(4, 1).author(turn) for turn in range(500)]
    assert leaders != [Hashed(4, 2).author(turn) for turn in range(500)]


def test_small_committees_and_empty_turns_are_refused():
    with pytest.raises(ValueError, match="3 validators; expected at least 4"):
        Committee(3)
    with pytest.raises(ValueError, match="no leaders"):
        Turns([])


def test_coin_is_revealed_by_the_share_that_makes_f_plus_1():
    coin = SeededCoin(Committee(7), 3)
    assert coin.reveal(Block(3, 0, 0)) is None
    assert [coin.reveal(Block(4, author, 0)) for author in (5, 5, 1)] == [None, None, None]
    assert coin.reveal(Block(4, 2, 0)) == (1, coin.author(1))
    assert coin.reveal(Block(4, 3, 0)) is None
    assert {coin.author(wave) for wave in range(1, 100)} == set(range(7))
    coin.collect(4)
    assert coin.reveal(Block(8, 1, 0)) is None


def test_listed_coin_goes_round():
    coin = ListedCoin(Committee(4), [2, 0])
    assert [coin.author(wave) for wave in (1, 2, 3)] == [2, 0, 2]
    with pytest.raises(ValueError, match="expected one or more authors"):
        ListedCoin(Committee(4), [4])


def test_past_is_exact():
    blocks = random_dag(Committee(5), 14, CALM, Random(1))
    dag, ancestors = Dag(Committee(5)), {}
    for block in blocks:
        assert dag.add(block)
        ancestors[block.slot] = set().union(
            *({(block.round - 1, p)} | ancestors[block.round - 1, p] for p in members(block.parents))
        )
    for slot, past in ancestors.items():
        assert past == {other for other in ancestors if dag.reaches(slot, *other)}
        assert {slot for slot in ancestors if dag.kids(*slot)} == set().union(*ancestors.values())


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (Block(0, 0, 0), "shape"),
        (Block(-3, 0, ALL), "shape"),
        (Block(2, 4, ALL), "shape"),
        (Block(2, -1, ALL), "shape"),
        (Block(2, 0, -1), "shape"),
        (Block(2, 0, ALL << 1), "shape"),
        (Block(2, 0, 0b0011), "shape"),
        (Block(1, 3, ALL), "shape"),
        (Block(2, 0, 0b1110), "missing"),
        (Block(9, 0, ALL), "coin"),
        (Block(1_000_000, 0, ALL), "missing"),
        (Block(1, 0, 0, b"another"), "conflict"),
    ],
)
def test_refusals_have_a_reason_and_change_nothing(block, reason):
    validator = Consensus(Committee(4))
    for author in range(3):
        validator.add(Block(1, author, 0))
    before = dict(validator.dag.layers)
    with pytest.raises(Refused) as refusal:
        validator.add(block)
    assert refusal.value.reason == reason
    assert "expected" in str(refusal.value)
    assert validator.dag.layers == before
    assert validator.dag.layers[1].held == 0b0111
    assert validator.dag.layers[1].kids == [0, 0, 0, 0]


def test_the_same_block_twice_is_harmless_and_another_for_its_slot_is_not():
    validator = Consensus(Committee(4), Rules(protocol="psync"))
    blocks = full_rounds(7)
    events = [event for block in blocks for event in validator.add(block) + validator.add(block)]
    again = fresh()
    assert events == [event for block in blocks for event in again.add(block)]
    with pytest.raises(Refused) as refusal:
        validator.add(Block(5, 2, 0b0111))
    assert refusal.value.reason == "conflict"


def fresh() -> Consensus:
    return Consensus(Committee(4), Rules(protocol="psync"))


def test_collected_rounds_are_stale_and_memory_stays_flat():
    validator = Consensus(Committee(4), Rules(protocol="psync", look_back=4, keep=24))
    most = 0
    for block in full_rounds(400):
        validator.add(block)
        most = max(most, len(validator.dag.layers))
    assert most <= 28
    assert validator.early is not None
    assert len(validator.early._final) <= 28
    assert len(validator.early._waiting) <= 28
    assert max(past.bit_length() for layer in validator.dag.layers.values() for past in layer.past) <= 4 * 28
    assert validator.check.wrong == 0
    assert validator.check.open <= 28
    with pytest.raises(Refused) as refusal:
        validator.add(Block(50, 2, 0b0111))
    assert refusal.value.reason == "stale"


@pytest.mark.parametrize("protocol", ["psync", "asynchronous"])
def test_collecting_changes_no_commit(protocol):
    committee = Committee(4)
    for seed in range(5):
        blocks = random_dag(committee, 120, CALM, Random(seed))
        logs = [
            commit_log(feed(blocks, committee, Rules(protocol, look_back=4, keep=keep), SeededCoin(committee, seed))[1])
            for keep in (24, 1000)
        ]
        assert logs[0] == logs[1]
        assert logs[0].count(b"\n") > 20


def test_a_coin_has_one_value_and_psync_has_none():
    validator = Consensus(Committee(4))
    validator.coin(1, 2)
    validator.coin(1, 2)
    for wave, author in ((1, 3), (0, 1), (2, 4)):
        with pytest.raises(ValueError, match="expected one author"):
            validator.coin(wave, author)
    with pytest.raises(ValueError, match="has no coin"):
        fresh().coin(1, 2)


def test_a_coin_value_can_make_a_block_final():
    """(4,2) waits for (5,1), which could be the fallback leader of wave 2 until the coin says that (5,3) is."""
    file = read(
        json.dumps(
            {
                "n": 4,
                "protocol": "asynchronous",
                "leaders": [3, 0, 2, 1],
                "coin": [2, 3],
                "blocks": [[1, a, []] for a in range(4)]
                + [[2, a, [0, 1, 2]] for a in range(3)]
                + [[3, a, [0, 1, 2]] for a in range(4)]
                + [[4, a, [0, 1, 2, 3]] for a in (0, 2, 3)]
                + [[4, 1, [1, 2, 3]]]
                + [[5, a, [0, 1, 3] if a == 1 else [0, 1, 2, 3]] for a in range(4)]
                + [[round, a, [0, 1, 2, 3]] for round in (6, 7, 8) for a in range(4)],
            }
        )
    )
    validator, coin = Consensus(file.committee, file.rules), file.new_coin()
    early_of = {}
    for block in sorted(file.blocks):
        for event in validator.add(block):
            early_of[event.block] = ("block", block.slot)
        if value := coin.reveal(block):
            for event in validator.coin(*value):
                early_of[event.block] = ("coin", value)
    assert early_of[4, 2] == ("coin", (2, 3))


def test_fallback_leader_is_committed_when_steady_ones_are_not_seen():
    """The steady leaders never get a reference in time; the coin's leader of wave 2 is committed, and says so."""
    committee = Committee(4)
    rows, schedule = [], [3, 3, 3, 3]
    for round in range(1, 14):
        for author in range(4):
            parents = [] if round == 1 else [0, 1, 2] if author < 3 else [0, 1, 2, 3]
            rows.append([round, author, parents])
    file = read(json.dumps({"n": 4, "leaders": schedule, "coin": [0, 1, 2], "blocks": rows}))
    commits = [event for event in play(file)[1] if isinstance(event, Commit)]
    assert [(commit.leader, commit.kind) for commit in commits][:1] == [((5, 1), "fallback")]
    assert committee.quorum == 3


@pytest.mark.parametrize("protocol", ["psync", "asynchronous"])
def test_calm_rounds_are_nearly_all_early(protocol):
    committee = Committee(10)
    validator, events = feed(full_rounds(40, 10), committee, Rules(protocol), SeededCoin(committee, 1))
    early = sum(isinstance(event, Early) for event in events)
    ordered = sum(len(event.blocks) for event in events if isinstance(event, Commit))
    assert early > 0.85 * ordered
    assert validator.check.wrong == 0
    assert validator.check.ok > 0


def test_early_places_chain():
    """Each early event names the block before it in its shard."""
    _, events = feed(full_rounds(20), Committee(4), Rules("psync"), SeededCoin(Committee(4), 1))
    shards: dict[int, list] = {shard: [] for shard in range(4)}
    for event in events:
        if isinstance(event, Early):
            assert event.shard == Committee(4).shard(event.block[1], event.block[0])
            assert event.position == event.block[0] - 1  # no hole: a block a round
            if event.after:
                assert event.after[0] == event.block[0] - 1
            shards[event.shard].append(event.position)
    assert all(places == sorted(set(places)) for places in shards.values())


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({}, "n None; expected a whole number above 0"),
        ({"n": 3}, "3 validators; expected at least 4"),
        ({"n": True}, "n True; expected a whole number"),
        ({"n": 4, "protocol": "raft"}, "protocol 'raft'; expected one of asynchronous, psync, shoal"),
        ({"n": 4, "order": "random"}, "order 'random'; expected one of causal, support-gated"),
        ({"n": 4, "leaders": [4]}, "leaders .4.; expected one or more authors in 0..3"),
        ({"n": 4, "coin": []}, "coin .*; expected one or more authors"),
        ({"n": 4, "look_back": 0}, "look_back 0; expected a whole number"),
        ({"n": 4, "blocks": [[1, 0]]}, "block .*; expected .round, author"),
        ({"n": 4, "blocks": [[2, 0, [0, 1, 1]]]}, "block .*; expected .round, author"),
        ({"n": 4, "blocks": [[2, 0, [0, 1, 7]]]}, "block .*; expected .round, author"),
        ({"n": 4, "blocks": 3}, "blocks 3; expected a list"),
    ],
)
def test_bad_dag_files(keys, text):
    with pytest.raises(ValueError, match=text):
        read(json.dumps(keys))


@pytest.mark.parametrize("text", ["", "[]", "{", "3"])
def test_files_that_are_no_dag_file(text):
    with pytest.raises(ValueError, match="expected"):
        read(text)


def test_look_back_of_one_is_refused():
    with pytest.raises(ValueError, match="a look-back of 1 rounds; expected at least 2"):
        Rules(look_back=1)


def test_a_written_file_reads_back_and_gives_the_same_log():
    committee = Committee(7)
    blocks = random_dag(committee, 30, CALM, Random(5))
    text = write("made", committee, "asynchronous", blocks, leaders={"seed": 2}, coin={"seed": 9}, look_back=6)
    file = read(text)
    assert file.blocks == blocks
    rules = Rules("asynchronous", Hashed(7, 2), look_back=6)
    log = commit_log(feed(blocks, committee, rules, SeededCoin(committee, 9))[1])
    assert commit_log(play(file)[1]) == log
    assert log.startswith(b"0 ")
