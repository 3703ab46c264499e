"""What a route costs by the keys that a policy prefers: a tuple of integers, the smaller the better.

Invariant: every component only grows as a route grows, and grows no less from a greater value: so the best route is
made of parts that nothing dominates. Keys that are sums keep their order, too; where only these are preferred, parts
are compared as wholes (`Costs.are_sums`), and else component by component.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodes.xroute.identity import ChainIdentity
from nodes.xroute.policy.clauses import LimitKind, Policy
from nodes.xroute.policy.terms import Key, Unit
from nodes.xroute.routes.graph import Edge, Graph

WHOLE_PPM = 1_000_000
_SUMS = (Key.FEE, Key.LATENCY, Key.HOPS, Key.SPREAD)
_LIMITED = {LimitKind.FEE: Key.FEE, LimitKind.TIME: Key.LATENCY, LimitKind.HOPS: Key.HOPS}

Cost = tuple[int, ...]
Shares = Mapping[ChainIdentity, int]  # of recent deliveries, that passed through a chain, in millionths


@dataclass(frozen=True, slots=True)
class Costs:
    """How routes are compared: preferences first, then hops, then what is limited."""

    keys: tuple[Key, ...]
    limits: tuple[tuple[int, int], ...]  # place of a key in `keys`, and the most of it
    are_sums: bool
    worst: Mapping[Key, int]  # of all edges: what an edge without a claim counts as

    @classmethod
    def of(cls, graph: Graph, policy: Policy) -> Costs:
        """The costs that a policy's preferences and limits need."""
        limits = {Key.HOPS: Unit.HOPS.most}
        limits |= {key: most for kind, key in _LIMITED.items() if (most := policy.limit(kind)) is not None}
        keys = tuple(dict.fromkeys((*policy.preferences, Key.HOPS, *limits)))
        worst = {
            Key.FEE: max((edge.claims.fee or 0 for edge in graph.edges), default=0),
            Key.LATENCY: max((edge.claims.latency_ns or 0 for edge in graph.edges), default=0),
        }
        places = tuple((keys.index(key), most) for key, most in limits.items())
        return cls(keys, places, all(key in _SUMS for key in keys), worst)

    def missing_claim(self, edge: Edge) -> Key | None:
        """A key that is limited, of which an edge claims nothing."""
        known = {Key.FEE: edge.claims.fee, Key.LATENCY: edge.claims.latency_ns, Key.HOPS: 1}
        return next((self.keys[place] for place, _ in self.limits if known[self.keys[place]] is None), None)

    def weights(self, graph: Graph, edge: Edge) -> Cost:
        """What a hop over an edge adds, key by key."""
        chain, claims = graph.chains[graph.number[edge.tracked]], edge.claims
        values = {
            Key.FEE: self.worst[Key.FEE] if claims.fee is None else claims.fee,
            Key.LATENCY: self.worst[Key.LATENCY] if claims.latency_ns is None else claims.latency_ns,
            Key.HOPS: 1,
            Key.NAKAMOTO: -(chain.nakamoto or 0),
            Key.LOAD: WHOLE_PPM if chain.load_ppm is None else chain.load_ppm,
            Key.SUCCESS: claims.success_ppm or 0,
            Key.SPREAD: 0,
        }
        return tuple(values[key] for key in self.keys)

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
