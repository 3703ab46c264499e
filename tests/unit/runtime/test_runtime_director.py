"""When a scenario's actions are due, and what they ask for."""

from __future__ import annotations

import pytest

from emulator.runtime.actions import undone
from emulator.runtime.actions.runner import due
from emulator.runtime.programs.jobs import Job

pytest.importorskip("pydantic")
from emulator.scenario.schema.action import Action
from emulator.scenario.schema.program import Program


class Planned:
    def __init__(self, duration_s, *actions):
        self.duration_s = duration_s
        self.actions = [Action.model_validate(action) for action in actions]


def test_actions_come_in_order_of_time_and_of_the_file():
    scenario = Planned(
        10.0,
        {"at": "5 s", "do": "heal"},
        {"every": "2 s", "do": "crash", "nodes": ["a"]},
        {"at": "2 s", "do": "release", "links": ["a:*"]},
    )
    assert [(t_s, given["do"]) for t_s, _, given in due(scenario)] == [
        (2.0, "crash"), (2.0, "release"), (4.0, "crash"), (5.0, "heal"), (6.0, "crash"), (8.0, "crash"),
    ]  # fmt: skip


def test_what_is_done_for_a_while_is_taken_back():
    scenario = Planned(
        10.0,
        {"at": "1 s", "do": "link-down", "links": ["a:up"], "for": "2 s"},
        {"at": "4 s", "until": "6 s", "do": "set", "links": ["a:up"], "rate": "1 Mbit/s"},
        {"at": "8 s", "do": "crash", "nodes": ["a"], "for": "5 s"},
    )
    found = [(t_s, given) for t_s, _, given in due(scenario)]
    assert found == [
        (1.0, {"do": "link-down", "links": ("a:up",)}),
        (3.0, {"do": "link-up", "links": ("a:up",)}),
        (4.0, {"do": "set", "links": ("a:up",), "rate_bps": 1e6}),
        (6.0, {"do": "set", "links": ("a:up",), "rate_bps": None}),
        (8.0, {"do": "crash", "nodes": ("a",)}),
    ]


def test_what_did_not_take_place_is_in_the_verdict():
    at_ready = {"at": "ready + 1 s", "do": "exec", "nodes": "v0", "command": ["put", "a b"]}
    actions = Planned(
        10.0, {**at_ready, "expect": "exit 0"}, {**at_ready, "at": "4 s", "expect": "exit 2"}, at_ready,
        {"at": "4 s", "do": "crash", "nodes": "v0"},
    ).actions  # fmt: skip
    program = Program.model_validate({"name": "db", "nodes": "v*", "command": "db", "ready": {"tcp": 1}})
    jobs = [Job(node, program, 0) for node in ("v0", "v1", "v2")]
    jobs[0].ready_s = 1.0
    waits = "db on v1 was not ready (and 1 more)"
    assert [(row.figure, row.asked, row.holds, row.reason) for row in undone.outcomes(actions, [], jobs)] == [
        ("exec put 'a b'", "exit 0", False, waits),
        ("exec put 'a b'", "exit 2", False, "the run ended before its time"),
    ]
    assert undone.warnings(actions, [], jobs) == [f"exec did not take place: {waits}"]
    for job in jobs:
        job.ready_s = 9.5
    assert undone.warnings(actions, [], jobs) == [
        "exec did not take place: the run ended within 1 s of all programs being ready"
    ]
    failed = [
        ({"do": "restart"}, "v0: p does not die"),
        ({"do": "exec", "command": ["put"], "expect": "exit 0"}, "full"),
    ]
    assert undone.warnings([], failed, jobs) == ["restart failed: v0: p does not die"]
    assert [(row.figure, row.reason) for row in undone.outcomes([], failed, jobs)] == [("exec put", "full")]
