"""What relayers say, weighed by their stake: one value from many, that no minority of the stake moves far.

Invariant: each value of a `ClaimedEdge` or `ClaimedChain` lies between values that relayers with more than half of the
stake of those that speak have given, or is one that no other has more stake behind. These types hold no facts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

from nodes.xroute.flooding.ads import ChainAd, ChainClaims, ClientStatus, EdgeAd, EdgeClaims
from nodes.xroute.flooding.database import Database

__all__ = ["ClaimedChain", "ClaimedEdge", "EdgeKey", "claimed_chains", "claimed_edges", "weighted_median"]

T = TypeVar("T")
C = TypeVar("C", EdgeClaims, ChainClaims)
EdgeKey = tuple[bytes, bytes, str]  # verifying chain, tracked chain, client
_Said = Sequence[tuple[T, int]]  # with the stake of those who say it


@dataclass(frozen=True, slots=True)
class ClaimedEdge:
    """A client as relayers describe it."""

    counterparty_client_id: str
    client_type: str
    status: ClientStatus
    trusting_s: int
    delay_s: int
    latest_time_ns: int
    claims: EdgeClaims | None  # None where nobody measured
    stake: int  # of all that say something


@dataclass(frozen=True, slots=True)
class ClaimedChain:
    """A chain as relayers describe it."""

    transit_policy: bytes
    claims: ChainClaims | None
    stake: int


def claimed_edges(database: Database, stakes: Mapping[bytes, int]) -> dict[EdgeKey, ClaimedEdge]:
    """All edges that somebody with stake speaks of."""
    by_edge: dict[EdgeKey, list[tuple[EdgeAd, int]]] = defaultdict(list)
    for entry in database.advertisements():
        ad, stake = entry.ad, stakes.get(entry.ad.origin, 0)
        if isinstance(ad, EdgeAd) and stake:
            by_edge[ad.verifier, ad.tracked, ad.client_id].append((ad, stake))
    return {key: _claimed_edge(said) for key, said in by_edge.items()}


def claimed_chains(database: Database, stakes: Mapping[bytes, int]) -> dict[bytes, ClaimedChain]:
    """All chains that somebody with stake speaks of, by identity."""
    by_chain: dict[bytes, list[tuple[ChainAd, int]]] = defaultdict(list)
    for entry in database.advertisements():
        ad, stake = entry.ad, stakes.get(entry.ad.origin, 0)
        if isinstance(ad, ChainAd) and stake:
            by_chain[ad.identity].append((ad, stake))
    return {
        identity: ClaimedChain(
            _foremost([(ad.transit_policy, stake) for ad, stake in said]),
            _measured(ChainClaims, [(ad.claims, stake) for ad, stake in said]),
            sum(stake for _, stake in said),
        )
        for identity, said in by_chain.items()
    }


def weighted_median(values: _Said[int]) -> int:
    """The lowest value that, with those below it, has half of the weight behind it."""
    total, below = sum(weight for _, weight in values), 0
    for value, weight in sorted(values):
        below += weight
        if 2 * below >= total:
            return value
    raise ValueError("no value; expected at least one with a weight above 0")


def _claimed_edge(said: _Said[EdgeAd]) -> ClaimedEdge:
    def of(value: Callable[[EdgeAd], T]) -> list[tuple[T, int]]:
        return [(value(ad), stake) for ad, stake in said]

    return ClaimedEdge(
        _foremost(of(lambda ad: ad.counterparty_client_id)),
        _foremost(of(lambda ad: ad.client_type)),
        _foremost(of(lambda ad: ad.status)),
        weighted_median(of(lambda ad: ad.trusting_s)),
        weighted_median(of(lambda ad: ad.delay_s)),
        weighted_median(of(lambda ad: ad.latest_time_ns)),
        _measured(EdgeClaims, of(lambda ad: ad.claims)),
        sum(stake for _, stake in said),
    )


def _measured(kind: type[C], said: _Said[C | None]) -> C | None:
    """Each metric's median among those that measured."""
    measured = [(claims, stake) for claims, stake in said if claims is not None]
    if not measured:
        return None
    names = [each.name for each in fields(kind)]
    return kind(*(weighted_median([(getattr(claims, name), stake) for claims, stake in measured]) for name in names))


def _foremost(said: _Said[T]) -> T:
    """What has the most stake behind it; of several such always the same one."""
    weights: dict[T, int] = defaultdict(int)
    for value, stake in said:
        weights[value] += stake
    most = max(weights.values())
    return min((value for value, weight in weights.items() if weight == most), key=repr)
