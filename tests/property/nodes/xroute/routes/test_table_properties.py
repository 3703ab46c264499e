"""The table of all pairs against the search of one pair, and shares of transit against counting routes."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from xroute_graphs import graphs
from xroute_policies import texts

from emulator.model.errors import Unfit
from nodes.ibc.client.tendermint import Status
from nodes.xroute.policy.parser import parse
from nodes.xroute.policy.terms import PolicyError
from nodes.xroute.routes.graph import Chain, Graph, Transit
from nodes.xroute.routes.measures import transit_shares
from nodes.xroute.routes.pruned import Pruned
from nodes.xroute.routes.search import best_routes
from nodes.xroute.routes.table import Table

POLICIES = st.sampled_from(
    [
        "xroute/1",
        "xroute/1; prefer fee",
        "xroute/1; prefer spread",
        "xroute/1; prefer latency, fee; limit hops 3",
        "xroute/1; prefer fee; limit hops 2; require each transit nakamoto >= 4",
        "xroute/1; require each chain validators >= 3; require source nakamoto >= 2; avoid {c}; prefer spread, latency",
        "xroute/1; require each hop client_type in {tendermint}; require each transit transit_ok = true",
    ]
)


def without_pairwise_rules(graph: Graph) -> Graph:
    """The table answers no chain that asks who sends or receives."""

    def plain(chain: Chain) -> Chain:
        return replace(chain, transit=Transit()) if chain.transit and chain.transit.chains else chain

    return Graph([plain(chain) for chain in graph.chains], graph.edges)


def shares_of(graph: Graph, seed: int) -> dict[bytes, int]:
    return {chain.identity: (seed >> number) % 4 for number, chain in enumerate(graph.chains)}


@settings(max_examples=150)
@given(graphs(5), POLICIES, st.integers(0, 1 << 16))
def test_costs_and_shares_are_those_of_the_search(graph: Graph, text: str, seed: int) -> None:
    graph, policy = without_pairwise_rules(graph), parse(text)
    shares = shares_of(graph, seed)
    table = Table(graph, policy, shares)
    carried = np.zeros(len(graph.chains))
    connected = 0
    for destination, source in permutations(range(len(graph.chains)), 2):
        pruned = Pruned(graph, policy, graph.chains[source], graph.chains[destination], shares)
        answer = best_routes(pruned, most_labels=1000)
        assert not answer.tied_more
        assert bool(answer.routes) == bool(table.reachable(8)[destination, source])
        for route in answer.routes:
            assert table.hops()[destination, source] == len(route.arcs)
            assert table.packed(route.cost) == table.costs[-1, destination, source]
            for transit in route.transits:
                carried[transit] += 1 / len(answer.routes)
        connected += bool(answer.routes)
    assert np.allclose(transit_shares(table), carried / max(1, connected))


@settings(max_examples=150)
@given(graphs(6), POLICIES, st.integers(0, 1 << 16), st.data())
def test_an_update_gives_what_computing_from_scratch_gives(
    graph: Graph, text: str, seed: int, data: st.DataObject
) -> None:
    graph, policy = without_pairwise_rules(graph), parse(text)
    assume(graph.edges)
    table = Table(graph, policy, shares_of(graph, seed))
    for _ in range(3):
        edge = data.draw(st.sampled_from(table.graph.edges))
        status = data.draw(st.sampled_from([Status.ACTIVE, Status.EXPIRED]))
        claims = replace(edge.claims, fee=data.draw(st.integers(0, 12)), latency_ms=data.draw(st.integers(0, 10**5)))
        changed = replace(edge, status=status, claims=claims)
        rows = table.update([changed])
        fresh = Table(graph.with_edges([changed]), policy, shares_of(graph, seed))
        graph = fresh.graph
        assert rows <= len(graph.chains)
        assert np.array_equal(table.costs, fresh.costs)
        assert np.array_equal(table.levels, fresh.levels)


@settings(max_examples=100)
@given(graphs(4), texts(3))
def test_a_policy_that_needs_the_search_is_refused_or_answered_alike(graph: Graph, text: str) -> None:
    try:
        policy = parse(text)
        table = Table(graph, policy)
    except (PolicyError, Unfit):
        return
    for destination, source in permutations(range(len(graph.chains)), 2):
        pruned = Pruned(graph, policy, graph.chains[source], graph.chains[destination])
        assert bool(best_routes(pruned).routes) == bool(table.reachable(8)[destination, source])


def test_what_the_table_does_not_answer() -> None:
    for text in ("via any {a}", "require any hop nakamoto >= 2", "limit fee 3ufee", "prefer nakamoto",
                 "require route hops >= 2", "require source client_type in {tendermint}"):  # fmt: skip
        with pytest.raises(Unfit, match="expected"):
            Table(Graph([], []), parse(f"xroute/1; {text}"))
