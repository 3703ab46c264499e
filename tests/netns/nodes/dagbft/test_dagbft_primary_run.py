"""Validators as processes over emulated links: they commit the same, a killed one comes back and repeats nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagbft_committee import LOAD, SCENARIO, assert_agree, commits, of_kind, play
from fabric_sandbox import needs_sandbox

pytestmark = [pytest.mark.netns, needs_sandbox]


def test_four_validators_commit_and_answer_their_clients(tmp_path: Path) -> None:
    _, events = play(tmp_path, SCENARIO.format(duration=6, more="") + LOAD.format(until=3.5))
    assert_agree(commits(events), 10)
    tallies = of_kind(events, "tally", "primary")
    for tally in tallies.values():
        assert tally["early_wrong"] == tally["places_wrong"] == 0
        assert tally["early_ok"] > 100
        assert not tally["rejected"], tally["rejected"]
    clients = of_kind(events, "client", "client")
    assert len(clients) == 4
    for client in clients.values():
        assert client["sent"] > 100
        assert client["final"] == client["sent"]


def test_a_killed_validator_comes_back_from_its_store(tmp_path: Path) -> None:
    crash = '\n[[action]]\nat = "2 s"\nfor = "1.2 s"\ndo = "crash"\nnodes = ["a1"]\n'
    text = SCENARIO.format(duration=8, more='durability = "disk"\nlook_back = 6') + LOAD.format(until=4.5) + crash
    _, events = play(tmp_path, text)
    logs = commits(events)
    assert_agree(logs, 10)
    assert max(logs["a1"]) >= max(logs["a0"]) - 3
    made = [event["data"]["round"] for event in events if event["kind"] == "header" and event["node"] == "a1"]
    assert len(made) == len(set(made))
    assert all(tally["places_wrong"] == 0 for tally in of_kind(events, "tally", "primary").values())
    clients = of_kind(events, "client", "client")
    for node in ("a0", "a2", "a3"):
        assert clients[node]["final"] == clients[node]["sent"] > 100


def test_a_validator_that_was_away_for_longer_than_others_keep_takes_a_snapshot(tmp_path: Path) -> None:
    """Its later commits are those of the others, it repeats no header, and its clients are answered again."""
    crash = '\n[[action]]\nat = "2 s"\nfor = "5 s"\ndo = "crash"\nnodes = ["a1"]\n'
    more = "look_back = 6\ngc_depth = 14\nsnapshot_rounds = 5"
    _, events = play(tmp_path, SCENARIO.format(duration=12, more=more) + LOAD.format(until=10.0) + crash)
    (adopted,) = [event["data"]["commits"] for event in events if event["kind"] == "adopted"]
    logs = commits(events)
    assert_agree(logs, 10)
    assert min(index for index in logs["a1"] if index >= adopted) == adopted
    assert not set(range(max(index for index in logs["a1"] if index < adopted) + 1, adopted)) & set(logs["a1"])
    assert max(logs["a1"]) >= max(logs["a0"]) - 3
    made = [event["data"]["round"] for event in events if event["kind"] == "header" and event["node"] == "a1"]
    assert len(made) == len(set(made))
    for tally in of_kind(events, "tally", "primary").values():
        assert tally["early_wrong"] == tally["places_wrong"] == 0
    clients = of_kind(events, "client", "client")
    for node in ("a0", "a2", "a3"):
        assert clients[node]["final"] == clients[node]["sent"] > 100
    assert clients["a1"]["final"] > 50
