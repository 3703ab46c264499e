"""Kinds of values that fields of a scenario share: finite sizes, positive durations, names and globs.

Invariant: a ValueError raised here reads "what was found; expected what is allowed", and the loader splits it there.
"""

from __future__ import annotations

import shlex
from math import isfinite
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from emulator.model.errors import Unfit
from emulator.model.units import UNLIMITED, Duration, Share, show
from emulator.scenario import placeholders


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


def _listed(value: Any) -> Any:
    """A single text stands for a list of it."""
    return [value] if isinstance(value, str) else value


def _words(value: Any) -> Any:
    """The words of a command that is written as one text, as a shell splits it; no shell runs it."""
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, str):
        raise Unfit("neither text nor a list", "a text or a list of words")
    try:
        return shlex.split(value)
    except ValueError as error:
        raise Unfit(f"{str(error)[:1].lower()}{str(error)[1:]}", "a command with its quotes closed") from None


_LIST = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
_TEXT_OR_LIST = WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1}, _LIST]})
Time = Annotated[Duration, AfterValidator(finite)]
PositiveDuration = Annotated[Time, AfterValidator(positive)]
Probability = Annotated[Share, AfterValidator(at_most_all)]
Glob = Annotated[str, Field(min_length=1)]
Globs = Annotated[tuple[Glob, ...], Field(min_length=1), BeforeValidator(_listed), _TEXT_OR_LIST]
Template = Annotated[str, AfterValidator(placeholders.check)]
Command = Annotated[tuple[Template, ...], Field(min_length=1), BeforeValidator(_words), _TEXT_OR_LIST]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Names = Annotated[tuple[Name, ...], BeforeValidator(_listed), _TEXT_OR_LIST]
