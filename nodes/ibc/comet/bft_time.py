"""The time of a block, as CometBFT has it ("BFT time"): the weighted median of the votes for the block before.

Invariant: where more than two thirds of a commit's power is honest, the time lies between two honest clocks. Source:
CometBFT 0.38, `types/time/time.go` and `state/state.go` (MedianTime).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nodes.ibc.proto.comet import BlockIDFlag, Commit, Validator

__all__ = ["median_time", "weighted_median"]


def median_time(commit: Commit, validators: Sequence[Validator]) -> int:
    """Median of a commit's timestamps (ns), each with its validator's power. ValueError where nobody voted."""
    return weighted_median(
        (entry.timestamp.ns, validator.voting_power)
        for entry, validator in zip(commit.signatures, validators, strict=True)
        if entry.block_id_flag is not BlockIDFlag.ABSENT
    )


def weighted_median(weighted: Iterable[tuple[int, int]]) -> int:
    """The first of these values, by rising value, up to which half of all weight lies."""
    rising = sorted(weighted)
    left = sum(weight for _, weight in rising) // 2
    for value, weight in rising:
        if left <= weight:
            return value
        left -= weight
    raise ValueError("a median of no values")
