"""Routes that a policy excludes, each with the first clause that it does not satisfy."""

from __future__ import annotations

from nodes.xroute.policy.clauses import LimitKind, Policy
from nodes.xroute.policy.evaluation import first_failing
from nodes.xroute.routes.graph import Chain, Graph
from nodes.xroute.routes.pruned import Pruned
from nodes.xroute.routes.search import Route
from nodes.xroute.routes.several import next_routes


def excluded_routes(
    graph: Graph, policy: Policy, source: Chain, destination: Chain, most: int
) -> list[tuple[Route, int]]:
    """Of the `10 * most` routes that would be best without conditions and limits: those that the policy excludes, with
    the index of the clause, `most` at most."""
    anything = Pruned(graph, Policy(preferences=policy.preferences), source, destination)
    found: list[tuple[Route, int]] = []
    for route in next_routes(anything, 10 * most).routes:
        index = first_failing(policy, route.attributes())
        if index is None:
            index = _limit_exceeded(policy, route)
        if index is not None and len(found) < most:
            found.append((route, index))
    return found


def _limit_exceeded(policy: Policy, route: Route) -> int | None:
    """The clause of a limit of fee or time that a route exceeds by claims, or for which a claim is missing."""
    claims = {
        LimitKind.FEE: [edge.claims.fee for edge in route.edges],
        LimitKind.TIME: [_span_ns(edge.claims.latency_ms) for edge in route.edges],
    }
    for index, limit in enumerate(policy.limits, len(policy.conditions)):
        values = claims.get(limit.kind, [])
        known = [value for value in values if value is not None]
        if len(known) < len(values) or sum(known) > limit.value:
            return index
    return None


def _span_ns(span_ms: int | None) -> int | None:
    return None if span_ms is None else span_ms * 1_000_000
