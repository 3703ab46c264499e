"""The route search against a judge that tries every path, on random graphs under random policies."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from xroute_graphs import every_route, graphs
from xroute_policies import texts

from nodes.xroute.identity import ChainIdentity
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.parser import parse
from nodes.xroute.policy.terms import PolicyError
from nodes.xroute.routes.costs import Cost
from nodes.xroute.routes.graph import Graph
from nodes.xroute.routes.pruned import Pruned
from nodes.xroute.routes.search import MOST_TIED, best_routes
from nodes.xroute.routes.several import disjoint_routes, next_routes, together, ways

SHARES = st.lists(st.integers(0, 3), min_size=8, max_size=8)


def policies() -> st.SearchStrategy[Policy]:
    def parsed(text: str) -> Policy | None:
        try:
            return parse(text)
        except PolicyError:
            return None

    return texts(3).map(parsed).filter(bool)  # type: ignore[arg-type]


@settings(max_examples=600)
@given(graphs(), policies(), SHARES)
def test_the_best_routes_are_those_that_trying_all_finds(graph: Graph, policy: Policy, values: list[int]) -> None:
    source, destination = graph.chains[0], graph.chains[-1]
    shares = {chain.identity: value for chain, value in zip(graph.chains, values, strict=False)}
    complying = every_route(graph, policy, source, destination, shares)
    pruned = Pruned(graph, policy, source, destination, shares)
    answer = best_routes(pruned, most_labels=10_000)
    assert not answer.capped
    if not complying:
        assert not answer.routes
        return
    least = min(found.cost for found in complying)
    width = len(least)  # limits may add keys behind
    assert {route.cost[:width] for route in answer.routes} == {least}
    tied = {found.edges for found in complying if found.cost == least}
    found = {route.edges for route in answer.routes}
    assert found <= tied
    if pruned.costs.are_sums and len(pruned.costs.keys) == width and len(tied) <= MOST_TIED:
        assert found == tied
    few = best_routes(pruned, most_labels=1)
    assert few.capped or {route.cost[:width] for route in few.routes} == {least}


@settings(max_examples=100)
@given(graphs(), st.binary(max_size=4))
def test_a_message_takes_one_of_the_equal_routes_by_hash(graph: Graph, message_id: bytes) -> None:
    answer = best_routes(Pruned(graph, parse("xroute/1"), graph.chains[0], graph.chains[-1]))
    chosen = answer.choose(message_id)
    assume(chosen is not None)
    assert chosen in answer.routes
    assert chosen == answer.choose(message_id)
    assert len({route.route_id for route in answer.routes}) == len(answer.routes)


@settings(max_examples=150)
@given(graphs(), policies())
def test_the_next_routes_come_in_order_of_cost(graph: Graph, policy: Policy) -> None:
    source, destination = graph.chains[0], graph.chains[-1]
    complying = every_route(graph, policy, source, destination, {})
    pruned = Pruned(graph, policy, source, destination)
    answer = next_routes(pruned, len(complying) + 1)
    assert not answer.capped
    assert {route.edges for route in answer.routes} == {found.edges for found in complying}
    costs = [route.cost for route in answer.routes]
    assert costs == sorted(costs)


def _disjoint(transits: list[tuple[Cost, frozenset[ChainIdentity]]], count: int) -> Iterator[tuple[Cost, ...]]:
    """The costs of every so many routes of which no two share a transit, nor have none both."""
    if not count:
        yield ()
        return
    for place, (cost, on_it) in enumerate(transits):
        others = [(its, other) for its, other in transits[place + 1 :] if (on_it or other) and on_it.isdisjoint(other)]
        yield from ((cost, *further) for further in _disjoint(others, count - 1))


@settings(max_examples=500)
@given(graphs(), policies(), st.integers(2, 3))
def test_disjoint_routes_are_the_cheapest_set(graph: Graph, policy: Policy, count: int) -> None:
    source, destination = graph.chains[0], graph.chains[-1]
    pruned = Pruned(graph, policy, source, destination)
    transits = [
        (found.cost, frozenset(edge.tracked for edge in found.edges[:-1]))
        for found in every_route(graph, policy, source, destination, {})
    ]
    sets = [tuple(map(sum, zip(*costs, strict=True))) for costs in _disjoint(transits, count)]
    answer = disjoint_routes(pruned, count)
    assert not answer.capped
    assert bool(answer.routes) == bool(sets)
    if sets:
        width = len(sets[0])
        assert together(answer.routes)[:width] == min(sets)
        assert len({transit for route in answer.routes for transit in route.transits}) == sum(
            len(route.transits) for route in answer.routes
        )
        assert ways(pruned, count) == count
