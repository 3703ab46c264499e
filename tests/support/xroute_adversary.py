"""An adversary of policies and routes: it looks for a graph and a policy on which the product errs, and knows no fault.

Independent of the product: policies are read from their text, clause by clause, and routes come from trying every path.
Shared are only the plain values: graphs, chains, edges and what a hop proves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from random import Random

import networkx as nx
import numpy as np
from xroute_graphs import Found, every_route, graph_of
from xroute_policies import CHAINS, KEYS
from xroute_words import FIELDS, SIGNS, complies

from emulator.model.errors import Unfit
from nodes.ibc.client.tendermint import Status
from nodes.xroute.policy.attributes import HopAttributes, RouteAttributes
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.conjunction import strictest
from nodes.xroute.policy.evaluation import first_failing
from nodes.xroute.policy.parser import parse, read
from nodes.xroute.policy.terms import Contradiction, PolicyError
from nodes.xroute.policy.text import show
from nodes.xroute.routes.advice import advise
from nodes.xroute.routes.excluded import excluded_routes
from nodes.xroute.routes.graph import Chain, Graph, hop_of
from nodes.xroute.routes.measures import transit_shares
from nodes.xroute.routes.pruned import Pruned
from nodes.xroute.routes.search import best_routes
from nodes.xroute.routes.several import disjoint_routes, next_routes, ways
from nodes.xroute.routes.table import Table


def clause_of(rng: Random) -> str:
    """A clause as a person might write it."""
    scope = rng.choice(["each hop", "each chain", "each transit", "source", "any hop"])
    names = rng.sample(CHAINS, rng.randint(1, 3))
    some = "{" + ", ".join(names) + "}"
    attribute = rng.choice(list(FIELDS))
    unit = FIELDS[attribute][1]
    value = f"{rng.randint(2, 10) * (9 if unit == '%' else 1)}{unit}"
    return rng.choice(
        [
            f"require {scope} {attribute} {rng.choice(list(SIGNS))} {value}",
            f"require {scope} {attribute} {rng.choice(list(SIGNS))} {value}",
            f"require {scope} {rng.choice(['in', 'not in'])} {some}",
            f"require {scope} client_type {rng.choice(['in', 'not in'])} {{{rng.choice(['tendermint', 'solo'])}}}",
            f"require route hops {rng.choice(list(SIGNS))} {rng.randint(2, 4)}",
            f"require via any {some}",
            f"require via all {{{', '.join(names[:2])}}}",
            f"avoid {some}",
            "require each transit transit_ok = true",
            f"limit hops {rng.randint(1, 5)}",
            f"limit fee {rng.randint(1, 20)}ufee",
            f"limit time {rng.randint(1, 12)}s",
            f"prefer {', '.join(rng.sample(KEYS, rng.randint(1, 3)))}",
        ]
    )


def themes(rng: Random) -> list[str]:
    """Clauses that try one part of the search together."""
    sums, others = rng.sample(["fee", "latency", "hops", "spread"], 2), rng.sample(["nakamoto", "load", "success"], 1)
    some = "{" + ", ".join(rng.sample(CHAINS, 2)) + "}"
    prefer = f"prefer {', '.join(sums)}"
    limits = [
        f"limit fee {rng.randint(4, 20)}ufee",
        f"limit time {rng.randint(3, 12)}s",
        f"limit hops {rng.randint(2, 4)}",
    ]
    return rng.choice(
        [
            [prefer, *rng.sample(limits, rng.randint(1, 2))],
            [f"prefer {', '.join(rng.sample([*sums, *others], 2))}", *rng.sample(limits, 1)],
            [prefer, rng.choice([f"via any {some}", f"via all {some}", "require any hop nakamoto >= 9"])],
            [prefer, "require each transit transit_ok = true"],
            [prefer, f"require route hops >= {rng.randint(2, 4)}"],
        ]
    )


def text_of(rng: Random, most: int = 3) -> str:
    """A policy that the product accepts: any clauses, or a theme."""
    while True:
        clauses = themes(rng) if rng.random() < 0.6 else [clause_of(rng) for _ in range(rng.randint(0, most))]
        text = "; ".join(["xroute/1", *clauses])
        try:
            parse(text)
            return text
        except PolicyError:
            continue


def play(seed: int) -> None:
    """One graph and one policy: AssertionError where the product answers otherwise than trying everything does."""
    rng = Random(seed)
    graph = graph_of(seed, most=6)
    text, source, destination = text_of(rng), graph.chains[0], graph.chains[-1]
    policy = parse(text)
    shares = {chain.identity: rng.randint(0, 3) for chain in graph.chains}
    bare = Policy(preferences=policy.preferences)
    paths = every_route(graph, bare, source, destination, shares)
    clauses = [clause.strip() for clause in text.split(";")[1:]]
    verdicts = [_verdict(graph, clauses, found, source, destination) for found in paths]
    complying = [found for found, holds in zip(paths, verdicts, strict=True) if holds]
    _check_language(graph, policy, clauses, paths, source, destination)
    _check_conjunction(rng, graph, policy, clauses, paths, source, destination)
    pruned = Pruned(graph, policy, source, destination, shares)
    _check_routes(pruned, complying)
    _check_table(graph, policy, shares)
    _check_advice(graph)
    reasons = {
        route.edges: index for route, index in excluded_routes(graph, policy, source, destination, len(paths) + 1)
    }
    assert reasons.keys() == {found.edges for found in paths} - {found.edges for found in complying}


def _hops(graph: Graph, found: Found, source: Chain, destination: Chain) -> list[HopAttributes]:
    chains = {chain.identity: chain for chain in graph.chains}
    hops = []
    for edge in found.edges:
        chain = chains[edge.tracked]
        assert chain.transit is not None
        asked = {"only-to": destination.name, "only-from": source.name}.get(chain.transit.rule.value)
        passes = chain.transit.rule.value == "allow" or asked in chain.transit.chains
        hops.append(hop_of(edge, chain, passes))
    return hops


def _verdict(graph: Graph, clauses: Sequence[str], found: Found, source: Chain, destination: Chain) -> bool:
    hops = _hops(graph, found, source, destination)
    claims = [(edge.claims.fee, edge.claims.latency_ms) for edge in found.edges]
    return all(complies(clause, hops, claims) for clause in clauses)


def _check_language(
    graph: Graph, policy: Policy, clauses: Sequence[str], paths: Sequence[Found], source: Chain, destination: Chain
) -> None:
    """The same policy after printing and after its bytes; the same verdicts, with an index where one is due."""
    assert parse(show(policy)) == policy
    assert read(policy.encode()) == policy
    proven = [clause for clause in clauses if not clause.startswith(("limit fee", "limit time"))]
    for found in paths:
        hops = _hops(graph, found, source, destination)
        holds = all(complies(clause, hops, []) for clause in proven)
        index = first_failing(policy, RouteAttributes(tuple(hops), names_agree=True))
        assert (index is None) == holds
        if index is not None:
            failing = show(policy).split("\n")[1 + index]
            assert not complies(failing, hops, [])
            assert all(complies(each, hops, []) for each in show(policy).split("\n")[1 : 1 + index])


def _check_conjunction(
    rng: Random,
    graph: Graph,
    policy: Policy,
    clauses: Sequence[str],
    paths: Sequence[Found],
    source: Chain,
    destination: Chain,
) -> None:
    least = text_of(rng)
    theirs = [clause.strip() for clause in least.split(";")[1:]]
    both = [clause for clause in (*clauses, *theirs) if not clause.startswith(("limit fee", "limit time"))]
    verdicts = []
    for found in paths:
        hops = tuple(_hops(graph, found, source, destination))
        verdicts.append((hops, all(complies(clause, hops, []) for clause in both)))
    try:
        merged = strictest(policy, parse(least))
    except Contradiction:
        assert not any(holds for _, holds in verdicts)
        return
    for hops, holds in verdicts:
        assert (first_failing(merged, RouteAttributes(hops, names_agree=True)) is None) == holds


def _check_routes(pruned: Pruned, complying: Sequence[Found]) -> None:
    answer = best_routes(pruned, most_labels=10_000)
    assert not answer.capped
    assert bool(answer.routes) == bool(complying)
    few = best_routes(pruned, most_labels=1)
    ordered = next_routes(pruned, len(complying) + 1)
    assert {route.edges for route in ordered.routes} == {found.edges for found in complying}
    pairs = disjoint_routes(pruned, 2)
    assert not pairs.capped
    if not complying:
        assert not pairs.routes
        return
    least = min(found.cost for found in complying)
    width = len(least)
    tied = {found.edges for found in complying if found.cost == least}
    assert {route.edges for route in answer.routes} <= tied
    assert {route.cost[:width] for route in answer.routes} == {least}
    assert few.capped or {route.cost[:width] for route in few.routes} == {least}
    if pruned.costs.are_sums and len(pruned.costs.keys) == width:
        assert {route.edges for route in answer.routes} == tied
    chosen = answer.choose(b"message")
    assert chosen is not None
    assert chosen.edges in tied
    sums = [
        tuple(map(sum, zip(one.cost, other.cost, strict=True)))
        for one, other in combinations(complying, 2)
        if (transits := [{edge.tracked for edge in found.edges[:-1]} for found in (one, other)])
        and any(transits)
        and transits[0].isdisjoint(transits[1])
    ]
    assert bool(pairs.routes) == bool(sums)
    if sums:
        assert ways(pruned, 2) == 2
        assert tuple(map(sum, zip(*(route.cost[:width] for route in pairs.routes), strict=True))) == min(sums)


def _check_table(graph: Graph, policy: Policy, shares: dict[bytes, int]) -> None:
    """All pairs at once, after a change that the table took and after none."""
    try:
        table = Table(graph, policy, shares)  # type: ignore[arg-type]
    except Unfit:
        return
    carried, connected = np.zeros(len(graph.chains)), 0
    for row, destination in enumerate(graph.chains):
        for column, source in enumerate(graph.chains):
            if row == column:
                continue
            found = every_route(graph, policy, source, destination, shares)  # type: ignore[arg-type]
            least = min((each.cost for each in found), default=None)
            assert (least is not None) == bool(table.reachable(8)[row, column])
            if least is not None:
                assert table.costs[-1, row, column] == table.packed(least)
                best = [each for each in found if each.cost == least]
                connected += 1
                for each in best:
                    for edge in each.edges[:-1]:
                        carried[graph.number[edge.tracked]] += 1 / len(best)
    assert np.allclose(transit_shares(table), carried / max(1, connected))
    for edge in graph.edges[:2]:
        for status in (Status.EXPIRED, Status.ACTIVE):
            table.update([replace(edge, status=status)])
            assert np.array_equal(table.costs, Table(table.graph, policy, shares).costs)  # type: ignore[arg-type]


def _check_advice(graph: Graph) -> None:
    """The pair that is advised lowers the largest share as no other does; shares are those of networkx."""
    names = [chain.name for chain in graph.chains]
    joined = nx.Graph()
    joined.add_nodes_from(names)
    by_identity = {chain.identity: chain.name for chain in graph.chains}
    for identity, others in graph.neighbours().items():
        joined.add_edges_from((by_identity[identity], by_identity[other]) for other in others)

    def top(of: nx.Graph) -> float:
        pairs = sum(len(part) * (len(part) - 1) / 2 for part in nx.connected_components(of))
        return max(nx.betweenness_centrality(of, normalized=False).values()) / max(1, pairs)

    after = [top(nx.Graph([*joined.edges, pair])) for pair in combinations(names, 2) if not joined.has_edge(*pair)]
    best = min(after, default=1)
    advised = next(iter(advise(graph, 1)), None)
    if advised is None:
        assert best > top(joined) - 1e-9
    else:
        assert abs(advised.share - best) < 1e-9
        assert best < top(joined)
