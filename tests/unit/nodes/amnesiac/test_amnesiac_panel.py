"""The panel of amnesiac flooding, fed with what the nodes of an offline play would tell."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.sdk.protocol import PanelContext
from nodes.amnesiac.adversary import LOST, Adversary
from nodes.amnesiac.engine import Play, play
from nodes.amnesiac.generators import adversary_of
from nodes.amnesiac.graph import Graph
from nodes.amnesiac.panel import AmnesiacPanel

ROUNDS = 30


def told(graph: Graph, adversary: str) -> tuple[AmnesiacPanel, Play]:
    """A panel after the events of a whole play, in the order of rounds."""
    against = adversary_of(adversary, graph, [0])
    played = play(graph, [0], against, ROUNDS)
    of = panel(graph, against)
    arrivals: dict[int, set[tuple[int, int]]] = {}
    for round, edges in played.sends.items():
        for edge in edges:
            fate = against.fate(round, edge)
            if fate != LOST:
                arrivals.setdefault(round + fate, set()).add(edge)
    for round in range(1, ROUNDS + 2 + against.max_delay):
        for node in range(graph.nodes):
            to = [f"n{b}" for a, b in played.sends.get(round, []) if a == node]
            heard = [f"n{a}" for a, b in sorted(arrivals.get(round - 1, ())) if b == node]
            if to or heard:
                fields = {"round": round, "to": to, "heard": heard, "received": len(heard), "in_slot": len(heard)}
                of.event(round * 0.04, f"n{node}", "flood", fields)
    return of, played


def panel(graph: Graph, against: Adversary, **more: Any) -> AmnesiacPanel:
    delays = [
        [event.round, f"n{edge[0]}", f"n{edge[1]}", fate]
        for event in against.events
        for edge, fate in event.fates()
        if fate not in (0, LOST)
    ]
    config = {
        "edges": [[f"n{a}", f"n{b}"] for a, b in graph.edges], "sources": ["n0"], "rounds": ROUNDS, "slot_s": 0.04,
        "prefix": against.prefix, "period": against.period, "delays": delays,
    }  # fmt: skip
    return AmnesiacPanel(
        PanelContext(tuple(f"n{node}" for node in range(graph.nodes)), {"flood": config}, {}, (), 9.0, **more)
    )


def cycle(nodes: int) -> Graph:
    return Graph.of(nodes, [(node, (node + 1) % nodes) for node in range(nodes)])


def facts(of: AmnesiacPanel, t_s: float = 9.0) -> dict[str, str]:
    (found,) = [widget for widget in of.widgets(t_s) if widget["kind"] == "facts"]
    return {row[0]: row[1] for row in found["rows"]}


def rows(of: AmnesiacPanel, t_s: float = 9.0) -> dict[str, str]:
    (found,) = [widget for widget in of.widgets(t_s) if widget["kind"] == "grid"]
    return dict(found["rows"])


@pytest.mark.parametrize(
    "adversary", ["none", "late:delay=2", "late:edge=0-1,delay=1", "random:seed=3,density=0.4,max=4"]
)
@pytest.mark.parametrize("nodes", [5, 6])
def test_messages_and_nodes_are_those_of_the_play(nodes: int, adversary: str) -> None:
    of, played = told(cycle(nodes), adversary)
    assert facts(of)["messages"] == f"{played.messages:,}"
    assert facts(of)["nodes reached"] == f"{nodes} of {nodes}"
    assert facts(of)["lost on the way"] == "0"
    assert facts(of)["in the round they were due"] == "100.00%"


def test_space_and_time_of_an_even_cycle() -> None:
    of, _ = told(cycle(6), "none")
    assert rows(of) == {
        "n0": "^..", "n1": "v^.", "n2": " v^", "n3": "  v", "n4": " v^", "n5": "v^.",
    }  # fmt: skip


def test_a_lost_message_shows_at_its_receiver() -> None:
    of, _ = told(cycle(6), "loss:edge=0-1,round=1")
    assert rows(of)["n1"][0] == "x"
    assert facts(of)["lost on the way"] == "1"


def test_what_is_under_way_is_not_lost() -> None:
    of = panel(cycle(6), Adversary())
    of.event(0.04, "n0", "flood", {"round": 1, "to": ["n1", "n5"], "heard": [], "received": 0, "in_slot": 0})
    assert rows(of, 0.5)["n1"] == " "
    assert facts(of, 0.5)["lost on the way"] == "0"
    of.event(0.04, "n1", "flood", {"round": 2, "to": ["n2"], "heard": ["n0"], "received": 1, "in_slot": 1})
    assert rows(of)["n1"] == "v^"
    assert rows(of)["n5"][0] == "x"


def test_the_order_of_records_does_not_matter() -> None:
    records = [
        ("n0", {"round": 1, "to": ["n1", "n5"], "heard": [], "received": 0, "in_slot": 0}),
        ("n1", {"round": 2, "to": ["n2"], "heard": ["n0"], "received": 1, "in_slot": 1}),
        ("n2", {"round": 3, "to": ["n3"], "heard": ["n1"], "received": 1, "in_slot": 1}),
    ]
    shown = []
    for order in (records, records[::-1]):
        of = panel(cycle(6), Adversary())
        for node, fields in order:
            of.event(1.0, node, "flood", fields)
        shown.append(of.widgets(9.0))
    assert shown[0] == shown[1]


def test_predictions_stand_beside() -> None:
    of = panel(cycle(6), Adversary(), prediction={"terminates": True, "round": 3, "messages": 6})
    assert facts(of)["messages"] == "0 (predicted 6)"
    assert facts(of)["predicted"] == "ends in round 3"
    of = panel(cycle(6), Adversary(), prediction={"terminates": False, "cycle": 4, "messages": 1200})
    assert facts(of)["predicted"] == "never ends: a cycle of 4 rounds"
