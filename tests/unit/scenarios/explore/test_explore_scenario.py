"""Recipe and analysis of the scenario `explore`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars
import pytest

from emulator.model.errors import DataError, ScenarioError
from emulator.record.load import Run
from emulator.report.drawing import svg
from emulator.scenario import build_topology, load
from nodes.explorer import files
from nodes.explorer.conductor import Conductor
from nodes.explorer.interval import edge
from nodes.explorer.schedules import Schedule, ring_edges
from scenarios.explore.analysis import figures, summarise, sweep_figures


def loaded(*options: str) -> Any:
    return load("explore", overrides=list(options))


def test_default_is_the_ring_adversary_with_its_prediction() -> None:
    scenario = loaded()
    assert scenario.prediction["seen"] == 9
    assert scenario.prediction["t_measured"] == 8
    assert scenario.prediction["covered"] is False
    assert {program.barrier for program in scenario.programs} == {"explore"}
    assert scenario.programs[1].config_values["adversary_interval"] == 8
    assert {expect.figure for expect in scenario.expects} >= {"summary.seen", "summary.steps", "summary.moves"}
    assert {node.name for node in build_topology(scenario).nodes} == {*(f"n{node}" for node in range(12)), "observer"}


@pytest.mark.parametrize("nodes", [5, 8])
def test_threshold_of_the_prediction(nodes: int) -> None:
    for interval in range(1, nodes + 1):
        seen = loaded(f"graph=ring:{nodes}", f"interval={interval}").prediction["seen"]
        assert seen == (interval + 1 if interval <= nodes - 2 else nodes)


def test_toggles_give_back_the_schedule() -> None:
    scenario = loaded("graph=complete:6", "schedule=blocks:extra=0.2", "interval=3", "visibility=kt1")
    config = Conductor.Config(**scenario.programs[1].config_values)
    present = frozenset(edge(a, b) for a, b in config.edges)
    snapshots = []
    for step in range(config.max_steps):
        present ^= {edge(a, b) for at, a, b in config.toggles if at == step}
        snapshots.append(present)
    assert len(set(snapshots)) == -(-config.max_steps // 3)
    assert all(len(each) >= 5 for each in snapshots)


def test_slots_take_down_what_is_absent() -> None:
    scenario = loaded("graph=ring:5", "schedule=worst", "interval=2", "mode=slotted")
    events = scenario.tables.slots.events
    assert scenario.tables.graph.carrier
    assert all(event.down for event in events)
    assert len({event.round for event in events}) == len(events)
    assert len(scenario.programs) == 1


@pytest.mark.parametrize(
    ("options", "key", "message"),
    [
        (["graph=ring:2"], "graph", ""),
        (["graph=nosuch"], "graph", "nosuch"),
        (["start=12"], "start", "a node of 0 … 11"),
        (["interval=0"], "interval", ""),
        (["graph=petersen"], "schedule", "a ring for that schedule"),
        (["schedule=worst"], "schedule", "a ring of at most 7 nodes"),
        (["schedule=chaos"], "schedule", "adversary, worst, blocks, blocks:extra=0.1, static, or a .json file"),
        (["schedule=blocks:extra=2"], "schedule", "a chance of 0 to 1"),
        (["schedule=blocks:more=0.1"], "schedule", "a chance of 0 to 1"),
        (["mode=slotted"], "mode", "'barrier'"),
        (["schedule=static", "mode=slotted", "slot=10ms"], "slot", "20 times the delay"),
        (["graph=complete:80", "schedule=blocks", "interval=1"], "schedule", "6000 at most"),
        (["graph=complete:200", "schedule=static"], "graph", "6000 at most"),
        (["visibility=kt2"], "visibility", "kt1"),
        (["max_steps=0"], "max_steps", ""),
        (["max_steps=100000"], "max_steps", "10000"),
        (["graph=ring:513"], "graph", "512 at most"),
        (["delay=unlimited"], "delay", "a time with an end"),
        (["schedule=static", "mode=slotted", "slot=0 s"], "slot", "above 0 s for a slot"),
    ],
)
def test_bad_parameters_are_named(options: list[str], key: str, message: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        loaded(*options)
    assert key in [problem.key for problem in raised.value.problems]
    assert message in str(raised.value)


def test_bad_schedule_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(
        'recipe = "scenarios.explore.recipe"\ngraph = "path:4"\nschedule = "edges.json"\nname = "s"\n'
    )
    cases = [
        (json.dumps({"nodes": 4, "snapshots": [[[0, 9]]]}), "$.snapshots[0][0]: [0, 9]"),
        (files.write(Schedule(3, (frozenset({(0, 1), (1, 2)}),))), "4 nodes and edges of the graph 'path:4'"),
        (files.write(Schedule(4, (frozenset({(0, 3)}),))), "the edge 0-3"),
    ]
    for text, message in cases:
        (tmp_path / "edges.json").write_text(text)
        with pytest.raises((ScenarioError, DataError)) as raised:
            load(str(tmp_path / "s.toml"))
        assert message in str(raised.value)
    (tmp_path / "edges.json").write_text(files.write(Schedule(4, (frozenset({(0, 1), (1, 2), (2, 3)}),))))
    assert load(str(tmp_path / "s.toml")).prediction["steps"] == 3


RING = ring_edges(4)
SCENARIO = """
[[program]]
run = "nodes.explorer.process:Host"
config = { nodes = 4, edges = [[0, 1], [1, 2], [2, 3], [0, 3]], start = 0 }
[parameters]
interval = 2
visibility = "kt0"
schedule = "blocks"
"""


def recorded(rows: list[tuple[float, str, dict[str, Any]]]) -> Run:
    """A run with these events."""
    run = Run(Path(), SCENARIO, None)
    columns = {
        "t_s": [row[0] for row in rows],
        "node": ["n0"] * len(rows),
        "program": [""] * len(rows),
        "kind": [row[1] for row in rows],
        "data": [json.dumps(row[2]) for row in rows],
    }
    run.__dict__["events"] = polars.DataFrame(columns).sort("t_s", maintain_order=True)
    return run


def step(number: int, node: int, doors: list[int], move: int, moves: int, waits: int = 0) -> dict[str, Any]:
    counts = {"moves": moves, "waits": waits, "replans": 0, "sweeps": 0, "seen": 0}
    return {"step": number, "node": node, "doors": doors, "move": move, **counts}


ROWS: list[tuple[float, str, dict[str, Any]]] = [
    (0.0, "carrier", {"link": "n0:n1", "up": False}),
    (0.1, "edges", {"step": 0, "present": sorted(RING - {(0, 1)})}),
    (0.2, "explore", step(0, 0, [3], 3, 1)),
    (0.3, "carried", {"step": 0, "by": 0, "in_slot": True}),
    (0.4, "explore", step(1, 3, [0, 2], 2, 2)),
    (0.5, "carried", {"step": 1, "by": 3, "in_slot": True}),
    (0.6, "carrier", {"link": "n0:n1", "up": True}),
    (0.6, "carrier", {"link": "n1:n2", "up": False}),
    (0.7, "explore", step(2, 2, [3], -1, 2, 1)),
]


def test_t_is_measured_from_the_log_of_links() -> None:
    summary = summarise(recorded(ROWS))
    assert summary["t_measured"] == 1  # two edges are away in steps 1 and 2
    assert (summary["seen"], summary["steps"], summary["moves"], summary["waits"]) == (3, 3, 2, 1)
    assert summary["covered"] is False
    assert summary["ports_agree"] is True
    assert summary["orders_agree"] is True
    assert summary["round_fidelity"] == 1.0
    without = [row for row in ROWS if row[2].get("link") != "n1:n2"]
    assert summarise(recorded(without))["t_measured"] == 3
    assert summarise(recorded(without))["ports_agree"] is False


def test_orders_that_the_links_did_not_follow_show() -> None:
    rows = [(t_s, kind, data) for t_s, kind, data in ROWS if kind != "edges"]
    rows.append((0.1, "edges", {"step": 0, "present": sorted(RING)}))
    assert summarise(recorded(rows))["orders_agree"] is False


def test_failed_and_late_moves_are_counted() -> None:
    rows: list[tuple[float, str, dict[str, Any]]] = [
        (0.2, "explore", step(0, 0, [1, 3], 1, 1)),
        (0.3, "carry-failed", {"step": 0, "to": 1, "text": "timed out"}),
        (0.4, "explore", step(1, 0, [1, 3], 1, 2)),
        (0.5, "carried", {"step": 1, "by": 0, "in_slot": False}),
    ]
    summary = summarise(recorded(rows))
    assert (summary["seen"], summary["moves"], summary["carries_failed"]) == (2, 1, 1)
    assert summary["round_fidelity"] == 0.0


def test_a_run_that_recorded_nothing_has_figures_too() -> None:
    summary = summarise(recorded([(0.0, "play", {})]))
    assert (summary["steps"], summary["seen"], summary["t_measured"]) == (0, 1, 0)


def test_drawings() -> None:
    made = figures(recorded(ROWS))
    assert [drawing.name for drawing in made] == ["way", "cover-time", "worst-rings"]
    assert all("<svg" in svg(drawing.figure) for drawing in made)
    assert "offline" in svg(made[1].figure)


def test_drawings_of_sweeps() -> None:
    table = polars.DataFrame(
        {
            "interval": [1, 2, 3],
            "seen": [2, 3, 4],
            "steps": [9, 9, 3],
            "covered": [False, False, True],
            "nodes": [4] * 3,
        }
    )
    assert [drawing.name for drawing in sweep_figures(table)] == ["seen"]
    table = table.with_columns(covered=polars.lit(True), run=polars.lit("a"), error=polars.lit(None, polars.String))
    assert [drawing.name for drawing in sweep_figures(table)] == ["cover-time"]
    assert "<svg" in svg(sweep_figures(table)[0].figure)
    assert sweep_figures(table.drop("interval")) == []
