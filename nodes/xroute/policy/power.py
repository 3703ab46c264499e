"""How concentrated the voting power of a chain is, exactly, from the powers of its validators."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from emulator.model.errors import Unfit


def nakamoto(powers: Sequence[int]) -> int:
    """The Nakamoto coefficient: the smallest number of validators that have more than a third of the power together.

    So many can halt the chain. Unfit where there is no validator, or a power is not positive.
    """
    total = _total(powers)
    held = accumulate(sorted(powers, reverse=True))
    return next(count for count, power in enumerate(held, 1) if 3 * power > total)


def top1_share_ppm(powers: Sequence[int]) -> int:
    """The strongest validator's share of the power in millionths, rounded up. Unfit as above."""
    return -(-max(powers, default=0) * 1_000_000 // _total(powers))


def _total(powers: Sequence[int]) -> int:
    if not powers:
        raise Unfit("no validator", "one at least")
    if (least := min(powers)) <= 0:
        raise Unfit(f"a validator of power {least}", "positive powers")
    return sum(powers)
