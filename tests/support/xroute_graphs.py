"""Random graphs of chains, and every complying route of one by trying all: the judge of the route search.

The judge shares the evaluation of policies and nothing of the search: it walks every simple path, keeps what
`first_failing` lets pass and limits allow, and adds costs up by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from random import Random

from hypothesis import strategies as st
from xroute_policies import CHAINS, identity_of

from nodes.ibc.client.tendermint import Status
from nodes.xroute.identity import ChainIdentity
from nodes.xroute.policy.attributes import RouteAttributes
from nodes.xroute.policy.clauses import LimitKind, Policy
from nodes.xroute.policy.evaluation import first_failing
from nodes.xroute.policy.terms import Key
from nodes.xroute.routes.graph import Chain, Claims, Edge, Graph, Transit, TransitRule, both_ways, hop_of

MILLION = 1_000_000


def chain_named(name: str, **values: object) -> Chain:
    return replace(Chain(identity_of(name), name), **values)  # type: ignore[arg-type]


def edges_between(a: str, b: str, **values: object) -> tuple[Edge, Edge]:
    """Two clients that name each other."""
    edge = Edge(identity_of(a), identity_of(b), f"{a}-tracks-{b}", f"{b}-tracks-{a}")
    return both_ways(replace(edge, **values))  # type: ignore[arg-type]


def graph_of(seed: int, most: int = 7) -> Graph:
    """Two to `most` chains, of whose pairs more than half are joined, some by two pairs of clients.

    Graphs of odd seeds have more chains and edges, and less in them is not known.
    """
    rng = Random(seed)
    is_dense = seed % 2 == 1

    def some(low: int, high: int) -> int | None:
        return rng.choice([rng.randint(low, high)] * (19 if is_dense else 3) + [None])

    def chain(name: str) -> Chain:
        rule = rng.choice([TransitRule.ALLOW, TransitRule.ALLOW, *TransitRule])
        return chain_named(
            name,
            nakamoto=some(1, 12),
            validators=some(1, 12),
            top1_share_ppm=some(1, MILLION),
            transit=Transit(rule, frozenset(rng.sample(CHAINS, 3))),
            load_ppm=some(0, MILLION),
        )

    def differing(edge: Edge, suffix: str) -> Edge:
        return replace(
            edge,
            client=edge.client + suffix,
            counterparty=edge.counterparty + suffix,
            status=rng.choice([Status.ACTIVE] * 9 + [Status.EXPIRED]),
            client_type=rng.choice(["tendermint", "tendermint", "attestation"]),
            trust_level_ppm=some(333_333, MILLION),
            trusting_left_ns=some(0, 12 * 10**9),
            freshness_ns=some(0, 12 * 10**9),
            claims=Claims(some(0, 9), rng.choice([None, 0, 1000, 5000]), some(0, MILLION)),
        )

    names = CHAINS[: most if is_dense else rng.randint(2, most)]
    edges: list[Edge] = []
    for a, b in combinations(names, 2):
        for suffix in rng.choice([("",), ("",), ("",), ("", "-2"), (), ()][: 5 if is_dense else 6]):
            edges += [differing(edge, suffix) for edge in edges_between(a, b)]
    return Graph([chain(name) for name in names], edges)


def graphs(most: int = 7) -> st.SearchStrategy[Graph]:
    """Random graphs, each from a seed: drawing every value by itself would take ten times as long."""
    return st.integers(0, 1 << 32).map(lambda seed: graph_of(seed, most))


@dataclass(frozen=True, slots=True)
class Found:
    """A complying route of the judge."""

    edges: tuple[Edge, ...]
    cost: tuple[int, ...]


def every_route(
    graph: Graph, policy: Policy, source: Chain, destination: Chain, shares: dict[ChainIdentity, int]
) -> list[Found]:
    """All complying routes, by trying every simple path of at most eight hops."""
    known = {edge.key: edge for edge in graph.edges}
    usable = []
    for edge in graph.edges:
        back = known.get((edge.tracked, edge.verifier, edge.counterparty))
        names_back = back is not None and (back.tracked, back.counterparty) == (edge.verifier, edge.client)
        if names_back and {edge.status, back.status} == {Status.ACTIVE}:
            usable.append(edge)
    chains = {chain.identity: chain for chain in graph.chains}

    def walks(path: tuple[Edge, ...], at: ChainIdentity, seen: frozenset[ChainIdentity]) -> Iterator[tuple[Edge, ...]]:
        if at == source.identity:
            yield path
        elif len(path) < 8:
            for edge in usable:
                if edge.verifier == at and edge.tracked not in seen:
                    yield from walks((*path, edge), edge.tracked, seen | {edge.tracked})

    found = []
    for path in walks((), destination.identity, frozenset([destination.identity])):
        hops = []
        for edge in path:
            chain = chains[edge.tracked]
            assert chain.transit is not None
            hops.append(hop_of(edge, chain, chain.transit.lets_pass(source, destination)))
        if first_failing(policy, RouteAttributes(tuple(hops), "e2e", names_agree=True)) is None and _is_within(
            policy, path
        ):
            found.append(Found(path, _cost(graph, policy, path, shares)))
    return found


def _is_within(policy: Policy, path: tuple[Edge, ...]) -> bool:
    for kind, values in (
        (LimitKind.FEE, [e.claims.fee for e in path]),
        (LimitKind.TIME, [None if (ms := e.claims.latency_ms) is None else ms * 10**6 for e in path]),
    ):
        most = policy.limit(kind)
        if most is not None and (None in values or sum(value or 0 for value in values) > most):
            return False
    return True


def _cost(graph: Graph, policy: Policy, path: tuple[Edge, ...], shares: dict[ChainIdentity, int]) -> tuple[int, ...]:
    chains = {chain.identity: chain for chain in graph.chains}
    tracked = [chains[edge.tracked] for edge in path]
    # An edge without a claim counts as the next number of all ones in binary.
    dearest = 2 ** len(f"{max(edge.claims.fee or 0 for edge in graph.edges):b}".lstrip("0")) - 1
    slowest = 2 ** len(f"{max(edge.claims.latency_ms or 0 for edge in graph.edges):b}".lstrip("0")) - 1
    success = MILLION
    for edge in path:
        success = -(-success * (edge.claims.success_ppm or 0) // MILLION)
    costs = {
        Key.FEE: sum(dearest if edge.claims.fee is None else edge.claims.fee for edge in path),
        Key.LATENCY: sum(slowest if edge.claims.latency_ms is None else edge.claims.latency_ms for edge in path),
        Key.HOPS: len(path),
        Key.NAKAMOTO: -min(chain.nakamoto or 0 for chain in tracked),
        Key.LOAD: max(MILLION if chain.load_ppm is None else chain.load_ppm for chain in tracked),
        Key.SUCCESS: -success,
        Key.SPREAD: sum(shares.get(chain.identity, 0) for chain in tracked[:-1]),
    }
    return tuple(costs[key] for key in dict.fromkeys((*policy.preferences, Key.HOPS)))
