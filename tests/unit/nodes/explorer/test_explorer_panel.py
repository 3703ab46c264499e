"""The panel of an exploration, fed with the steps that the offline engine plays."""

from __future__ import annotations

from typing import Any

from emulator.sdk.protocol import PanelContext
from nodes.explorer.adversary import RingAdversary
from nodes.explorer.core import Agent
from nodes.explorer.engine import Play, play
from nodes.explorer.interval import edge
from nodes.explorer.panel import ExplorerPanel
from nodes.explorer.schedules import Footprint, ring_edges

NODES = 8


def told(interval: int, steps: int) -> tuple[ExplorerPanel, Play, RingAdversary]:
    """A panel after the steps against the ring adversary."""
    footprint = Footprint.of(NODES, sorted(ring_edges(NODES)))
    adversary = RingAdversary(NODES, interval, 0)
    played = play(footprint, RingAdversary(NODES, interval, 0), Agent("kt0", 0), 0, steps)
    host = {"nodes": NODES, "edges": sorted(footprint.edges), "visibility": "kt0", "max_steps": steps}
    context = PanelContext((), {"host": host, "conductor": {"nodes": NODES}}, {}, (), 9.0, {"seen": played.seen})
    of = ExplorerPanel(context)
    for step, (at, to) in enumerate(zip(played.path, played.path[1:], strict=False)):
        present = adversary.present(step, at)
        of.event(step * 0.1, "observer", "edges", {"step": step, "present": [list(pair) for pair in sorted(present)]})
        doors = sorted(node for node in footprint.neighbours[at] if edge(at, node) in present)
        fields = {"step": step, "node": at, "doors": doors, "moves": step, "waits": 0, "replans": 0, "sweeps": 0}
        of.event(step * 0.1, f"n{at}", "explore", {**fields, "move": to if to != at else -1})
        if to != at:
            of.event(step * 0.1, f"n{to}", "carried", {"step": step, "by": at, "in_slot": True})
    return of, played, adversary


def widget(of: ExplorerPanel, kind: str) -> Any:
    (found,) = [widget for widget in of.widgets(1.0) if widget["kind"] == kind]
    return found


def test_the_way_is_that_of_the_play() -> None:
    of, played, adversary = told(3, 20)
    rows = dict(widget(of, "grid")["rows"])
    seen: set[int] = set()
    for step, at in enumerate(played.path[:-1]):
        assert [name for name, cells in rows.items() if cells[step] == "@"] == [f"n{at}"]
        away = ring_edges(NODES) - adversary.present(step, at)
        for node in range(NODES):
            cell = rows[f"n{node}"][step]
            if node != at:
                assert (cell in "xX") == (edge(at, node) in away)
                assert (cell in "oX") == (node in seen)
        seen.add(at)
    facts = dict(widget(of, "facts")["rows"])
    assert facts["nodes seen"] == f"{played.seen} of {NODES} ({played.seen / NODES:.0%}) (predicted {played.seen})"
    assert facts["steps"] == "20 of at most 20"
    chart = widget(of, "chart")
    assert chart["x"] == list(range(20))
    assert chart["series"][0]["values"] == [len(set(played.path[: step + 1])) for step in range(20)]


def test_large_graphs_show_the_nodes_around_the_agent() -> None:
    edges = [[number, number + 1] for number in range(299)]
    of = ExplorerPanel(PanelContext((), {"host": {"nodes": 300, "edges": edges, "visibility": "kt0"}}, {}, (), 9.0))
    of.event(0.0, "n150", "explore", {"step": 0, "node": 150, "doors": [149, 151]})
    grid = widget(of, "grid")
    assert len(grid["rows"]) == 40
    assert ("n150", "@") in grid["rows"]
    assert "40 of 300" in grid["title"]


def test_failed_moves_are_told() -> None:
    of, _, _ = told(3, 5)
    of.event(1.0, "n1", "carry-failed", {"step": 5, "to": 2, "text": "refused", "unsure": False})
    assert dict(widget(of, "facts")["rows"])["moves failed, in another step"] == "1, 0"
