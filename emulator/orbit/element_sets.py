"""One element set of a file: read, or refused with its line and the reason.

Invariant: a reader of any syntax gives its sets in the order of the file, each exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

GEO_REV_DAY = 0.9  # revolutions a day: what lies outside these bounds is no orbit from the ground up to GEO
LOWEST_REV_DAY = 18.0


@dataclass(frozen=True, slots=True)
class ElementSet:
    """A satellite: where it stands in the file, its identity, and its SGP4 record (sgp4.api.Satrec)."""

    line: int
    identity: str  # catalogue number of at least five digits; of an OMM without one the designator: "1998-067A"
    record: Any


@dataclass(frozen=True, slots=True)
class BadSet(Exception):
    """A set, or a line, that cannot be used."""

    line: int
    reason: str


def flies_around_the_earth(mean_motion_rev_day: float) -> bool:
    """Whether a mean motion is that of an orbit between the ground and GEO."""
    return GEO_REV_DAY < mean_motion_rev_day < LOWEST_REV_DAY
