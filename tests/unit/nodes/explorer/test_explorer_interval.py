"""T-interval checker: the two semantics on sequences whose answer is known, and the command that prints it."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from emulator.model.errors import DataError
from nodes.explorer import files
from nodes.explorer.command import answer, commands
from nodes.explorer.interval import Interval, Snapshot, largest_finite, largest_periodic
from nodes.explorer.schedules import Footprint, Schedule, ring_edges, ring_gap

RING = ring_edges(5)
PATH = frozenset({(0, 1), (1, 2)})
BENT = frozenset({(0, 1), (0, 2)})
WHOLE = PATH | BENT


@pytest.mark.parametrize(
    ("snapshots", "finite", "periodic"),
    [
        ([WHOLE], 1, inf),
        ([PATH, PATH, PATH], 3, inf),
        ([PATH, BENT], 1, 1),
        ([PATH, WHOLE, BENT, BENT], 2, 1),  # the window from the end into the beginning has only the edge 0-1
        ([WHOLE, PATH, PATH, WHOLE, BENT], 2, 2),
        ([PATH, frozenset({(0, 1)}), PATH], 0, 0),
    ],
)
def test_known_sequences(snapshots: list[Snapshot], finite: int, periodic: float) -> None:
    assert largest_finite(3, snapshots) == finite
    assert largest_periodic(3, snapshots) == periodic


def test_ring_may_miss_another_edge_only_after_t_steps() -> None:
    for interval in range(1, 6):
        gaps = [0] * 2 + [None] * (interval - 1) + [3]
        assert largest_finite(5, ring_gap(5, gaps).snapshots) == interval


def test_prefix_counts_once_and_period_for_ever() -> None:
    snapshots = [PATH, WHOLE, WHOLE]
    assert largest_periodic(3, snapshots, period=2) == inf
    assert largest_periodic(3, [BENT, PATH, PATH], period=1) == 1
    assert largest_periodic(3, [BENT, WHOLE, WHOLE, PATH], period=1) == 3
    with pytest.raises(ValueError, match="period of 4 steps; expected 1 to 3"):
        largest_periodic(3, snapshots, period=4)


def test_hold_is_what_a_window_may_reach_back() -> None:
    checker = Interval(5)
    assert [checker.step(RING), checker.step(RING - {(0, 1)}), checker.step(RING - {(1, 2)})] == [1, 2, 1]
    assert checker.largest == 1


def test_one_node_is_always_joined() -> None:
    assert largest_finite(1, [frozenset(), frozenset()]) == 2
    assert largest_periodic(1, [frozenset()]) == inf


def test_events_and_snapshots_say_the_same() -> None:
    by_events = {
        "nodes": 3, "edges": [[1, 0], [1, 2]], "steps": 4,
        "events": [{"step": 1, "edge": [2, 0], "present": True}, {"step": 2, "edge": [1, 2], "present": False}],
    }  # fmt: skip
    assert files.parse(by_events).snapshots == (PATH, WHOLE, BENT, BENT)
    assert files.parse(json.loads(files.write(Schedule(3, (PATH, WHOLE), 1)))) == Schedule(3, (PATH, WHOLE), 1)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[]", "$: []; expected an object"),
        ("{", "expected JSON"),
        ("{}", "$.nodes: missing; expected a whole number, 1 to"),
        ('{"nodes": true, "snapshots": [[]]}', "$.nodes: true"),
        ('{"nodes": 3}', "neither `snapshots` nor `edges`"),
        ('{"nodes": 3, "snapshots": []}', "$.snapshots: 0 steps; expected 1"),
        ('{"nodes": 3, "snapshots": [[[0, 1]], [[0, 3]]]}', "$.snapshots[1][0]: [0, 3]; expected two different nodes"),
        ('{"nodes": 3, "snapshots": [[[1, 1]]]}', "$.snapshots[0][0]: [1, 1]; expected two different nodes of 0 … 2"),
        ('{"nodes": 3, "snapshots": [[[0, 1], [1, 0]]]}', "$.snapshots[0][1]: edge [0, 1] a second time"),
        ('{"nodes": 3, "snapshots": [[[0.0, 1]]]}', "$.snapshots[0][0]: [0.0, 1]; expected an edge"),
        ('{"nodes": 3, "snapshots": [[]], "period": 2}', "$.period: 2; expected a whole number, 0 to 1"),
        ('{"nodes": 3, "snapshots": [[]], "period": -1}', "$.period: -1"),
        ('{"nodes": 3, "snapshots": [[]], "steps": 1}', "$.steps: an unknown key"),
        ('{"nodes": 3, "edges": [], "steps": 0}', "$.steps: 0; expected a whole number, 1 to"),
        ('{"nodes": 3, "edges": [], "steps": 2, "events": [{"step": 2, "edge": [0, 1], "present": true}]}',
         "$.events[0].step: 2; expected a whole number, 0 to 1"),
        ('{"nodes": 3, "edges": [], "steps": 2, "events": [{"step": 1, "edge": [0, 1], "present": 1}]}',
         "$.events[0].present: 1; expected true or false"),
        ('{"nodes": 3, "edges": [], "steps": 2, "events": [{"step": 1}]}', "$.events[0]: keys step; expected"),
        ('{"nodes": NaN, "snapshots": [[]]}', "NaN"),
        ("[" * 100_000, "nested too deep"),
    ],
)  # fmt: skip
def test_bad_files_are_named_with_the_place(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(DataError) as raised:
        files.read(path)
    assert place in str(raised.value)
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        files.read(tmp_path / "none.json")


def test_footprint_must_be_connected_and_numbered() -> None:
    with pytest.raises(ValueError, match="2 cannot be reached from 0; expected a connected graph"):
        Footprint.of(4, [(0, 1), (2, 3)])
    with pytest.raises(ValueError, match="edge 1-1; expected two nodes"):
        Footprint.of(2, [(1, 1)])


def test_command_prints_both_semantics(tmp_path: Path) -> None:
    path = tmp_path / "changing.json"
    path.write_text(files.write(Schedule(3, (PATH, WHOLE, BENT, BENT))))
    app = typer.Typer()
    app.command()(commands[""])
    shown = CliRunner().invoke(app, [str(path), "--json"])
    assert shown.exit_code == 0
    assert json.loads(shown.output) == {
        "nodes": 3, "edges": 3, "steps": 4, "finite_t": 2, "period": 4, "periodic_t": 1,
    }  # fmt: skip
    text = CliRunner().invoke(app, [str(path)]).output
    assert "as it stands                 T = 2\nlast 4 steps repeated        T = 1\n" in text


def test_command_says_any_t_where_nothing_ever_breaks(tmp_path: Path) -> None:
    assert answer(Schedule(3, (PATH,)))["periodic_t"] is None
    path = tmp_path / "static.json"
    path.write_text(files.write(Schedule(3, (PATH, WHOLE))))
    app = typer.Typer()
    app.command()(commands[""])
    assert "any T" in CliRunner().invoke(app, [str(path)]).output
