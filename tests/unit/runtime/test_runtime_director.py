"""When a scenario's actions are due, and what they ask for."""

from __future__ import annotations

import pytest

from emulator.runtime.actions.runner import due

pytest.importorskip("pydantic")
from emulator.scenario.schema.action import Action


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
    assert [(t_s, given["do"]) for t_s, given in due(scenario)] == [
        (2.0, "crash"), (2.0, "release"), (4.0, "crash"), (5.0, "heal"), (6.0, "crash"), (8.0, "crash"),
    ]  # fmt: skip


def test_what_is_done_for_a_while_is_taken_back():
    scenario = Planned(
        10.0,
        {"at": "1 s", "do": "link-down", "links": ["a:up"], "for": "2 s"},
        {"at": "4 s", "until": "6 s", "do": "set", "links": ["a:up"], "rate": "1 Mbit/s"},
        {"at": "8 s", "do": "crash", "nodes": ["a"], "for": "5 s"},
    )
    found = list(due(scenario))
    assert found == [
        (1.0, {"do": "link-down", "links": ("a:up",)}),
        (3.0, {"do": "link-up", "links": ("a:up",)}),
        (4.0, {"do": "set", "links": ("a:up",), "rate_bps": 1e6}),
        (6.0, {"do": "set", "links": ("a:up",), "rate_bps": None}),
        (8.0, {"do": "crash", "nodes": ("a",)}),
    ]
