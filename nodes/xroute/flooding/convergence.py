"""How fast news gets around: from how old each advertisement was when it came to each relayer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from math import ceil, inf

__all__ = ["convergence_s"]


def convergence_s(ages: Iterable[tuple[str, float]], relayers: int, share: float = 0.95) -> dict[str, float]:
    """For each advertisement how old it was, in seconds, when that share of the other relayers had it; inf: never.

    `ages` are pairs of advertisement and age, one for each relayer that has learnt of it: what events `learnt` have.
    """
    of: dict[str, list[float]] = defaultdict(list)
    for advertisement, age_s in ages:
        of[advertisement].append(age_s)
    enough = ceil(share * (relayers - 1))
    return {each: sorted(found)[enough - 1] if len(found) >= enough else inf for each, found in of.items()}
