"""Clauses that no route can satisfy together.

Invariant: what is reported is a contradiction whatever the chains are; of what needs knowledge of chains (two names of
one chain, say) nothing is said. A condition on transits counts only where a route may have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nodes.xroute.policy.clauses import Condition, LimitKind, Policy
from nodes.xroute.policy.terms import PROVABLE, Attribute, Comparison, Kind, Scope, Unit
from nodes.xroute.policy.text import show_clause

_IDENTITY_DIGITS = 64


def contradiction(policy: Policy, *, direct_counts: bool = False) -> str | None:
    """The clauses that contradict each other, in words, or None.

    Clauses that leave no transit are one, since nobody writes them on purpose; with `direct_counts` only where the
    policy wants a transit.
    """
    hops = [each for each in policy.conditions if each.attribute is Attribute.HOPS]
    if not _has_number(hops, Unit.HOPS.least, most := policy.limit(LimitKind.HOPS) or Unit.HOPS.most):
        return _words(hops, f"no number of hops up to {most} is left")
    roles = [("source", Scope.SOURCE)]
    if _has_number(hops, 2, most):
        roles.append(("transit", Scope.TRANSIT))
    direct = direct_counts and _has_number(hops, 1, 1)
    for role, scope in roles[:1] if direct else roles:
        bounds = [each for each in policy.conditions if each.scope in (Scope.EACH, scope)]
        if found := _of_one_chain(bounds, role):
            return found
    return _of_some(policy, roles) or _of_ways(policy, hops, most)


def _of_one_chain(bounds: Sequence[Condition], role: str) -> str | None:
    """A contradiction among conditions on one chain and the client that tracks it."""
    for attribute, provable in PROVABLE.items():
        same = [each for each in bounds if each.attribute is attribute]
        if not _has_number(same, provable.unit.least, provable.unit.most):
            return _words(same, f"no {role} can satisfy both" if len(same) == 2 else f"no {role} can satisfy all")
    for kind in (Kind.CLIENT_TYPE, Kind.CHAINS):
        same = [each for each in bounds if each.kind is kind]
        if not _has_name(same):
            return _words(same, f"no {role} is left")
    return None


def _of_some(policy: Policy, roles: Sequence[tuple[str, Scope]]) -> str | None:
    """A condition on some hop that the conditions on each rule out."""
    for some in (each for each in policy.conditions if each.scope is Scope.ANY):
        together = [
            [each for each in policy.conditions if each.scope in (Scope.EACH, scope)] + [some] for _, scope in roles
        ]
        if all(_of_one_chain(bounds, "") for bounds in together):
            others = [each for each in together[-1] if (each.kind, each.attribute) == (some.kind, some.attribute)]
            return _words(others, "no hop can satisfy all")
    return None


def _of_ways(policy: Policy, hops: Sequence[Condition], most: int) -> str | None:
    """Contradictions of `via` and `disjoint` with the chains and hops that are allowed."""
    allowed = [
        each for each in policy.conditions if each.kind is Kind.CHAINS and each.scope in (Scope.EACH, Scope.TRANSIT)
    ]
    disjoint = policy.disjoint
    for via in (each for each in policy.conditions if each.kind in (Kind.VIA_ANY, Kind.VIA_ALL)):
        through_all = via.kind is Kind.VIA_ALL
        least = 1 + (len(via.names) if through_all else 1)
        if through_all and not _same_form(via.names):
            least = 2
        if not _has_number(hops, least, most):
            return f"`{show_clause(via)}` needs {least} hops; expected so many to be allowed"
        fits = [_has_name([*allowed, Condition(Kind.CHAINS, comparison=Comparison.IN, names=(n,))]) for n in via.names]
        if not (all(fits) if through_all else any(fits)):
            return _words([via, *allowed], "no route can satisfy all")
        if disjoint > (1 if through_all else len(via.names)):
            return f"`{show_clause(via)}` and `require disjoint {disjoint}`: routes would share a transit"
    if disjoint > 1 and not _has_number(hops, 2, most):
        return f"`require disjoint {disjoint}`: there is one direct route at most; expected transits to be allowed"
    return None


def _has_number(bounds: Iterable[Condition], least: int, most: int) -> bool:
    """Whether a whole number from `least` to `most` is left."""
    excluded = set()
    for each in bounds:
        if each.comparison in (Comparison.AT_LEAST, Comparison.EQUAL):
            least = max(least, each.value)
        if each.comparison in (Comparison.AT_MOST, Comparison.EQUAL):
            most = min(most, each.value)
        if each.comparison is Comparison.NOT_EQUAL:
            excluded.add(each.value)
    return most - least + 1 > sum(least <= value <= most for value in excluded)


def _has_name(sets: Sequence[Condition]) -> bool:
    """Whether some name is in all sets that it must be in, and in none of the others; names of two forms may be one."""
    inside = [set(each.names) for each in sets if each.comparison is Comparison.IN]
    if not inside or not _same_form(name for each in sets for name in each.names):
        return True
    outside = {name for each in sets if each.comparison is Comparison.NOT_IN for name in each.names}
    return bool(set.intersection(*inside) - outside)


def _same_form(names: Iterable[str]) -> bool:
    """Whether all are names, or all are identities."""
    return len({len(name) == _IDENTITY_DIGITS for name in names}) < 2


def _words(clauses: Sequence[Condition], what: str) -> str:
    return f"{' and '.join(f'`{show_clause(each)}`' for each in clauses)}: {what}"
