"""Every DAG file in tests/golden/dagbft: commits and early sets, worked out by hand from the specification, hold."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from nodes.dagbft.consensus.asynchronous import Asynchronous
from nodes.dagbft.consensus.committee import Turns
from nodes.dagbft.consensus.core import Commit, Consensus
from nodes.dagbft.consensus.dag import Dag, members
from nodes.dagbft.consensus.early import Early
from nodes.dagbft.consensus.ordering import CausalOrder
from nodes.dagbft.consensus.run_file import DagFile, commit_log, feed, play, read

FOLDER = Path(__file__).parents[3] / "golden" / "dagbft"
FILES = {path.stem: read(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
VIEWS = [(name, view["name"]) for name, file in FILES.items() for view in file.document["views"]]
ORDERS = 12  # random causal orders in which each view is fed besides the plain one


def view_of(file: DagFile, name: str) -> dict:
    return next(view for view in file.document["views"] if view["name"] == name)


def slots(pairs: list[list[int]]) -> list[tuple[int, int]]:
    return [(round, author) for round, author in pairs]


def shuffled(blocks, random):
    """A random causal order of these blocks."""
    waiting, done, order = list(blocks), set(), []
    while waiting:
        ready = [b for b in waiting if all((b.round - 1, p) in done for p in members(b.parents))]
        block = random.choice(ready)
        waiting.remove(block)
        done.add(block.slot)
        order.append(block)
    return order


def expected_log(view: dict) -> bytes:
    commits = [
        Commit(number, tuple(commit["leader"]), commit["kind"], tuple(slots(commit["blocks"])))
        for number, commit in enumerate(view["commits"])
    ]
    return commit_log(commits)


def still_early(events) -> set[tuple[int, int, int]]:
    """Blocks that are final and not ordered, with their places."""
    ordered = {slot for event in events if isinstance(event, Commit) for slot in event.blocks}
    return {(*e.block, e.position) for e in events if isinstance(e, Early) and e.block not in ordered}


def check(view: dict, validator: Consensus, events) -> None:
    assert commit_log(events) == expected_log(view)
    assert still_early(events) == {tuple(entry) for entry in view["early"]}
    ever = {event.block for event in events if isinstance(event, Early)}
    assert not ever & set(slots(view.get("never_early", [])))
    assert validator.check.wrong == 0
    order = [slot for event in events if isinstance(event, Commit) for slot in event.blocks]
    for shard, expected in view.get("shard_orders", {}).items():
        found = [slot for slot in order if validator.committee.shard(slot[1], slot[0]) == int(shard)]
        assert found == slots(expected)
    for round, modes in view.get("modes", {}).items():
        rule = validator.rule
        assert isinstance(rule, Asynchronous)
        last = 4 * int(round)
        assert {author: rule.mode((last, int(author))) for author in modes} == modes


@pytest.mark.parametrize(("file", "view"), VIEWS)
def test_commits_and_early_set_in_any_order(file, view):
    dag, expected = FILES[file], view_of(FILES[file], view)
    only = slots(expected["blocks"]) if "blocks" in expected else None
    check(expected, *play(dag, only))
    blocks = [block for block in dag.blocks if only is None or block.slot in only]
    for seed in range(ORDERS):
        check(expected, *feed(shuffled(blocks, Random(seed)), dag.committee, dag.rules, dag.new_coin()))


def test_there_are_the_six_of_bullshark_and_ours():
    assert set(FILES) >= {"commit_one", "dead_node", "not_enough_support", "missing_leader", "support_missing_gc"}
    assert set(FILES) >= {"slow_node", "a_leader_check", "b_hole", "c_forgotten_leader", "d_mode_clause"}


COUNTS = {  # the specification's table: blocks by round of each committed leader's batch
    "commit_one": [(2, {1: 4, 2: 1})],
    "dead_node": [(2, 4), (4, 6), (6, 6), (8, 6)],
    "not_enough_support": [(2, {1: 3, 2: 1}), (4, {2: 3, 3: 3, 4: 1})],
    "missing_leader": [(4, {1: 3, 2: 3, 3: 4, 4: 1})],
    "support_missing_gc": [(2, 4), (6, 12)],
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_the_table(name):
    commits = [event for event in play(FILES[name])[1] if isinstance(event, Commit)]
    assert [commit.leader[0] for commit in commits] == [round for round, _ in COUNTS[name]]
    for commit, (_, expected) in zip(commits, COUNTS[name], strict=True):
        rounds = [round for round, _ in commit.blocks]
        found = {round: rounds.count(round) for round in set(rounds)}
        assert (found if isinstance(expected, dict) else len(rounds)) == expected


def test_slow_node_loses_what_is_below_the_floor_of_the_leader_before():
    commits = [event for event in play(FILES["slow_node"])[1] if isinstance(event, Commit)]
    assert [author for _, author in commits[-1].blocks].count(3) == 6


@pytest.mark.parametrize("name", ["support_missing_gc", "slow_node"])
def test_published_sizes_come_from_a_floor_at_the_leader_itself(name, monkeypatch):
    monkeypatch.setattr(CausalOrder, "anchor", lambda self, previous, leader: leader)
    commits = [event for event in play(FILES[name])[1] if isinstance(event, Commit)]
    assert [len(commit.blocks) for commit in commits] == FILES[name].document["views"][0][
        "anchored_at_the_leader_itself"
    ]
    if name == "slow_node":
        assert [author for _, author in commits[-1].blocks].count(3) == 4


@pytest.mark.parametrize("name", ["a_leader_check", "b_hole"])
def test_what_the_prototype_calls_final_is_ordered_elsewhere(name):
    file = FILES[name]
    says = file.document["views"][0]["prototype_says"]
    order = slots(file.document["views"][1]["shard_orders"]["3"])
    assert slots(says["after"]) != order[: order.index(tuple(says["block"]))]


def test_forgotten_leader_is_found_by_the_walk_back():
    file = FILES["c_forgotten_leader"]
    expected = file.document["views"][0]["walk_back"]
    late = Consensus(file.committee, file.rules)
    for block in sorted(file.blocks):
        late.dag.add(block)  # held, but nothing committed yet
    leaders = late.rule.chain(tuple(expected["from"]))
    assert leaders == slots(expected["leaders"])
    order = [slot for leader in leaders for slot in late.order.batch(leader)]
    assert order[: len(expected["starts"])] == slots(expected["starts"])
    forgetful = Dag(file.committee)
    for block in sorted(file.blocks):
        forgetful.add(block)
    order = CausalOrder(forgetful, 50).batch(tuple(expected["from"]))
    assert order[: len(expected["fork_starts"])] == slots(expected["fork_starts"])


def test_mode_clause_decides_fixture_d(monkeypatch):
    monkeypatch.setattr(Asynchronous, "votes_from_own_past", lambda self, block, first: True)
    file = FILES["d_mode_clause"]
    views = {view["name"]: view for view in file.document["views"]}
    logs = {name: commit_log(play(file, slots(views[name]["blocks"]))[1]) for name in views if "blocks" in views[name]}
    assert logs["rounds 1-5"] != logs["rounds 1-5 without (1,3)"]


def test_restart_every_two_rounds_continues():
    """Commits 2, 4, … 10 come out once, whatever a validator that starts anew has replayed before."""
    rows = [[round, author, [0, 1, 2, 3] if round > 1 else []] for round in range(1, 12) for author in range(4)]
    file = read(json.dumps({"n": 4, "protocol": "psync", "leaders": [0], "blocks": rows}))
    log = commit_log(play(file)[1]).splitlines()
    assert [line.split()[2] for line in log] == [f"{round}.0:".encode() for round in (2, 4, 6, 8, 10)]
    for stop in range(2, 12, 2):
        held = [block.slot for block in file.blocks if block.round <= stop]
        assert commit_log(play(file, held)[1]).splitlines() == log[: stop // 2 - 1]


def test_turns_of_the_fixtures_are_the_leaders_of_the_text():
    leaders = Turns(FILES["b_hole"].document["leaders"])
    assert [leaders.author(round // 2 - 1) for round in (2, 4, 6)] == [3, 0, 1]
