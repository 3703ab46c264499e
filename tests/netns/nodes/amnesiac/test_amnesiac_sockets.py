"""Amnesiac flooding over real sockets: what was predicted offline is what is observed, message by message.

One late message on an even cycle makes flooding endless, so that each of these runs is a test of the emulator's timing.
A run that itself says that messages missed their round is no evidence, and is played again, at most three times.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fabric_sandbox import needs_sandbox
from skyloom_command import skyloom

pytestmark = [pytest.mark.netns, pytest.mark.alone, needs_sandbox]

CASES = {
    "tree": ("tree:7", "none", "terminates at round 4, 6 messages"),
    "tree, all late": ("tree:7", "random:seed=1,density=0.6", "terminates at round 9, 6 messages"),
    "C4": ("cycle:4", "none", "terminates at round 2, 4 messages"),
    "C4, one late": ("cycle:4", "late", "never terminates: cycle of length 4"),
    "C6": ("cycle:6", "none", "terminates at round 3, 6 messages"),
    "C6, one late": ("cycle:6", "late", "never terminates: cycle of length 6"),
    "C6, one later": ("cycle:6", "late:delay=2", "terminates at round 4, 6 messages"),
    "C6, one lost": ("cycle:6", "loss", "never terminates: cycle of length 6"),
    "C6 without an edge": ("cycle:6", "removed", "terminates at round 6, 7 messages"),
    "petersen": ("petersen", "none", "terminates at round 5, 30 messages"),
    "guard": ("cycle:3", "guard", "never terminates: cycle of length 4"),
    "program": ("cycle:3", "program:steps=3", "terminates at round 15, 24 messages"),
    "endless triangle": ("cycle:3", "endless", "never terminates: cycle of length 6"),
    "endless C6": ("cycle:6", "endless", "never terminates: cycle of length 6"),
    "endless bull": ("bull", "endless", "never terminates: cycle of length 6"),
    "endless diamond": ("diamond", "endless", "never terminates: cycle of length 6"),
    "endless grid": ("grid:2x3", "endless", "never terminates: cycle of length 4"),
    "overtaking": ("complete:4", "random:seed=2,density=0.5,max=3", "never terminates: cycle of length 12"),
}


def run(runs: Path, graph: str, adversary: str, *more: str) -> dict[str, Any]:
    """Verdict of a run whose messages were all in their rounds, or of the third one."""
    arguments = ["run", "amnesiac", "--set", f"graph={graph}", "--set", f"adversary={adversary}", *more]
    verdict: dict[str, Any] = {}
    for _ in range(3):
        done = skyloom(*arguments, "--no-tui", "--json", "--runs", runs)
        assert done.returncode in (0, 1, 75), done.stdout + done.stderr
        verdict = json.loads(done.stdout)
        if verdict["rounds"]["fidelity"] == 1.0:
            break
    return verdict


@pytest.mark.parametrize("case", CASES)
def test_predicted_is_observed(case: str, tmp_path: Path) -> None:
    graph, adversary, outcome = CASES[case]
    verdict = run(tmp_path, graph, adversary)
    rounds, summary = verdict["rounds"], verdict["summary"]
    assert rounds["fidelity"] == summary["round_fidelity"] == 1.0
    assert summary["predicted"] == outcome
    assert {name: summary.get(name) for name in verdict["prediction"]} == verdict["prediction"]
    assert summary["trace_equal"]
    assert rounds["messages"] == rounds["interface_packets"] == summary["messages"]
    assert verdict["exit_code"] == 0, verdict


def test_several_sources(tmp_path: Path) -> None:
    verdict = run(tmp_path, "cycle:6", "none", "--set", "sources=[0,1]")
    assert verdict["summary"]["observed"] == "terminates at round 3, 12 messages"
    assert verdict["exit_code"] == 0


def test_the_kill_switch_ends_a_storm(tmp_path: Path) -> None:
    """A run with more messages than the scenario allows is ended and does not pass."""
    verdict = run(tmp_path, "cycle:6", "late", "--set", "rounds.max_messages=10")
    assert "rounds.max_messages" in verdict["rounds"]["stopped"]
    assert verdict["exit_code"] == 1
    assert verdict["rounds"]["messages"] < 31
