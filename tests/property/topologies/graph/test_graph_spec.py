"""Texts that name graphs: whatever is written, the answer is a simple graph or says what was expected."""

import networkx as nx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from topologies.graph import graph_of
from topologies.graph.families import FAMILIES
from topologies.graph.names import NAMES
from topologies.graph.spec import MAX_EDGES, MAX_NODES

sizes = st.one_of(
    st.integers(-2, 12),
    st.integers(0, 10**30),
    st.floats(0, 1),
    st.sampled_from(["", "x", "nan", "-inf", "1e999", "²"]),
)
family_texts = st.builds(
    lambda name, numbers: f"{name}:{','.join(map(str, numbers))}",
    st.sampled_from(sorted(FAMILIES)),
    st.lists(sizes, max_size=4),
)
texts = st.one_of(
    family_texts, st.sampled_from(NAMES), st.text(max_size=20).filter(lambda text: not text.startswith("nx."))
)


@settings(max_examples=300)
@given(texts, st.integers(0, 2**63 - 1))
@example("grid:1x1x1x1x1", 1)
@example("barbell:2,0", 1)
@example("torus:3", 1)
@example("circulant:2,3000000000", 1)
@example("torus:3x3x3x3", 1)
@example("\0.json", 1)
@example("/.json", 1)
@example(f"{'a' * 300}.gml", 1)
def test_any_text_is_a_simple_graph_or_refused(text, seed):
    refused = ""
    graph = None
    try:
        graph = graph_of(text, seed, "/nonexistent")
    except ValueError as error:
        refused = str(error)
    if graph is None:
        assert "; expected " in refused
        return
    assert type(graph) is nx.Graph
    assert list(graph) == list(range(len(graph)))
    assert 1 <= len(graph) <= MAX_NODES
    assert graph.number_of_edges() <= MAX_EDGES
    assert nx.is_connected(graph)
    assert nx.number_of_selfloops(graph) == 0
    assert all(isinstance(graph.nodes[node]["label"], str) for node in graph)


@settings(max_examples=100)
@given(st.sampled_from(sorted(FAMILIES)), st.lists(st.integers(0, 7), min_size=1, max_size=3))
def test_sizes_are_known_beforehand(name, numbers):
    family = FAMILIES[name]
    try:
        graph = graph_of(f"{name}:{','.join(map(str, numbers))}", connected=False)
    except ValueError:
        return
    nodes, edges = family.size(*numbers)
    assert len(graph) <= nodes
    assert graph.number_of_edges() <= edges


def test_a_family_is_as_large_as_allowed():
    assert len(graph_of("cycle:5000")) == MAX_NODES
    with pytest.raises(ValueError, match="expected at most"):
        graph_of("cycle:5001")
