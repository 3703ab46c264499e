"""Histogram of lateness with buckets of 1/8 octave, from a microsecond to an hour: quantiles within 9 %.

Invariant: merging the histograms of two processes gives the histogram of both, so quantiles can be computed at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import frexp

SUBS = 8  # buckets per octave
SMALLEST_S = 2.0**-20  # smaller values count in the first bucket


class Lateness:
    """Counts of packets by lateness; `pack` returns a map for msgpack and JSON."""

    __slots__ = ("counts", "max_s", "sum_s")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.sum_s = 0.0
        self.max_s = 0.0

    def add(self, late_s: float, count: int = 1) -> None:
        """Record `count` packets that were `late_s` late (0 and less: on time)."""
        if late_s > self.max_s:
            self.max_s = late_s
        if late_s > SMALLEST_S:
            self.sum_s += late_s * count
            mantissa, exponent = frexp(late_s / SMALLEST_S)  # mantissa in [0.5, 1)
            bucket = exponent * SUBS + int((mantissa * 2.0 - 1.0) * SUBS) - SUBS + 1
        else:
            bucket = 0
        counts = self.counts
        counts[bucket] = counts.get(bucket, 0) + count

    def merge(self, other: Lateness) -> None:
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.sum_s += other.sum_s
        self.max_s = max(self.max_s, other.max_s)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def quantile(self, share: float) -> float:
        """Upper bound in seconds of the bucket that holds the quantile `share` (0…1); 0 without any packets."""
        left = share * self.total
        for bucket in sorted(self.counts):
            left -= self.counts[bucket]
            if left <= 0:
                return min(upper_s(bucket), self.max_s)
        return 0.0

    def pack(self) -> dict[str, object]:
        return {"counts": sorted(self.counts.items()), "sum_s": self.sum_s, "max_s": self.max_s}

    @classmethod
    def unpack(cls, packed: Mapping[str, object]) -> Lateness:
        """Inverse of `pack`, also after msgpack or JSON turned its tuples into lists."""
        self = cls()
        pairs: list[tuple[int, int]] = packed["counts"]  # type: ignore[assignment]
        self.counts = {int(bucket): int(count) for bucket, count in pairs}
        self.sum_s = float(packed["sum_s"])  # type: ignore[arg-type]
        self.max_s = float(packed["max_s"])  # type: ignore[arg-type]
        return self


def upper_s(bucket: int) -> float:
    """Largest lateness that falls into a bucket."""
    octave, sub = divmod(bucket, SUBS)
    return SMALLEST_S * 2.0**octave * (1.0 + sub / SUBS)
