"""The policy of a sender and the minimum of a receiver, as one that is as strict as both.

Invariant: a route satisfies `strictest(policy, minimum)` if, and only if, it satisfies both. Preferences, reactions and
the limit of fees are the sender's alone, who pays.
"""

from __future__ import annotations

from nodes.xroute.policy.clauses import Condition, Limit, LimitKind, Policy, canonical
from nodes.xroute.policy.contradictions import contradiction
from nodes.xroute.policy.terms import Contradiction, Kind, word


def strictest(policy: Policy, minimum: Policy) -> Policy:
    """The conjunction. Contradiction where no route can satisfy both. It may have more clauses than a text may."""
    merged = {kind: _merged(kind, policy, minimum) for kind in (Kind.DISJOINT, Kind.MODE, Kind.REGISTRY)}
    others = [each for each in (*policy.conditions, *minimum.conditions) if each.kind not in merged]
    both = canonical(
        (*others, *(each for each in merged.values() if each is not None)),
        _limits(policy, minimum),
        policy.preferences,
        policy.reactions,
    )
    if found := contradiction(both, direct_counts=True):
        raise Contradiction(f"the policy and the receiver's minimum: {found}")
    return both


def _merged(kind: Kind, policy: Policy, minimum: Policy) -> Condition | None:
    """Of a kind that a policy has once: the stricter one. Registries are taken in the receiver's order."""
    found = [each for each in (*minimum.conditions, *policy.conditions) if each.kind is kind]
    if len(found) < 2:
        return found[0] if found else None
    if kind is Kind.DISJOINT:
        return max(found, key=lambda each: each.value)
    names = tuple(name for name in found[0].names if name in found[1].names)
    if not names:
        raise Contradiction(f"the policy and the receiver's minimum have no {word(kind)} in common")
    return Condition(kind, names=names)


def _limits(policy: Policy, minimum: Policy) -> list[Limit]:
    kept: dict[LimitKind, Limit] = {each.kind: each for each in policy.limits}
    for each in minimum.limits:
        if each.kind is not LimitKind.FEE and each.value <= kept.get(each.kind, each).value:
            kept[each.kind] = each
    return list(kept.values())
