"""What a route costs by the keys that a policy prefers: a tuple of integers, the smaller the better.

Invariant: every component only grows as a route grows, and grows no less from a greater value: so the best route is
made of parts that nothing dominates. Keys that are sums keep their order, too; where only these are preferred, parts
are compared as wholes (`Costs.are_sums`), and else component by component.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nodes.xroute.identity import ChainIdentity
from nodes.xroute.policy.clauses import LimitKind, Policy
from nodes.xroute.policy.terms import Key, Unit
from nodes.xroute.routes.graph import Chain, Claims, Edge, Graph

WHOLE_PPM = 1_000_000
_SUMS = (Key.FEE, Key.LATENCY, Key.HOPS, Key.SPREAD)
_UNITS = {Key.LATENCY: 1_000_000}  # nanoseconds of a limit in a unit of the claim
_CLAIMED: Mapping[Key, Callable[[Claims], int | None]] = {
    Key.FEE: lambda claims: claims.fee,
    Key.LATENCY: lambda claims: claims.latency_ms,
}
_LIMITED = {LimitKind.FEE: Key.FEE, LimitKind.TIME: Key.LATENCY, LimitKind.HOPS: Key.HOPS}

Cost = tuple[int, ...]
Shares = Mapping[ChainIdentity, int]  # of recent deliveries, that passed through a chain, in millionths


@dataclass(frozen=True, slots=True)
class Costs:
    """How routes are compared: preferences first, then hops, then what is limited."""

    keys: tuple[Key, ...]
    limits: tuple[tuple[int, int], ...]  # place of a key in `keys`, and the most of it
    are_sums: bool
    worst: Mapping[Key, int]  # what an edge without a claim counts as: no less than any claim

    @classmethod
    def of(cls, graph: Graph, policy: Policy) -> Costs:
        """The costs that a policy's preferences and limits need."""
        limits = {Key.HOPS: Unit.HOPS.most}
        limits |= {
            key: most // _UNITS.get(key, 1)
            for kind, key in _LIMITED.items()
            if (most := policy.limit(kind)) is not None
        }
        keys = tuple(dict.fromkeys((*policy.preferences, Key.HOPS, *limits)))
        worst = {
            key: (1 << max((claimed(edge.claims) or 0 for edge in graph.edges), default=0).bit_length()) - 1
            for key, claimed in _CLAIMED.items()
            if key in keys
        }
        places = tuple((keys.index(key), most) for key, most in limits.items())
        return cls(keys, places, all(key in _SUMS for key in keys), worst)

    def missing_claim(self, edge: Edge) -> Key | None:
        """A key that is limited, of which an edge claims nothing."""
        limited = (self.keys[place] for place, _ in self.limits)
        return next((key for key in limited if key in _CLAIMED and _CLAIMED[key](edge.claims) is None), None)

    def weights(self, graph: Graph, edge: Edge) -> Cost:
        """What a hop over an edge adds, key by key."""
        chain = graph.chains[graph.number[edge.tracked]]
        return tuple(self._weight(key, edge.claims, chain) for key in self.keys)

    def _weight(self, key: Key, claims: Claims, chain: Chain) -> int:
        if key in _CLAIMED:
            claimed = _CLAIMED[key](claims)
            return self.worst[key] if claimed is None else claimed
        if key is Key.NAKAMOTO:
            return -(chain.nakamoto or 0)
        if key is Key.LOAD:
            return WHOLE_PPM if chain.load_ppm is None else chain.load_ppm
        if key is Key.SUCCESS:
            return claims.success_ppm or 0
        return 1 if key is Key.HOPS else 0

    def start(self) -> Cost:
        """The cost of no hop."""
        first = {Key.NAKAMOTO: -(1 << 63), Key.SUCCESS: -WHOLE_PPM}
        return tuple(first.get(key, 0) for key in self.keys)

    def extended(self, cost: Cost, weights: Cost, transit_share_ppm: int) -> Cost:
        """The cost after one more hop, which makes the chain before it a transit that has carried such a share."""
        grown = []
        for key, value, weight in zip(self.keys, cost, weights, strict=True):
            if key in (Key.NAKAMOTO, Key.LOAD):
                grown.append(max(value, weight))
            elif key is Key.SUCCESS:
                grown.append(value * weight // WHOLE_PPM)  # rounded towards more success, as values are negative
            else:
                grown.append(value + weight + (transit_share_ppm if key is Key.SPREAD else 0))
        return tuple(grown)

    def within_limits(self, cost: Cost) -> bool:
        """Whether a cost keeps to the limits of fee, time and hops."""
        return all(cost[place] <= most for place, most in self.limits)

    def dominates(self, one: Cost, other: Cost) -> bool:
        """Whether a part of a route makes one of another cost useless, however both go on."""
        if one == other:
            return False
        if self.are_sums:
            return one < other and all(one[place] <= other[place] for place, _ in self.limits)
        return all(mine <= others for mine, others in zip(one, other, strict=True))

    def named(self, cost: Sequence[int]) -> dict[Key, int]:
        """A cost by key, in the units in which people read them."""
        negative = (Key.NAKAMOTO, Key.SUCCESS)
        return {key: -value if key in negative else value for key, value in zip(self.keys, cost, strict=True)}
