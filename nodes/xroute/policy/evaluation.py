"""Judging a route by a policy, from what is proved of it.

Invariant: total and the same on every machine: integers only, no clock. What is not proven satisfies nothing. That each
client is active is asked of every route, whatever its policy says, by whoever verifies it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable

from nodes.xroute.policy.attributes import HopAttributes, RouteAttributes
from nodes.xroute.policy.clauses import Condition, LimitKind, Policy
from nodes.xroute.policy.terms import PROVABLE, Attribute, Comparison, Kind, Scope

COMPARED: dict[Comparison, Callable[[int, int], bool]] = {
    Comparison.AT_LEAST: operator.ge,
    Comparison.AT_MOST: operator.le,
    Comparison.EQUAL: operator.eq,
    Comparison.NOT_EQUAL: operator.ne,
}


def first_failing(policy: Policy, route: RouteAttributes) -> int | None:
    """The index in `policy.clauses` of the first clause that a route does not satisfy, or None.

    `require disjoint` speaks of several routes, and `limit bytes` of the proof: their verifier holds those two.
    """
    for index, condition in enumerate(policy.conditions):
        if not holds(condition, route):
            return index
    most = policy.limit(LimitKind.HOPS)
    if most is not None and len(route.hops) > most:
        return next(
            index for index, limit in enumerate(policy.limits, len(policy.conditions)) if limit.kind is LimitKind.HOPS
        )
    return None


def holds(condition: Condition, route: RouteAttributes) -> bool:
    """Whether a route satisfies one condition."""
    transits = route.hops[:-1]
    match condition.kind:
        case Kind.VIA_ANY:
            return any(is_one_of(hop, condition.names) for hop in transits)
        case Kind.VIA_ALL:
            return all(any(is_one_of(hop, (name,)) for hop in transits) for name in condition.names)
        case Kind.DISJOINT:
            return True
        case Kind.MODE:
            return route.mode in condition.names
        case Kind.REGISTRY:
            return all(hop_holds(condition, hop) for hop in route.hops)
        case Kind.NAMES_AGREE:
            return route.names_agree is True
    match condition.scope:
        case Scope.ROUTE:
            return COMPARED[condition.comparison](len(route.hops), condition.value)
        case Scope.ANY:
            return any(hop_holds(condition, hop) for hop in route.hops)
        case Scope.TRANSIT:
            return all(hop_holds(condition, hop) for hop in transits)
        case Scope.SOURCE:
            return all(hop_holds(condition, hop) for hop in route.hops[-1:])
        case Scope.EACH:
            return all(hop_holds(condition, hop) for hop in route.hops)


def hop_holds(condition: Condition, hop: HopAttributes) -> bool:
    """Whether one hop satisfies a condition on hops: one of which `is_of_hops` is true."""
    if condition.kind is Kind.REGISTRY:
        return hop.registry in condition.names
    if condition.kind is Kind.CHAINS:
        named = is_one_of(hop, condition.names)
        return named if condition.comparison is Comparison.IN else not named and _name_is_known(hop, condition.names)
    if condition.kind is Kind.CLIENT_TYPE:
        known = hop.client_type
        return known is not None and (known in condition.names) is (condition.comparison is Comparison.IN)
    value = getattr(hop, PROVABLE[condition.attribute].field)
    return value is not None and COMPARED[condition.comparison](value, condition.value)


def is_one_of(hop: HopAttributes, names: Iterable[str]) -> bool:
    """Whether a hop's chain is in a set, by its name or its identity in hex."""
    return any(name in (hop.name, hop.identity.hex()) for name in names)


def _name_is_known(hop: HopAttributes, names: Iterable[str]) -> bool:
    """Whether it is sure that a chain is not in a set: where its name is not proven, only for a set of identities."""
    return hop.name is not None or all(len(name) == 2 * len(hop.identity) for name in names)


def is_of_hops(condition: Condition) -> bool:
    """Whether a condition speaks of hops one by one, so that hops can be judged before there is a route."""
    return condition.attribute is not Attribute.HOPS and condition.kind in (
        Kind.ATTRIBUTE,
        Kind.CLIENT_TYPE,
        Kind.CHAINS,
        Kind.REGISTRY,
    )
