"""Policies read word by word, apart from the product: whether a route satisfies a clause of a policy's text.

Invariant: of the product only the plain values of a hop are used. What relayers claim comes beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from fractions import Fraction
from operator import eq, ge, gt, le, lt, ne

from nodes.xroute.policy.attributes import HopAttributes

SIGNS: dict[str, Callable[[int, int], bool]] = {">=": ge, "<=": le, "=": eq, "!=": ne, ">": gt, "<": lt}
FIELDS = {
    "nakamoto": ("nakamoto", ""), "validators": ("validators", ""), "top1_share": ("top1_share_ppm", "%"),
    "trust_level": ("trust_level_ppm", "%"), "freshness": ("freshness_ns", "s"),
    "trusting_left": ("trusting_left_ns", "s"), "delay": ("delay_ns", "s"),
}  # fmt: skip
SCALES = {"": 1, "%": 10**4, "ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9}


def words_of(clause: str) -> list[str]:
    """A clause without its signs of sets, and without `require`, which may be left out."""
    return clause.replace("{", " ").replace("}", " ").replace(",", " ").removeprefix("require ").split()


def complies(clause: str, hops: Sequence[HopAttributes], claims: Sequence[tuple[int | None, int | None]]) -> bool:
    """Whether a route satisfies one clause; `claims` are fee and milliseconds of each hop. Chains go by name or hex."""
    words = words_of(clause)
    match words[0]:
        case "prefer":
            return True
        case "limit":
            number = int("".join(filter(str.isdigit, words[2])))
            if words[1] == "hops":
                return len(hops) <= number
            values = [fee if words[1] == "fee" else ms for fee, ms in claims]
            return None not in values and sum(v or 0 for v in values) <= number * (1 if words[1] == "fee" else 1000)
        case "via":
            passed = [any(_is_in(hop, (each,)) for hop in hops[:-1]) for each in words[2:]]
            return any(passed) if words[1] == "any" else all(passed)
        case "avoid":
            return not any(_is_in(hop, words[1:]) for hop in hops)
        case "route":
            return SIGNS[words[2]](len(hops), int(words[3]))
    scope = "source" if words[0] == "source" else " ".join(words[:2])
    rest = words[1:] if scope == "source" else words[2:]
    judged = {"each transit": hops[:-1], "source": hops[-1:]}.get(scope, hops)
    return (any if scope == "any hop" else all)(_holds(rest, hop) for hop in judged)


def _is_in(hop: HopAttributes, names: Collection[str]) -> bool:
    return hop.name in names or hop.identity.hex() in names


def _holds(words: Sequence[str], hop: HopAttributes) -> bool:
    match words:
        case ["client_type", "in", *types]:
            return hop.client_type in types
        case ["client_type", "not", "in", *types]:
            return hop.client_type not in types
        case ["in", *names]:
            return _is_in(hop, names)
        case ["not", "in", *names]:
            return not _is_in(hop, names)
        case ["transit_ok", "=", "true"]:
            return hop.transit_ok is True
    found = getattr(hop, FIELDS[words[0]][0])
    number = words[2].rstrip("%nusmi")
    wanted = int(Fraction(number) * SCALES[words[2].removeprefix(number)])
    return found is not None and SIGNS[words[1]](found, wanted)
