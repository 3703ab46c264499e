"""Graphs by name and family: what they are known to be, and what is refused."""

from itertools import combinations

import networkx as nx
import pytest

from topologies.graph import families, graph_of, names
from topologies.graph.families import FAMILIES
from topologies.graph.names import NAMES

KNOWN = {  # nodes, edges, girth, diameter: from the literature (House of Graphs, Wolfram MathWorld)
    "petersen": (10, 15, 5, 2),
    "heawood": (14, 21, 6, 3),
    "hoffman-singleton": (50, 175, 5, 2),
    "moebius-kantor": (16, 24, 6, 4),
    "pappus": (18, 27, 6, 4),
    "desargues": (20, 30, 6, 5),
    "dodecahedral": (20, 30, 5, 5),
    "icosahedral": (12, 30, 3, 3),
    "tutte": (46, 69, 4, 8),
    "frucht": (12, 18, 3, 4),
    "chvatal": (12, 24, 4, 2),
    "karate": (34, 78, 3, 5),
    "les-miserables": (77, 254, 3, 5),
}

SIZES = {  # nodes, edges
    "cycle:6": (6, 6), "ring:12": (12, 12), "path:5": (5, 4), "star:5": (5, 4), "complete:4": (4, 6),
    "wheel:6": (6, 10), "grid:4x4": (16, 24), "grid:2x3x4": (24, 46), "grid:1x5": (5, 4), "torus:5x5": (25, 50),
    "hypercube:4": (16, 32), "tree:7": (7, 6), "balanced-tree:2,3": (15, 14), "balanced-tree:1,4": (5, 4),
    "bipartite:3,4": (7, 12), "barbell:4,2": (10, 15), "circulant:8,1,4": (8, 12), "regular:64,4": (64, 128),
    "scale-free:20,2": (20, 36), "small-world:20,4,0.1": (20, 40),
}  # fmt: skip


def test_every_name_is_listed_in_the_docs():
    words = set((names.__doc__ or "").split())
    assert [name for name in NAMES if name not in words] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_connected_simple_graph(name):
    graph = graph_of(name)
    assert type(graph) is nx.Graph
    assert list(graph) == list(range(len(graph)))
    assert nx.is_connected(graph)
    assert nx.number_of_selfloops(graph) == 0
    assert len(graph) <= 77


@pytest.mark.parametrize("name", KNOWN)
def test_a_name_is_the_graph_of_the_literature(name):
    graph = graph_of(name)
    assert (len(graph), graph.number_of_edges(), nx.girth(graph), nx.diameter(graph)) == KNOWN[name]


def test_no_two_names_mean_the_same_graph():
    graphs = {name: graph_of(name) for name in NAMES}
    degrees = {name: sorted(dict(graph.degree()).values()) for name, graph in graphs.items()}
    twins = [(a, b) for a, b in combinations(sorted(NAMES), 2) if degrees[a] == degrees[b]]
    assert [(a, b) for a, b in twins if nx.is_isomorphic(graphs[a], graphs[b])] == []


@pytest.mark.parametrize("spec", SIZES)
def test_families_have_the_size_that_they_say(spec):
    graph = graph_of(spec, seed=3)
    assert (len(graph), graph.number_of_edges()) == SIZES[spec]


def test_every_family_is_tested_and_its_size_is_an_upper_bound():
    tried = {spec.partition(":")[0] for spec in SIZES}
    assert set(FAMILIES) - tried == {"gnp"}
    for spec, (nodes, edges) in SIZES.items():
        name, _, text = spec.partition(":")
        most = FAMILIES[name].size(
            *(float(part) if "." in part else int(part) for part in text.replace("x", ",").split(","))
        )
        assert most[0] >= nodes
        assert most[1] >= edges


def test_random_graphs_follow_the_seed():
    for spec in ("regular:20,3", "tree:20", "gnp:20,0.3", "small-world:20,4,0.5", "scale-free:20,2"):
        edges = [sorted(graph_of(spec, seed).edges()) for seed in (1, 1, 2)]
        assert edges[0] == edges[1] != edges[2], spec
    assert {degree for _, degree in graph_of("regular:64,4").degree()} == {4}
    assert nx.is_tree(graph_of("tree:30"))


def test_order_and_labels_of_the_original_are_kept():
    grid = graph_of("grid:2x3")
    assert [grid.nodes[node]["label"] for node in grid][:4] == ["(0, 0)", "(0, 1)", "(0, 2)", "(1, 0)"]
    assert sorted(grid[0]) == [1, 3]
    assert graph_of("florentine").nodes[0]["label"] == "Acciaiuoli"


def test_names_are_taken_as_people_write_them():
    for spec in ("Moebius_Kantor", "moebius-kantor-graph", " petersen "):
        assert len(graph_of(spec)) in (10, 16)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "empty"),
        ("peterson", "'petersen' (did you mean that?)"),
        ("cicle:5", "'cycle:N' (did you mean that?)"),
        ("zzz", "one of bull"),
        ("petersen:5", "without sizes"),
        ("cycle", "0 sizes; expected cycle:N"),
        ("cycle:", "0 sizes; expected cycle:N"),
        ("cycle:6,7", "2 sizes; expected cycle:N"),
        ("cycle:2", "expected a whole number, 3 or more"),
        ("cycle:-5", "-5; expected a whole number"),
        ("cycle:6.5", "6.5; expected a whole number"),
        ("cycle:six", "'six' among the sizes"),
        ("cycle:nan", "'nan' among the sizes"),
        ("cycle:1e400", "'1e400' among the sizes"),
        ("cycle:5001", "at most 5,000 nodes"),
        ("cycle:100000000000000000000", "at most 5,000 nodes"),
        ("complete:1000", "100,000 edges"),
        ("hypercube:100000", "at most 5,000 nodes"),
        ("balanced-tree:9,100000", "at most 5,000 nodes"),
        ("torus:100x100", "at most 5,000 nodes"),
        ("regular:5,3", "must be even; expected regular:N,D"),
        ("gnp:20,0", "expected more edges"),
        ("gnp:20,1.5", "a probability of 1.5; expected 0 to 1"),
        ("nx.graph_atlas:5000", "must be between"),
        ("nx.graph_atlas:5", "cannot reach the others; expected a connected graph"),
        ("kneser:7,3", "no graph is named 'kneser'"),
        ("nets/home.txt", "expected one that ends in .edges"),
    ],
)
def test_nonsense_is_refused_with_what_was_wanted(spec, said):
    with pytest.raises(ValueError, match="; expected ") as caught:
        graph_of(spec)
    assert said in str(caught.value)


def test_a_graph_in_parts_is_allowed_on_demand():
    assert len(graph_of("nx.graph_atlas:5", connected=False)) == 3


def test_forms_start_with_the_name_of_the_family():
    for name, family in FAMILIES.items():
        assert family.form.startswith(f"{name}:") or name == "ring"
    assert families.FAMILIES["ring"] is FAMILIES["cycle"]
