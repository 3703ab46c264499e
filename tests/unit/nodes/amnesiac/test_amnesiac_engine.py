"""Amnesiac flooding offline: what is proved about it, counted on many graphs; the oracle is not part of the engine."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator

import networkx as nx
import pytest

from nodes.amnesiac.adversary import Adversary, Event
from nodes.amnesiac.core import first, following
from nodes.amnesiac.engine import Decision, decide, play, trace_hash
from nodes.amnesiac.generators import adversary_of
from nodes.amnesiac.graph import Graph
from nodes.amnesiac.oracle import copies_without_rounds, is_bipartite, rounds_heard, termination_round

SMALL = (
    "bull chvatal cubical desargues diamond dodecahedral frucht heawood hoffman_singleton house house_x icosahedral "
    "krackhardt_kite moebius_kantor octahedral pappus petersen sedgewick_maze tetrahedral truncated_cube "
    "truncated_tetrahedron tutte"
)
FAMILIES = {
    "path": (nx.path_graph, [2, 3, 4, 5, 8, 13]),
    "cycle": (nx.cycle_graph, [3, 4, 5, 6, 7, 8, 9, 12]),
    "complete": (nx.complete_graph, [2, 3, 4, 5, 6, 8]),
    "star": (nx.star_graph, [3, 4, 7]),
    "wheel": (nx.wheel_graph, [4, 5, 6, 9]),
    "ladder": (nx.ladder_graph, [2, 3, 5]),
    "circular-ladder": (nx.circular_ladder_graph, [3, 4, 5]),
    "hypercube": (nx.hypercube_graph, [2, 3, 4]),
    "tree": (lambda depth: nx.balanced_tree(2, depth), [2, 3]),
    "barbell": (lambda size: nx.barbell_graph(size, 2), [3, 4]),
    "lollipop": (lambda size: nx.lollipop_graph(size, 3), [3, 4]),
    "bipartite": (lambda size: nx.complete_bipartite_graph(size, 3), [2, 3, 4]),
    "grid": (lambda size: nx.grid_2d_graph(size, size), [3, 4]),
    "torus": (lambda size: nx.grid_2d_graph(size, size, periodic=True), [4, 5]),
}


def graph_of(graph: nx.Graph) -> Graph:
    numbered = nx.convert_node_labels_to_integers(graph)
    return Graph.of(len(numbered), numbered.edges)


def named() -> Iterator[tuple[str, Graph]]:
    for name in SMALL.split():
        yield name, graph_of(getattr(nx, f"{name}_graph", getattr(nx, name, None))())
    for name, (make, sizes) in FAMILIES.items():
        for size in sizes:
            yield f"{name}:{size}", graph_of(make(size))
    yield "karate", graph_of(nx.karate_club_graph())


NAMED = dict(named())
TRIANGLE = graph_of(nx.cycle_graph(3))


def cycle(nodes: int) -> Graph:
    return graph_of(nx.cycle_graph(nodes))


def atlas(most: int, *, cyclic: bool) -> Iterator[Graph]:
    """All connected graphs up to `most` nodes, up to isomorphism: those with a cycle, or the trees."""
    for graph in nx.graph_atlas_g()[1:]:
        if len(graph) <= most and nx.is_connected(graph) and (graph.number_of_edges() >= len(graph)) == cyclic:
            yield graph_of(graph)


def decided(graph: Graph, spec: str, source: int = 0) -> Decision:
    return decide(graph, [source], adversary_of(spec, graph, [source]))


def test_rule_of_a_node() -> None:
    assert first(["a", "b"]) == ["a", "b"]
    assert following(["a", "b", "c"], {"b"}) == ["a", "c"]
    assert following(["a", "b"], {"a", "b"}) == []
    assert following(["a", "b"], set()) == []


def test_the_named_graphs_are_72() -> None:
    assert len(NAMED) >= 72


@pytest.mark.parametrize("name", NAMED)
def test_named_graphs_from_every_source_equal_the_oracle(name: str) -> None:
    """Bipartite: ends in round e with m messages. Otherwise e < T <= e + D + 1 <= 2D + 1 with 2m messages."""
    graph = NAMED[name]
    edges = len(graph.edges)
    for source in range(graph.nodes):
        decision = decide(graph, [source], Adversary())
        assert decision.verdict == "terminates"
        assert decision.round == termination_round(graph, [source])
        eccentricity = graph.eccentricity([source])
        if is_bipartite(graph):
            assert (decision.round, decision.messages) == (eccentricity, edges)
        else:
            assert eccentricity < decision.round <= eccentricity + graph.diameter + 1 <= 2 * graph.diameter + 1
            assert decision.messages == 2 * edges


@pytest.mark.parametrize("name", NAMED)
def test_a_node_hears_twice_exactly_where_there_is_an_odd_cycle(name: str) -> None:
    graph = NAMED[name]
    heard = play(graph, [0], Adversary(), 1000).heard
    assert heard == rounds_heard(graph, [0])
    others = range(1, graph.nodes)
    assert all(len(heard[node]) == (1 if is_bipartite(graph) else 2) for node in others)


def test_examples_from_node_0() -> None:
    examples = {
        "cycle:3": 3, "cycle:4": 2, "cycle:5": 5, "cycle:6": 3, "cycle:7": 7, "cycle:8": 4, "complete:4": 3,
        "petersen": 5, "grid:4": 6, "torus:5": 5, "dodecahedral": 6, "tutte": 9, "karate": 4,
    }  # fmt: skip
    assert {name: decided(NAMED[name], "none").round for name in examples} == examples


def test_trees_end_in_e_times_1_plus_x_at_worst() -> None:
    """Every adversary with delays up to x: on a tree each edge carries the message once, so a delay an edge is all."""
    cases = 0
    for tree in atlas(7, cyclic=False):
        for source in range(tree.nodes):
            distance = tree.distances([source])
            edges = [(a, b) if distance[a] < distance[b] else (b, a) for a, b in tree.edges]
            for most in (0, 1, 2) if tree.nodes < 7 else (1,):
                worst = 0
                for delays in itertools.product(range(most + 1), repeat=len(edges)):
                    events = tuple(Event(1, edge, delay) for edge, delay in zip(edges, delays, strict=True))
                    decision = decide(tree, [source], Adversary(events=events))
                    assert decision.verdict == "terminates"
                    worst = max(worst, decision.round)
                assert worst == tree.eccentricity([source]) * (1 + most)
                cases += 1
    assert cases >= 205


@pytest.mark.parametrize("most", [6, pytest.param(7, marks=pytest.mark.slow)])
def test_every_graph_with_a_cycle_has_a_schedule_that_never_ends(most: int) -> None:
    pairs = 0
    for graph in atlas(most, cyclic=True):
        for source in range(graph.nodes):
            adversary = adversary_of("endless", graph, [source])
            assert len({(event.round, event.edge) for event in adversary.events}) == adversary.period
            assert all(event.delay == 1 for event in adversary.events)  # one message a round, by one round
            assert decide(graph, [source], adversary).verdict == "endless"
            pairs += 1
    assert pairs == {6: 745, 7: 6639}[most]


@pytest.mark.parametrize("nodes", range(3, 13))
def test_one_late_message_on_a_cycle(nodes: int) -> None:
    """An odd delay on an even cycle never ends, with period n; everything else ends."""
    for delay in range(7):
        decision = decided(cycle(nodes), f"late:delay={delay}")
        if nodes % 2 == 0 and delay % 2 == 1:
            assert (decision.verdict, decision.cycle) == ("endless", nodes)
        else:
            assert decision.verdict == "terminates"


def test_the_guard_of_the_triangle_never_ends() -> None:
    decision = decided(TRIANGLE, "guard")
    assert (decision.verdict, decision.cycle) == ("endless", 4)


def test_a_slow_edge_of_a_bipartite_graph() -> None:
    """An edge that takes t rounds: ends by 2D + t - 1, and some graph needs that long."""
    cases = tight = 0
    for graph in itertools.chain(atlas(6, cyclic=True), atlas(6, cyclic=False)):
        if not is_bipartite(graph):
            continue
        for source, (a, b), takes in itertools.product(range(graph.nodes), graph.edges, range(1, 6)):
            decision = decided(graph, f"fixed:edge={a}-{b},delay={takes - 1}", source)
            assert decision.verdict == "terminates"
            assert decision.round <= 2 * graph.diameter + takes - 1
            tight += decision.round == 2 * graph.diameter + takes - 1
            cases += 1
    assert cases > 3000
    assert tight > 0


@pytest.mark.parametrize("nodes", range(3, 10))
def test_a_lost_message_on_a_cycle_leaves_a_token_for_ever(nodes: int) -> None:
    graph = cycle(nodes)
    decision = decided(graph, "loss:edge=0-1")
    assert (decision.verdict, decision.cycle, decision.messages_per_cycle) == ("endless", nodes, nodes)
    assert decided(graph, "removed:edge=0-1").verdict == "terminates"


def test_a_halting_program_delays_the_end_by_four_rounds_a_step() -> None:
    for steps in range(12):
        assert decided(TRIANGLE, f"program:steps={steps}").round == 4 * steps + 3
    assert decided(TRIANGLE, "program:collatz=27").round == 447  # 111 steps


def test_without_rounds_copies_multiply() -> None:
    doubling = [3 * 2**hop for hop in range(12)]
    assert copies_without_rounds(NAMED["petersen"], 0, 12) == doubling
    assert copies_without_rounds(NAMED["complete:4"], 0, 12) == doubling
    assert copies_without_rounds(NAMED["cycle:6"], 0, 50) == [2] * 50
    karate = copies_without_rounds(NAMED["karate"], 0, 30)
    assert karate[-1] / karate[-2] == pytest.approx(5.29, abs=0.005)


def test_random_adversaries_are_all_decided_and_both_methods_agree() -> None:
    longest = 0
    for seed, name in itertools.product(range(20), ("cubical", "petersen", "cycle:9", "house_x")):
        graph = NAMED[name]
        decision = decided(graph, f"random:seed={seed},max=3")
        assert decision.verdict in ("terminates", "endless")
        assert decision == decide(graph, [0], adversary_of(f"random:seed={seed},max=3", graph, [0]), brent=True)
        longest = max(longest, decision.cycle)
    assert longest > 100


def test_where_configurations_are_too_many_two_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = ["none", "endless", "random:seed=3", "late:delay=7"]
    before = [decided(NAMED["petersen"], spec) for spec in specs]
    monkeypatch.setattr("nodes.amnesiac.engine.MEMORY_BYTES", 4_000)
    assert [decided(NAMED["petersen"], spec) for spec in specs] == before


def test_a_limit_leaves_it_undecided_and_says_why() -> None:
    for brent in (False, True):
        decision = decide(TRIANGLE, [0], adversary_of("program:collatz=27", TRIANGLE, [0]), limit=100, brent=brent)
        assert (decision.verdict, decision.terminates, decision.round) == ("undecided", None, 100)
        assert "limit of 100 rounds" in str(decision)


def test_decisions_in_words() -> None:
    assert str(decided(TRIANGLE, "none")) == "terminates at round 3, 6 messages"
    assert str(decided(TRIANGLE, "guard")) == "never terminates: cycle of length 4 from round 1"


def test_a_graph_of_one_node_ends_before_it_begins() -> None:
    decision = decide(Graph.of(1, []), [0], Adversary())
    assert (decision.verdict, decision.round, decision.messages) == ("terminates", 0, 0)


def test_trace_hash_is_that_of_its_documented_text() -> None:
    text = b"1 0>1 0>2\n2 1>2 2>1\n3 1>0 2>0\n"
    assert play(TRIANGLE, [0], Adversary(), 10).trace == hashlib.sha256(text).hexdigest()[:16]
    assert trace_hash({}) == hashlib.sha256(b"").hexdigest()[:16]


def test_play_counts_what_decide_counts() -> None:
    for name, graph in NAMED.items():
        decision = decided(graph, "none")
        played = play(graph, [0], Adversary(), 1000)
        assert (played.rounds, played.messages) == (decision.round, decision.messages), name
