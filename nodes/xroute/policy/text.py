"""Policies as text: in the language, which reads back as the same policy, and explained in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from nodes.xroute.policy.clauses import Clause, Condition, Limit, LimitKind, Policy, Reaction
from nodes.xroute.policy.terms import PROVABLE, Action, Attribute, Comparison, Event, Key, Kind, Scope, Unit, word

HEAD = "xroute/1"
SPANS_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
SIGNS = {
    Comparison.AT_LEAST: ">=",
    Comparison.AT_MOST: "<=",
    Comparison.EQUAL: "=",
    Comparison.NOT_EQUAL: "!=",
    Comparison.IN: "in",
    Comparison.NOT_IN: "not in",
}


def show(policy: Policy) -> str:
    """The policy in the language, one clause a line."""
    return "\n".join([HEAD, *map(show_clause, policy.clauses)])


def show_clause(clause: Clause) -> str:
    """One clause in the language."""
    if isinstance(clause, Condition):
        return f"require {_condition(clause)}"
    if isinstance(clause, Limit):
        return f"limit {word(clause.kind)} {_limit(clause)}"
    if isinstance(clause, Reaction):
        return f"on {word(clause.event)} {_action(clause)}"
    return f"prefer {', '.join(map(word, clause))}"


def show_value(value: int, unit: Unit) -> str:
    """A value of a unit, exactly."""
    if unit is Unit.SPAN:
        name, scale = next((name, scale) for name, scale in reversed(SPANS_NS.items()) if value % scale == 0)
        return f"{value // scale}{name}" if value else "0s"
    if unit is Unit.SHARE:
        whole, part = divmod(value, 10_000)
        return f"{whole}.{part:04}".rstrip("0").rstrip(".") + "%"
    return "true" if unit is Unit.YES else str(value)


def _condition(condition: Condition) -> str:
    names = "{" + ", ".join(condition.names) + "}"
    sign = SIGNS[condition.comparison]
    match condition.kind:
        case Kind.ATTRIBUTE:
            value = show_value(condition.value, _unit(condition.attribute))
            return f"{_scope(condition)} {word(condition.attribute)} {sign} {value}"
        case Kind.CLIENT_TYPE:
            return f"{_scope(condition)} client_type {sign} {names}"
        case Kind.CHAINS if (condition.scope, condition.comparison) == (Scope.EACH, Comparison.NOT_IN):
            return f"avoid {names}"
        case Kind.CHAINS:
            return f"{_scope(condition)} {sign} {names}"
        case Kind.VIA_ANY:
            return f"via any {names}"
        case Kind.VIA_ALL:
            return f"via all {names}"
        case Kind.DISJOINT:
            return f"disjoint {condition.value}"
        case Kind.NAMES_AGREE:
            return "names agree"
        case _:
            return f"{word(condition.kind)} {names}"


def _unit(attribute: Attribute) -> Unit:
    return PROVABLE[attribute].unit if attribute in PROVABLE else Unit.AMOUNT


def _scope(condition: Condition) -> str:
    of_chain = condition.kind is Kind.CHAINS or (
        condition.kind is Kind.ATTRIBUTE
        and condition.attribute in PROVABLE
        and not PROVABLE[condition.attribute].of_client
    )
    names = {
        Scope.ROUTE: "route",
        Scope.EACH: "each chain" if of_chain else "each hop",
        Scope.TRANSIT: "each transit",
        Scope.SOURCE: "source",
        Scope.ANY: "any hop",
    }
    return names[condition.scope]


def _limit(limit: Limit) -> str:
    return show_value(limit.value, Unit.SPAN) if limit.kind is LimitKind.TIME else f"{limit.value}{limit.denom}"


def _action(reaction: Reaction) -> str:
    if reaction.action is Action.HOLD:
        return f"hold {show_value(reaction.value, Unit.SPAN)}"
    return f"relax {reaction.value}" if reaction.action is Action.RELAX else word(reaction.action)


WHAT = {
    Attribute.NAKAMOTO: "the smallest number of validators with more than a third of the power",
    Attribute.VALIDATORS: "the number of validators",
    Attribute.TOP1_SHARE: "the strongest validator's share of the power",
    Attribute.TRUST_LEVEL: "the share of trusted power that its client asks for",
    Attribute.TRUSTING_LEFT: "the time for which its client's state is still trusted",
    Attribute.FRESHNESS: "the age of its client's state",
    Attribute.DELAY: "the time that its connection makes a proof wait",
    Attribute.FINALITY: "the time that it takes to make a block final",
    Attribute.STAKE_VALUE: "the stake by the registry",
    Attribute.MISBEHAVIOUR_AGE: "the time since the last misbehaviour on record",
    Attribute.ATTEST_M: "the number of its client's attestors that must sign",
    Attribute.ATTEST_N: "the number of its client's attestors",
}
ARE = {
    Comparison.AT_LEAST: "at least",
    Comparison.AT_MOST: "at most",
    Comparison.EQUAL: "exactly",
    Comparison.NOT_EQUAL: "anything but",
}
WHO = {
    Scope.EACH: "every chain of the route but the destination",
    Scope.TRANSIT: "every chain between source and destination",
    Scope.SOURCE: "the source",
    Scope.ANY: "at least one chain of the route",
}
LIMITS = {
    LimitKind.HOPS: "a route has at most {} hops (the destination checks it)",
    LimitKind.FEE: "a route costs at most {}, by the relayers' claims",
    LimitKind.TIME: "a route takes at most {}, by the relayers' claims",
    LimitKind.RETRIES: "at most {} other routes are tried",
    LimitKind.BYTES: "a proof has at most {} bytes (the destination checks it)",
}
KEYS = {
    Key.FEE: "the lowest fee",
    Key.LATENCY: "the shortest time",
    Key.HOPS: "the fewest hops",
    Key.NAKAMOTO: "the greatest Nakamoto coefficient of the weakest chain",
    Key.LOAD: "the least loaded busiest chain",
    Key.SUCCESS: "the greatest share of deliveries that succeed",
    Key.SPREAD: "transits that have carried the least of late",
}
EVENTS = {
    Event.EXPIRED: "a client of the route expires",
    Event.FROZEN: "a client of the route freezes",
    Event.HALTED: "a chain of the route makes no blocks",
    Event.REJECTED: "the destination refuses the route",
    Event.TIMEOUT: "the message times out",
}


def explain(policy: Policy) -> Iterator[str]:
    """A sentence for each clause, in canonical order."""
    for clause in policy.clauses:
        if isinstance(clause, Condition):
            yield _explained(clause)
        elif isinstance(clause, Limit):
            yield LIMITS[clause.kind].format(_limit(clause))
        elif isinstance(clause, Reaction):
            done = {
                Action.REROUTE: "the next route is tried",
                Action.REFUND: "the sender gets its funds back",
                Action.HOLD: f"the message is held for {show_value(clause.value, Unit.SPAN)}",
                Action.RELAX: f"limits of fee and time grow by {clause.value} %",
            }
            yield f"when {EVENTS[clause.event]}, {done[clause.action]}"
        else:
            yield f"of the routes that remain, {', then '.join(KEYS[key] for key in clause)}, by the relayers' claims"


def _explained(condition: Condition) -> str:
    some, negated = ", ".join(condition.names), condition.comparison is Comparison.NOT_IN
    match condition.kind:
        case Kind.ATTRIBUTE if condition.attribute is Attribute.HOPS:
            return f"a route has {ARE[condition.comparison]} {condition.value} hops"
        case Kind.ATTRIBUTE if condition.attribute is Attribute.TRANSIT_OK:
            return "every transit's own policy lets the route pass"
        case Kind.ATTRIBUTE:
            value = show_value(condition.value, PROVABLE[condition.attribute].unit)
            return f"for {WHO[condition.scope]}: {WHAT[condition.attribute]} is {ARE[condition.comparison]} {value}"
        case Kind.CLIENT_TYPE:
            return f"for {WHO[condition.scope]}: the type of its client is {'none' if negated else 'one'} of: {some}"
        case Kind.CHAINS:
            return f"{WHO[condition.scope]} is {'none' if negated else 'one'} of: {some}"
        case Kind.VIA_ANY:
            return f"the route passes through one of: {some}"
        case Kind.VIA_ALL:
            return f"the route passes through all of: {some}"
        case Kind.DISJOINT:
            return f"the message arrives by {condition.value} routes that share no transit"
        case Kind.MODE:
            return f"the mode of delivery is one of: {some}"
        case Kind.REGISTRY:
            return f"names are those of the first of these registries that answers: {some}"
        case _:
            return "the registries that the policy lists agree on every name"
