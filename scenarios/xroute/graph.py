"""Which chains have clients of each other: a mesh, or a hub; and ways over it.

Invariant: chains are numbers from 0 on; each pair is there once, the lower number first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import permutations

from nodes.xroute.identity import ChainIdentity
from nodes.xroute.policy.clauses import Policy
from nodes.xroute.policy.power import nakamoto, top1_share_ppm
from nodes.xroute.routes.graph import Chain, Edge, Graph, Transit, both_ways
from nodes.xroute.routes.pruned import Pruned
from nodes.xroute.routes.search import best_routes

__all__ = ["hub", "mesh", "unreached", "way"]

Pair = tuple[int, int]


def mesh(chains: int, neighbours: int) -> list[Pair]:
    """A ring; with four neighbours also chords, a third of the ring long."""
    steps = (1,) if neighbours < 4 else (1, max(2, chains // 3))
    pairs = {(place, (place + step) % chains) for step in steps for place in range(chains)}
    return sorted({(min(pair), max(pair)) for pair in pairs})


def hub(chains: int) -> list[Pair]:
    """The first chain and each other one."""
    return [(0, place) for place in range(1, chains)]


def way(pairs: Sequence[Pair], source: int, destination: int, avoided: Iterable[int] = ()) -> list[int] | None:
    """The transits of a shortest way, from the source on; None where only avoided transits lead there."""
    closed = {*avoided} - {source, destination}
    before: dict[int, int] = {source: source}
    queue = deque([source])
    while queue and destination not in before:
        place = queue.popleft()
        for following in sorted({*_beside(pairs, place)} - before.keys() - closed):
            before[following] = place
            queue.append(following)
    if destination not in before:
        return None
    transits: list[int] = []
    place = before[destination]
    while place != source:
        transits.insert(0, place)
        place = before[place]
    return transits


def unreached(
    names: Sequence[str], pairs: Iterable[Pair], powers: Sequence[Sequence[int]], policy: Policy
) -> tuple[str, str] | None:
    """A source and a destination between which no route satisfies a policy; None where there are none."""
    chains = [
        Chain(
            ChainIdentity(sha256(name.encode()).digest()),
            name,
            None,
            nakamoto(power),
            len(power),
            top1_share_ppm(power),
            transit=Transit(),
        )
        for name, power in zip(names, powers, strict=True)
    ]
    fresh = Edge(chains[0].identity, chains[0].identity, "", "", trust_level_ppm=333_333, trusting_left_ns=10**18,
                 freshness_ns=0, delay_ns=0)  # fmt: skip
    edges = [
        edge
        for a, b in pairs
        for edge in both_ways(
            replace(
                fresh, verifier=chains[a].identity, tracked=chains[b].identity, client=f"of {b}", counterparty=f"of {a}"
            )
        )
    ]
    graph = Graph(chains, edges)
    unreached = (
        (source.name, destination.name)
        for source, destination in permutations(chains, 2)
        if not best_routes(Pruned(graph, policy, source, destination)).routes
    )
    return next(unreached, None)


def _beside(pairs: Sequence[Pair], place: int) -> list[int]:
    return [b if a == place else a for a, b in pairs if place in (a, b)]
