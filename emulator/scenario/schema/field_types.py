"""Kinds of values that fields of a scenario share: finite sizes, positive durations, names and globs.

Invariant: a ValueError raised here reads "what was found; expected what is allowed", and the loader splits it there.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated

from pydantic import AfterValidator, Field

from emulator.model.errors import Unfit
from emulator.model.units import UNLIMITED, Duration, Share, show


def finite(value: float) -> float:
    if not isfinite(value):
        raise Unfit(f"{UNLIMITED!r}", "a value with an end, such as '100 ms' for a time or '1 kB' for a size")
    return value


def positive(value: float) -> float:
    if value <= 0:
        raise Unfit(f"{show(value, 'duration')}", "a duration above 0")
    return value


def at_most_all(value: float) -> float:
    if value > 1:
        raise Unfit(f"{show(value, 'share')}", "a share of at most 100 %")
    return value


Time = Annotated[Duration, AfterValidator(finite)]
PositiveDuration = Annotated[Time, AfterValidator(positive)]
Probability = Annotated[Share, AfterValidator(at_most_all)]
Glob = Annotated[str, Field(min_length=1)]
Globs = Annotated[tuple[Glob, ...], Field(min_length=1)]
Command = Annotated[tuple[str, ...], Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
