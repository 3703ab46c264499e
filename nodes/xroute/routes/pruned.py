"""The graph that a policy leaves between two chains: which edges serve, as what, and which clause excludes the others.

Invariant: a route complies with the policy if, and only if, it is a walk over arcs that serve in their role, visits no
chain twice, has an allowed number of hops, collects all bits, and keeps to the limits. Needs local data only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nodes.xroute.policy.attributes import HopAttributes
from nodes.xroute.policy.clauses import LimitKind, Policy
from nodes.xroute.policy.evaluation import COMPARED, hop_holds, is_of_hops, is_one_of
from nodes.xroute.policy.terms import MODES, Attribute, Kind, Scope, Unit, word
from nodes.xroute.policy.text import show_clause
from nodes.xroute.routes.costs import Cost, Costs, Shares
from nodes.xroute.routes.graph import Chain, Edge, EdgeKey, Graph, hop_of


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


class Judge:
    """What a policy says of single edges, before there is a route."""

    def __init__(self, graph: Graph, policy: Policy, mode: str = MODES[0]) -> None:
        self._graph = graph
        self.costs = Costs.of(graph, policy)
        self._mode_refused = next(
            (each for each in policy.conditions if each.kind is Kind.MODE and mode not in each.names), None
        )
        of_hops = [each for each in policy.conditions if is_of_hops(each)]
        self._roles = {
            "hop": [each for each in of_hops if each.scope is Scope.EACH or each.kind is Kind.REGISTRY],
            "transit": [each for each in of_hops if each.scope is Scope.TRANSIT],
            "source": [each for each in of_hops if each.scope is Scope.SOURCE],
        }
        self._some = [each for each in policy.conditions if each.scope is Scope.ANY]
        self._ways = list(_ways(policy))
        self.bits = (1 << len(self._some) + len(self._ways)) - 1  # of a route that has satisfied all

    def judged(self, edge: Edge, transit_ok: bool | None) -> tuple[Arc | None, list[Exclusion]]:
        """An edge as an arc, if it serves in some role, and why it does not serve in others."""
        head = self._graph.number[edge.tracked]
        hop = hop_of(edge, self._graph.chains[head], transit_ok)
        reasons = self._reasons(edge, hop)
        exclusions = [Exclusion(edge, role, reason) for role, reason in reasons.items()]
        if "hop" in reasons or {"transit", "source"} <= reasons.keys():
            return None, exclusions
        arc = Arc(
            edge,
            hop,
            head,
            serves_transit="transit" not in reasons,
            serves_source="source" not in reasons,
            bits=sum(hop_holds(each, hop) << place for place, each in enumerate(self._some)),
            transit_bits=sum(is_one_of(hop, each) << place for place, each in enumerate(self._ways, len(self._some))),
            weights=self.costs.weights(self._graph, edge),
        )
        return arc, exclusions

    def _reasons(self, edge: Edge, hop: HopAttributes) -> Mapping[str, str]:
        """What excludes an edge from roles, by role."""
        if self._mode_refused is not None:
            return {"hop": show_clause(self._mode_refused)}
        if not self._graph.is_usable(edge):
            return {"hop": "its client, or that of the other direction, is not active"}
        if (key := self.costs.missing_claim(edge)) is not None:
            return {"hop": f"nobody claims its {word(key)}, which is limited"}
        return {
            role: show_clause(failing)
            for role, conditions in self._roles.items()
            if (failing := next((each for each in conditions if not hop_holds(each, hop)), None))
        }


class Pruned:
    """Arcs by verifying chain, and what else a route needs."""

    def __init__(
        self,
        graph: Graph,
        policy: Policy,
        source: Chain,
        destination: Chain,
        shares: Shares | None = None,
        without: frozenset[EdgeKey] = frozenset(),
        mode: str = MODES[0],
    ) -> None:
        """`shares` are for the key `spread`; `without` names edges that must not be used, by `Edge.key`.

        `names agree` is taken to hold: names were resolved before there was a route to look for.
        """
        judge = Judge(graph, policy, mode)
        self.costs = judge.costs
        self.bits = judge.bits
        self.lengths = lengths(policy)
        self.start = graph.number[destination.identity]
        self.goal = graph.number[source.identity]
        self.shares_ppm = [(shares or {}).get(chain.identity, 0) for chain in graph.chains]
        self.exclusions: list[Exclusion] = []
        self.arcs: list[list[Arc]] = [[] for _ in graph.chains]
        for edge in graph.edges:
            if edge.key in without:
                self.exclusions.append(Exclusion(edge, "hop", "it is to be done without"))
                continue
            rule = graph.chains[graph.number[edge.tracked]].transit
            arc, exclusions = judge.judged(edge, None if rule is None else rule.lets_pass(source, destination))
            self.exclusions += exclusions
            if arc is not None:
                self.arcs[graph.number[edge.verifier]].append(arc)


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
