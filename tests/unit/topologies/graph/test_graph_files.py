"""Graphs from files and from NetworkX's generators."""

import json

import networkx as nx
import pytest

from topologies.graph import generators, graph_of, spec


def read(tmp_path, name, text, **options):
    (tmp_path / name).write_text(text)
    return graph_of(name, directory=str(tmp_path), **options)


def labels(graph):
    return [graph.nodes[node]["label"] for node in graph]


def test_edge_lists_keep_the_order_of_appearance(tmp_path):
    graph = read(tmp_path, "net.edges", "# a comment\nberlin paris 3.5\n\nparis, rome  # another\n% konect\n")
    assert labels(graph) == ["berlin", "paris", "rome"]
    assert sorted(graph.edges()) == [(0, 1), (1, 2)]


def test_numbers_in_edge_lists_stand_in_order(tmp_path):
    graph = read(tmp_path, "net.edges", "10 2\n2 0\n0 10\n")
    assert labels(graph) == ["0", "2", "10"]
    assert sorted(graph.edges()) == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize("suffix", ["graphml", "gml", "json"])
def test_what_networkx_writes_is_read(tmp_path, suffix):
    original = nx.relabel_nodes(nx.petersen_graph(), {node: f"v{node}" for node in range(10)})
    path = tmp_path / f"net.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps(nx.adjacency_data(original)))
    else:
        {"graphml": nx.write_graphml, "gml": nx.write_gml}[suffix](original, path)
    graph = graph_of(path.name, directory=str(tmp_path))
    assert labels(graph) == [f"v{node}" for node in range(10)]
    assert nx.is_isomorphic(graph, original)


def test_a_gml_file_without_labels(tmp_path):
    graph = read(tmp_path, "net.gml", "graph [ node [ id 7 ] node [ id 3 ] edge [ source 7 target 3 ] ]")
    assert labels(graph) == ["7", "3"]


@pytest.mark.parametrize(
    "data",
    [
        {"a": ["b", "c"], "b": ["c"], "c": []},
        {"a": ["b"], "b": ["c"], "c": ["a"]},
        [[1, 2], [0, 2], [0, 1]],
        {"nodes": [{"id": 1}, {"id": 2}, {"id": 3}],
         "links": [{"source": 1, "target": 2}, {"source": 2, "target": 3}, {"source": 3, "target": 1}]},
    ],
)  # fmt: skip
def test_forms_of_json(tmp_path, data):
    graph = read(tmp_path, "net.json", json.dumps(data))
    assert sorted(graph.edges()) == [(0, 1), (0, 2), (1, 2)]


def test_parallel_edges_become_one(tmp_path):
    assert read(tmp_path, "net.edges", "a b\nb a\na b\n").number_of_edges() == 1
    edges = "edge [ source 0 target 1 key 0 ] edge [ source 0 target 1 key 1 ]"
    text = f"graph [ multigraph 1 node [ id 0 ] node [ id 1 ] {edges} ]"
    assert read(tmp_path, "net.gml", text).number_of_edges() == 1


def test_a_directed_graph_passes_where_every_edge_goes_both_ways(tmp_path):
    both = "graph [ directed 1 node [ id 0 ] node [ id 1 ] edge [ source 0 target 1 ] edge [ source 1 target 0 ] ]"
    assert read(tmp_path, "net.gml", both).number_of_edges() == 1
    with pytest.raises(ValueError, match="directed: 0 leads to 1 but not back; expected edges that go both ways"):
        read(tmp_path, "net.gml", both.replace("edge [ source 1 target 0 ]", ""))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("net.edges", "a b\nc\n", r"net\.edges: line 2: 'c'; expected two nodes"),
        ("net.edges", "", "without nodes; expected at least one"),
        ("net.edges", "a a\n", "joins node a to itself; expected edges between two nodes"),
        ("net.edges", "a b\nc d\n", "in 2 parts: .* cannot reach the others; expected a connected graph"),
        ("net.graphml", "<graphml", r"net\.graphml: .*; expected GRAPHML"),
        ("net.gml", "graph [ node ]", r"net\.gml: .*; expected GML"),
        ("net.json", "{", r"net\.json: .*; expected JSON"),
        ("net.json", "[" * 100_000, r"net\.json: .*; expected JSON"),
        ("net.json", "7", "found int; expected neighbours by node"),
        ("net.json", '{"a": 5}', "node 'a': found 5; expected a list of its neighbours"),
        ("net.json", "[[1], [0, 2]]", "neighbour 2 of node 1; expected 0 to 1"),
        ("net.json", "[[1], 5]", "expected a list of its neighbours"),
        ("net.json", '{"nodes": [{"id": 1}], "links": [{"source": 1, "target": 9}]}', "a link of node 9; expected"),
        ("net.json", '{"nodes": [{"id": 1}]}', 'without "adjacency" or "links"; expected'),
        ("net.json", '{"nodes": [{}], "links": []}', r"net\.json: .*; expected JSON"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, name, text, said):
    with pytest.raises(ValueError, match=said):
        read(tmp_path, name, text)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="No such file or directory; expected a file that can be read"):
        graph_of("nowhere.edges", directory=str(tmp_path))
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ValueError, match="expected a file that can be read"):
        graph_of("folder.json", directory=str(tmp_path))
    (tmp_path / "net.gml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"net\.gml: byte 0 is no UTF-8; expected a text file"):
        graph_of("net.gml", directory=str(tmp_path))


def test_any_generator_of_networkx():
    graph = graph_of("nx.grid_2d_graph:4,5,periodic=true")
    assert nx.is_isomorphic(graph, nx.grid_2d_graph(4, 5, periodic=True))
    assert labels(graph)[:2] == ["(0, 0)", "(0, 1)"]


def test_generators_get_the_seed():
    first, other, given = (
        graph_of(*case) for case in (("nx.gnp_random_graph:20,0.4", 1), ("nx.gnp_random_graph:20,0.4", 2),
                                     ("nx.gnp_random_graph:20,0.4,seed=2", 1))
    )  # fmt: skip
    assert sorted(first.edges()) != sorted(other.edges()) == sorted(given.edges())


def test_a_symmetric_digraph_is_a_graph():
    assert graph_of("nx.paley_graph:13").number_of_edges() == 39


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("nx.cycle_grap:5", "no generator of NetworkX .*did you mean nx.cycle_graph"),
        ("nx.circular_ladder:5", "expected nx.circular_ladder_graph"),
        ("nx.read_gml:5", "no generator of NetworkX"),
        ("nx.__name__", "no generator of NetworkX"),
        ("nx.cycle_graph", "missing a required argument: 'n'; expected its arguments, n"),
        ("nx.cycle_graph:5,x=3", "unexpected keyword argument 'x'; expected its arguments"),
        ("nx.cycle_graph:__import__('os')", "argument .*; expected a number, true or false"),
        ("nx.grid_2d_graph:m=3,4", "'4' after an argument with a name; expected it before that"),
        ("nx.nonisomorphic_trees:4", "gave generator; expected a generator that gives a graph"),
        ("nx.random_regular_graph:3,5", "must be even; expected other arguments"),
        ("nx.gn_graph:5", "directed: .* but not back"),
        ("nx.cycle_graph:6000", "gave 6,000 nodes .* expected at most 5,000 nodes"),
        ("nx.cycle_graph:1000000000", "took more than 2 GiB; expected smaller numbers"),
    ],
)
def test_generators_that_give_no_graph(spec, said):
    with pytest.raises(ValueError, match=said):
        graph_of(spec)


def test_a_generator_that_takes_for_ever(monkeypatch):
    monkeypatch.setattr(generators, "CPU_S", 1)
    with pytest.raises(ValueError, match="took more than 1 s; expected smaller numbers"):
        graph_of("nx.hypercube_graph:40")


def test_limits_are_those_of_the_message():
    with pytest.raises(ValueError, match=f"{spec.MAX_NODES:,} nodes"):
        spec.refuse_large(spec.MAX_NODES + 1, 0)
    spec.refuse_large(spec.MAX_NODES, spec.MAX_EDGES)
