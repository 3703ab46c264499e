"""The graph that a policy leaves between two chains: which edges serve, as what, and which clause excludes the others.

Invariant: a route complies with the policy if, and only if, it is a walk over arcs that serve in their role, visits no
chain twice, has an allowed number of hops, collects all bits, and keeps to the limits. Needs local data only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nodes.xroute.identity import ChainIdentity
from nodes.xroute.policy.attributes import HopAttributes
from nodes.xroute.policy.clauses import Condition, LimitKind, Policy
from nodes.xroute.policy.evaluation import COMPARED, hop_holds, is_of_hops, is_one_of
from nodes.xroute.policy.terms import MODES, Attribute, Kind, Scope, Unit, word
from nodes.xroute.policy.text import show_clause
from nodes.xroute.routes.costs import Cost, Costs, Shares
from nodes.xroute.routes.graph import Chain, Edge, Graph, hop_of


@dataclass(frozen=True, slots=True)
class Arc:
    """An edge that may be a hop of the route."""

    edge: Edge
    hop: HopAttributes
    head: int  # number of the tracked chain
    serves_transit: bool  # the route may go on from the tracked chain
    serves_source: bool  # the route may end there
    bits: int  # clauses of `any hop` that this hop satisfies
    transit_bits: int  # clauses of `via` that the tracked chain satisfies as a transit
    weights: Cost


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Why an edge does not serve: as any hop, as a hop to a transit, or as the last hop."""

    edge: Edge
    role: str  # "hop", "transit" or "source"
    reason: str  # the clause, in the language, or words


class Pruned:
    """Arcs by verifying chain, and what else a route needs."""

    def __init__(
        self,
        graph: Graph,
        policy: Policy,
        source: Chain,
        destination: Chain,
        shares: Shares | None = None,
        without: frozenset[tuple[ChainIdentity, str]] = frozenset(),
        mode: str = MODES[0],
    ) -> None:
        """`shares` are for the key `spread`; `without` names edges that must not be used, by `Edge.key`.

        `names agree` is taken to hold: names were resolved before there was a route to look for.
        """
        self.graph = graph
        self.policy = policy
        self.costs = Costs.of(graph, policy)
        self.start = graph.number[destination.identity]
        self.goal = graph.number[source.identity]
        shares = shares or {}
        self.shares_ppm = [shares.get(chain.identity, 0) for chain in graph.chains]
        self.lengths = lengths(policy)
        self.mode = mode
        some = [each for each in policy.conditions if each.scope is Scope.ANY]
        via = list(_ways(policy))
        self.bits = (1 << len(some) + len(via)) - 1  # of a route that has satisfied all
        self.exclusions: list[Exclusion] = []
        self.arcs: list[list[Arc]] = [[] for _ in graph.chains]
        judges = _Judges.of(policy)
        for edge in graph.edges:
            if edge.key in without:
                self.exclusions.append(Exclusion(edge, "hop", "it is to be done without"))
                continue
            head = graph.number[edge.tracked]
            chain = graph.chains[head]
            rule = chain.transit
            hop = hop_of(edge, chain, None if rule is None else rule.lets_pass(source, destination))
            reasons = self._reasons(edge, hop, judges)
            self.exclusions += [Exclusion(edge, role, reason) for role, reason in reasons.items()]
            if "hop" not in reasons and not {"transit", "source"} <= reasons.keys():
                bits = sum(hop_holds(each, hop) << place for place, each in enumerate(some))
                transit_bits = sum(is_one_of(hop, each) << place for place, each in enumerate(via, len(some)))
                serves_transit, serves_source = "transit" not in reasons, "source" not in reasons
                weights = self.costs.weights(graph, edge)
                arc = Arc(edge, hop, head, serves_transit, serves_source, bits, transit_bits, weights)
                self.arcs[graph.number[edge.verifier]].append(arc)

    def _reasons(self, edge: Edge, hop: HopAttributes, judges: _Judges) -> Mapping[str, str]:
        """What excludes an edge from roles, by role."""
        for each in self.policy.conditions:
            if each.kind is Kind.MODE and self.mode not in each.names:
                return {"hop": show_clause(each)}
        if not self.graph.is_usable(edge):
            return {"hop": "its client, or that of the other direction, is not active"}
        if (key := self.costs.missing_claim(edge)) is not None:
            return {"hop": f"nobody claims its {word(key)}, which is limited"}
        return {
            role: show_clause(failing)
            for role, judge in (("hop", judges.each), ("transit", judges.transit), ("source", judges.source))
            if (failing := next((each for each in judge if not hop_holds(each, hop)), None))
        }


@dataclass(frozen=True, slots=True)
class _Judges:
    """The conditions that hops can be judged by, by role."""

    each: Sequence[Condition]
    transit: Sequence[Condition]
    source: Sequence[Condition]

    @classmethod
    def of(cls, policy: Policy) -> _Judges:
        of_hops = [each for each in policy.conditions if is_of_hops(each)]
        return cls(
            [each for each in of_hops if each.scope is Scope.EACH or each.kind is Kind.REGISTRY],
            [each for each in of_hops if each.scope is Scope.TRANSIT],
            [each for each in of_hops if each.scope is Scope.SOURCE],
        )


def lengths(policy: Policy) -> frozenset[int]:
    """The numbers of hops that a policy allows."""
    most = policy.limit(LimitKind.HOPS) or Unit.HOPS.most
    asked = [each for each in policy.conditions if each.attribute is Attribute.HOPS]
    return frozenset(
        count for count in range(1, most + 1) if all(COMPARED[each.comparison](count, each.value) for each in asked)
    )


def _ways(policy: Policy) -> Iterator[tuple[str, ...]]:
    """The sets of which a transit must be one: those of `via any`, and each chain of `via all` by itself."""
    for each in policy.conditions:
        if each.kind is Kind.VIA_ANY:
            yield each.names
        elif each.kind is Kind.VIA_ALL:
            yield from ((name,) for name in each.names)
