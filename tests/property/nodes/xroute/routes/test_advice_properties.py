"""Advice against trying every pair, on random graphs; the measure against networkx."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from xroute_graphs import edges_between, graphs

from nodes.xroute.routes.advice import Shortest, advise
from nodes.xroute.routes.graph import Graph


def shares_by_networkx(graph: Graph) -> dict[str, float]:
    names = {chain.identity: chain.name for chain in graph.chains}
    joined = nx.Graph()
    joined.add_nodes_from(names.values())
    joined.add_edges_from((names[a], names[b]) for a, others in graph.neighbours().items() for b in others)
    connected = sum(len(part) * (len(part) - 1) / 2 for part in nx.connected_components(joined))
    between = nx.betweenness_centrality(joined, normalized=False)
    return {name: value / max(1, connected) for name, value in between.items()}


@settings(max_examples=60)
@given(graphs(7))
def test_the_measure_is_betweenness_of_connected_pairs(graph: Graph) -> None:
    now = Shortest.of(graph)
    for number, chain in enumerate(graph.chains):
        assert now.share(number) == pytest.approx(shares_by_networkx(graph)[chain.name])


@settings(max_examples=60)
@given(graphs(6))
def test_no_other_pair_lowers_the_largest_share_further(graph: Graph) -> None:
    for step in advise(graph, 3):
        names = [chain.name for chain in graph.chains]
        tops = {}
        neighbours = graph.neighbours()
        for place, a in enumerate(graph.chains):
            for b in graph.chains[place + 1 :]:
                if b.identity not in neighbours[a.identity]:
                    after = graph.with_edges(edges_between(a.name, b.name))
                    tops[a.name, b.name] = max(shares_by_networkx(after).values())
        assert step.share == pytest.approx(min(tops.values()))
        assert tops[step.a, step.b] == pytest.approx(step.share)
        assert step.top in names
        graph = graph.with_edges(edges_between(step.a, step.b))
    assert not any(True for _ in advise(graph, 0))
