"""Routes by example: what random graphs rarely have."""

from __future__ import annotations

from dataclasses import replace

from xroute_graphs import chain_named, edges_between
from xroute_policies import identity_of

from nodes.xroute.policy.parser import parse
from nodes.xroute.routes.graph import Claims, Graph
from nodes.xroute.routes.pruned import Pruned
from nodes.xroute.routes.search import Route, best_routes
from nodes.xroute.routes.several import disjoint_routes, next_routes, ways


def graph_of(*pairs: str) -> Graph:
    """Chains of one letter, joined as pairs say: "ab"."""
    names = sorted(set("".join(pairs)))
    return Graph([chain_named(name) for name in names], [edge for a, b in pairs for edge in edges_between(a, b)])


def pruned(graph: Graph, text: str = "xroute/1", source: str = "a", destination: str = "z") -> Pruned:
    return Pruned(graph, parse(text), graph.chain(source), graph.chain(destination))


def names(graph: Graph, route: Route) -> str:
    """The chains of a route after the destination."""
    return "".join(graph.chains[arc.head].name for arc in route.arcs)


def test_a_flow_that_began_wrong_turns_back() -> None:
    """The shortest route takes three chains of both routes that share no transit."""
    graph = graph_of("zb", "bc", "cd", "da", "ze", "eg", "gk", "kd", "bf", "fh", "hi", "ia")
    assert ways(pruned(graph), 3) == 2
    assert {names(graph, route) for route in disjoint_routes(pruned(graph), 2).routes} == {"bfhia", "egkda"}


def claimed(graph: Graph, pair: str, **claims: int) -> Graph:
    """The graph with claims on both edges of a pair."""
    ends = {identity_of(name) for name in pair}
    edges = [edge for edge in graph.edges if {edge.verifier, edge.tracked} == ends]
    return graph.with_edges(replace(edge, claims=Claims(**claims)) for edge in edges)


def test_what_is_better_now_may_exceed_a_limit_later() -> None:
    graph = graph_of("zm", "zn", "mc", "nc", "ca")
    for pair, fee, latency_ms in (("zm", 7, 1), ("zn", 1, 2), ("mc", 0, 0), ("nc", 0, 0), ("ca", 5, 0)):
        graph = claimed(graph, pair, fee=fee, latency_ms=latency_ms)
    found = best_routes(pruned(graph, "xroute/1; prefer latency; limit fee 8ufee")).routes
    assert [names(graph, route) for route in found] == ["nca"]


def test_what_is_better_now_may_be_levelled_by_a_bottleneck() -> None:
    graph = graph_of("zm", "zn", "mc", "nc", "ca")
    loads = {"m": 5, "n": 7, "c": 0, "a": 9, "z": 0}
    graph = Graph([replace(chain, load_ppm=loads[chain.name]) for chain in graph.chains], graph.edges)
    for pair, fee in (("zm", 10), ("zn", 3), ("mc", 0), ("nc", 0), ("ca", 0)):
        graph = claimed(graph, pair, fee=fee)
    found = best_routes(pruned(graph, "xroute/1; prefer load, fee")).routes
    assert [names(graph, route) for route in found] == ["nca"]


def test_routes_that_there_are_too_many_of_are_said_to_be() -> None:
    middle = "bcdefghijk"
    graph = graph_of(*(pair for name in middle for pair in (f"a{name}", f"z{name}")))
    answer = best_routes(pruned(graph))
    assert len(answer.routes) == len(middle)
    assert not answer.capped
    assert next_routes(pruned(graph), 99, most_parts=3).capped
    assert {answer.choose(bytes([number])) for number in range(99)} == set(answer.routes)  # load is spread


def test_via_needs_a_detour_that_visits_no_chain_twice() -> None:
    graph = graph_of("zb", "ba", "bc", "cd", "da")
    routes = best_routes(pruned(graph, "xroute/1; via any {d}")).routes
    assert [names(graph, route) for route in routes] == ["bcda"]
    assert not best_routes(pruned(graph, "xroute/1; via any {d}; limit hops 3")).routes
