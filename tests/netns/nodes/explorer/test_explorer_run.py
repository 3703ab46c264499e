"""Explorations over real links: ring adversary on both sides of the threshold, a grid, block trees, slots, a cheat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from skyloom_command import skyloom_in_time

from emulator.record.load import load_run

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("with_root")]


def run(folder: Path, *options: str, scenario: str = "explore") -> tuple[int, dict[str, Any], str]:
    """Exit code, verdict and what was said on standard error."""
    sets = [word for option in options for word in ("--set", option)]
    done = skyloom_in_time("run", scenario, "--no-tui", "--json", "--runs", folder / "runs", *sets)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def passed(folder: Path, *options: str) -> dict[str, Any]:
    """The summary of a run that agreed with its prediction in every figure."""
    code, verdict, said = run(folder, *options)
    assert code == 0, f"{verdict}\n{said}"
    assert verdict["verdict"] == "pass"
    assert verdict["prediction"]
    summary: dict[str, Any] = verdict["summary"]
    assert {name: summary[name] for name in verdict["prediction"]} == verdict["prediction"]
    assert summary["ports_agree"] is summary["orders_agree"] is True
    assert summary["round_fidelity"] == 1.0
    assert summary["carries_failed"] == 0
    assert verdict["rounds"]["messages"] == verdict["rounds"]["received"] == summary["moves"]
    return summary


@pytest.mark.parametrize(
    ("nodes", "interval", "visibility"),
    [(6, 2, "kt1"), (6, 4, "kt0"), (5, 4, "kt0"), (6, 5, "kt1")],
)
def test_ring_adversary(tmp_path: Path, nodes: int, interval: int, visibility: str) -> None:
    """T below n-2, T = n-2, and T = n-1 twice."""
    summary = passed(tmp_path, f"graph=ring:{nodes}", f"interval={interval}", f"visibility={visibility}", "start=1")
    if interval <= nodes - 2:
        assert summary["seen"] == interval + 1
        assert not summary["covered"]
        assert summary["t_measured"] == interval
    else:
        assert summary["covered"]
        assert summary["steps"] == nodes - 1


def test_static_grid(tmp_path: Path) -> None:
    summary = passed(tmp_path, "graph=grid:4x4", "schedule=static", "visibility=kt1")
    assert summary["steps"] == summary["moves"] == 15


def test_block_trees(tmp_path: Path) -> None:
    summary = passed(tmp_path, "graph=complete:8", "schedule=blocks", "interval=2", "visibility=kt1", "seed=4")
    assert summary["covered"]
    assert summary["t_measured"] >= 2


@pytest.mark.alone
def test_worst_ring_in_slots(tmp_path: Path) -> None:
    summary = passed(tmp_path, "graph=ring:6", "schedule=worst", "interval=2", "mode=slotted", "slot=600 ms")
    assert summary["t_measured"] == 2


def test_random_walk(tmp_path: Path) -> None:
    assert passed(tmp_path, "graph=ring:5", "interval=2", "visibility=walk", "seed=3")["seen"] <= 3


def test_schedule_of_a_file(tmp_path: Path) -> None:
    """Two paths that take turns, five steps each and for ever."""
    other = [[0, 2], [2, 4], [4, 1], [1, 3]]
    steps = [[[0, 1], [1, 2], [2, 3], [3, 4]]] * 5 + [other] * 5
    (tmp_path / "turns.json").write_text(json.dumps({"nodes": 5, "snapshots": steps, "period": 10}))
    options = ("graph=complete:5", f"schedule={tmp_path / 'turns.json'}", "start=2")
    summary = passed(tmp_path, *options)
    assert summary["covered"]
    assert summary["t_declared"] == summary["t_measured"] == 1


CHEAT = """
from nodes.explorer.process import Host

class Cheat(Host):
    "Tells its agent that all ports are up, whatever the kernel says."

    def _ports_up(self):
        return set(self.neighbours)

    async def _ports_show(self, expected):
        return
"""


def test_no_move_over_a_link_that_is_down(tmp_path: Path) -> None:
    (tmp_path / "cheat.py").write_text(CHEAT)
    (tmp_path / "s.toml").write_text("""
name = "cheat"
topology = "topologies.graph"
routing = "neighbours"
ends = "programs"
duration = "20 s"
analysis = "scenarios.explore.analysis"
graph = { spec = "cycle:4", delay = "2 ms", carrier = true, extra = ["observer"] }

[[program]]
name = "host"
nodes = ["n[0-9]*"]
run = "cheat:Cheat"
barrier = "explore"
config = { nodes = 4, edges = [[0, 1], [1, 2], [2, 3], [0, 3]], visibility = "kt1", max_steps = 3, timeout = "300 ms" }

[[program]]
name = "conductor"
nodes = ["observer"]
run = "nodes.explorer.conductor:Conductor"
barrier = "explore"
config = { nodes = 4, edges = [[0, 1], [1, 2], [2, 3], [0, 3]], max_steps = 3, toggles = [[0, 0, 1], [2, 0, 1]] }
""")
    _, verdict, said = run(tmp_path, scenario=str(tmp_path / "s.toml"))
    events = load_run(tmp_path / "runs" / "cheat" / "latest").events
    found = {
        kind: [json.loads(data) for data in events.filter(events["kind"] == kind)["data"]]
        for kind in ("explore", "carry-failed", "carried")
    }
    assert [(each["step"], each["to"]) for each in found["carry-failed"]] == [(0, 1), (1, 1)], f"{verdict}\n{said}"
    assert [(each["node"], each["move"]) for each in found["explore"]] == [(0, 1), (0, 1), (0, 1)]
    assert [each["step"] for each in found["carried"]] == [2], "once the link is up again it gets there"


def test_bad_files_end_with_65(tmp_path: Path) -> None:
    (tmp_path / "edges.json").write_text('{"nodes": 5, "snapshots": [[[0, 7]]]}')
    code, _, said = run(tmp_path, "graph=ring:5", f"schedule={tmp_path / 'edges.json'}")
    assert code == 65
    assert "$.snapshots[0][0]: [0, 7]; expected two different nodes of 0 … 4" in said
    assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()
