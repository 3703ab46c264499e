"""Amnesiac flooding on random graphs under random adversaries, against the slowest reading of the rules."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nodes.amnesiac.adversary import LOST, Adversary, Event, from_json, to_json
from nodes.amnesiac.core import first, following
from nodes.amnesiac.engine import decide, play
from nodes.amnesiac.graph import Edge, Graph
from nodes.amnesiac.oracle import rounds_heard, termination_round


@st.composite
def graphs(draw: st.DrawFn, most: int = 7) -> Graph:
    """Connected graphs: a random tree and some edges more."""
    nodes = draw(st.integers(2, most))
    tree = [(draw(st.integers(0, node - 1)), node) for node in range(1, nodes)]
    others = sorted({(a, b) for b in range(nodes) for a in range(b)} - set(tree))
    more = draw(st.lists(st.sampled_from(others), unique=True, max_size=5)) if others else []
    return Graph.of(nodes, tree + more)


@st.composite
def adversaries(draw: st.DrawFn, graph: Graph, *, fifo: bool = False) -> Adversary:
    prefix, period = draw(st.integers(0, 4)), draw(st.integers(1, 4))
    places = st.tuples(st.integers(1, prefix + period), st.sampled_from(sorted(graph.directed)))
    events = []
    taken: set[tuple[int, Edge]] = set()
    for round, edge in draw(st.lists(places, unique=True, max_size=8)):
        kind = draw(st.sampled_from(["delay", "delay", "delay", "lost", "removed"]))
        delay = draw(st.integers(0, 3)) if kind == "delay" else 0
        event = Event(round, edge, delay, kind == "lost", kind == "removed")
        touched = {(round, each) for each, _ in event.fates()}
        if not touched & taken:
            taken |= touched
            events.append(event)
    return Adversary(prefix, period, tuple(events), fifo)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Graph, list[int], Adversary]:
    graph = draw(graphs())
    sources = draw(st.lists(st.integers(0, graph.nodes - 1), unique=True, min_size=1, max_size=3))
    return graph, sources, draw(adversaries(graph))


def by_hand(graph: Graph, sources: list[int], adversary: Adversary, rounds: int) -> tuple[dict[int, list[Edge]], bool]:
    """What is sent in each round, node by node with the rule of `core`, and whether anything is left afterwards."""
    arrivals: dict[int, set[Edge]] = defaultdict(set)
    sends: dict[int, list[Edge]] = {}
    for round in range(1, rounds + 1):
        now = []
        for node, neighbours in enumerate(graph.neighbours):
            heard = {a for a, b in arrivals[round - 1] if b == node}
            to = first(neighbours) if round == 1 and node in sources else following(neighbours, heard)
            now += [(node, other) for other in to]
        for edge in now:
            fate = adversary.fate(round, edge)
            if fate != LOST:
                arrivals[round + fate].add(edge)
        if now:
            sends[round] = sorted(now)
    return sends, any(edges for round, edges in arrivals.items() if round >= rounds)


@given(cases())
def test_what_is_decided_is_what_happens(case: tuple[Graph, list[int], Adversary]) -> None:
    graph, sources, adversary = case
    decision = decide(graph, sources, adversary, limit=2000)
    rounds = min(decision.round + 3 * decision.cycle, 600) + 4
    sends, left = by_hand(graph, sources, adversary, rounds)
    assert play(graph, sources, adversary, rounds).sends == sends
    if decision.verdict == "terminates":
        assert not left
        assert max(sends) <= decision.round
        assert sum(map(len, sends.values())) == decision.messages
    elif decision.verdict == "endless":
        assert left
        for round in range(decision.first_seen + 1, rounds - decision.cycle + 1):
            assert sends.get(round) == sends.get(round + decision.cycle)


@given(cases())
def test_the_cycle_is_the_first_and_shortest(case: tuple[Graph, list[int], Adversary]) -> None:
    """A cycle that begins a round earlier, or a shorter one, would be a configuration that came back before."""
    graph, sources, adversary = case
    decision = decide(graph, sources, adversary, limit=2000)
    if decision.verdict == "endless":
        assert decision == decide(graph, sources, adversary, limit=10_000, brent=True)
        assert decision.round == decision.first_seen + decision.cycle
        assert decision.cycle % adversary.period == 0


@given(graphs(most=9), st.data())
def test_without_an_adversary_the_double_cover_knows_all(graph: Graph, data: st.DataObject) -> None:
    """Several sources: ends in e(I) where the graph with the sources merged is bipartite, else by e(I) + D + 1."""
    sources = data.draw(st.lists(st.integers(0, graph.nodes - 1), unique=True, min_size=1, max_size=3))
    decision = decide(graph, sources, Adversary())
    assert decision.round == termination_round(graph, sources)
    assert play(graph, sources, Adversary(), 1000).heard == rounds_heard(graph, sources)
    merged = nx.Graph()
    inside = False
    for a, b in graph.edges:
        ends = tuple("source" if node in sources else str(node) for node in (a, b))
        inside |= ends[0] == ends[1]
        merged.add_edge(*ends)
    eccentricity = graph.eccentricity(sources)
    if not inside and nx.is_bipartite(merged):
        assert decision.round == eccentricity
    else:
        assert eccentricity <= decision.round <= eccentricity + graph.diameter + 1


@given(st.data())
def test_files_are_read_back(data: st.DataObject) -> None:
    graph = data.draw(graphs())
    adversary = data.draw(adversaries(graph))
    case = from_json(to_json(adversary, graph, [graph.nodes - 1]))
    assert (case.adversary, case.graph, case.sources) == (adversary, graph, (graph.nodes - 1,))
    assert from_json(to_json(adversary)).adversary == adversary


@given(st.data())
def test_what_passes_as_fifo_never_overtakes(data: st.DataObject) -> None:
    graph = data.draw(graphs(most=3))
    adversary = data.draw(adversaries(graph, fifo=True))
    overtakes = False
    for edge in graph.directed:
        fates = [
            (round, adversary.fate(round, edge)) for round in range(1, adversary.prefix + 4 * adversary.period + 8)
        ]
        due = [round + fate for round, fate in fates if fate != LOST]
        overtakes |= any(later < earlier for earlier, later in pairwise(due))
    if overtakes:
        with pytest.raises(ValueError, match="overtake"):
            adversary.check(graph)
    else:
        adversary.check(graph)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["graph", "events", "period", "edge"]), inner),
    max_leaves=6,
)


@given(st.text() | JSON.map(json.dumps))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="; expected "):
        from_json(text)


@example(Graph(nodes=7, edges=((0, 1), (0, 2), (0, 3), (0, 5), (1, 4), (2, 6), (3, 4), (3, 6), (4, 6))))
@given(graphs())
def test_a_cycle_of_a_graph_is_one(graph: Graph) -> None:
    if len(graph.edges) < graph.nodes:
        with pytest.raises(ValueError, match="a tree"):
            graph.cycle()
        return
    cycle = graph.cycle()
    assert len(set(cycle)) == len(cycle) == nx.girth(nx.Graph(graph.edges))
    assert all(edge in graph.directed for edge in pairwise([*cycle, cycle[0]]))
