"""Units: text such as "12 ms", "50 Mbit/s", "550 km" to SI floats, and the annotated types that configs use.

Invariant: a bare number is never accepted where a unit is expected. No third-party import, so that a node
program may use these types in its config without loading pydantic.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from emulator.model.errors import Unfit

_NUMBER = re.compile(r"^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S.*?)?\s*$")

SCALES: dict[str, dict[str, float]] = {
    "duration": {
        "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0,
    },
    "rate": {"bit/s": 1.0, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9, "Tbit/s": 1e12},
    "length": {"m": 1.0, "km": 1e3},
    "size": {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1024.0, "MiB": 1048576.0, "GiB": 1073741824.0},
    "share": {"%": 1e-2},
    "queue": {  # a queue bound is bytes, packets or time; kept as text and split by `parse_queue`
        "B": 1.0, "kB": 1e3, "MB": 1e6, "KiB": 1024.0, "MiB": 1048576.0, "packets": 1.0, "ms": 1e-3, "s": 1.0,
    },
}  # fmt: skip
EXAMPLES = {
    "duration": "12 ms", "rate": "50 Mbit/s", "length": "550 km", "size": "64 KiB", "share": "0.5 %",
    "queue": "100 ms",
}  # fmt: skip
TARGETS = {"duration": "s", "rate": "bit/s", "length": "m", "size": "B", "share": "1", "queue": ""}
UNLIMITED = "unlimited"
MAY_BE_UNLIMITED = {"rate", "size", "duration"}


def split(text: str) -> tuple[float, str]:
    """Number and unit of a text such as "12 ms"; raises ValueError where there is no number."""
    match = _NUMBER.match(text)
    if not match:
        raise ValueError(f"{text!r} is not a number with a unit")
    return float(match[1]), match[2] or ""


def parse(text: object, kind: str) -> float:
    """Value of `text` in the SI unit of `kind`, a key of SCALES. ValueError says what was expected."""
    expected = f"a {kind} such as {EXAMPLES[kind]!r} (units: {', '.join(SCALES[kind])})"
    if not isinstance(text, str):
        raise Unfit("a number without a unit", expected)
    if text.strip() == UNLIMITED and kind in MAY_BE_UNLIMITED:
        return math.inf
    try:
        value, unit = split(text)
    except ValueError as error:
        raise Unfit(str(error), expected) from None
    if unit not in SCALES[kind]:
        missing = "a number without a unit" if not unit else f"unknown unit {unit!r}"
        raise Unfit(missing, expected)
    result = value * SCALES[kind][unit]
    if not math.isfinite(result):
        raise Unfit(f"{text!r} is not finite", expected)
    if result < 0:
        raise Unfit(f"{text!r} is negative", expected)
    return result


def show(value: float, kind: str) -> str:
    """Text that `parse` reads back as the same float: the largest decimal unit that keeps the number at 1 or more."""
    if value == math.inf:
        return UNLIMITED
    if value == 0:
        return f"0 {TARGETS[kind]}" if kind != "share" else "0 %"
    scales = sorted(SCALES[kind].items(), key=lambda item: item[1])
    unit, scale = scales[0]
    for name, factor in scales:
        if value >= factor and name not in ("µs", "KiB", "MiB", "GiB", "min", "h", "d"):
            unit, scale = name, factor
    number = value / scale
    candidates = [(f"{number:.12g}", unit)]  # short where that is exact, then all digits, then those of a neighbour
    if TARGETS[kind] in SCALES[kind]:
        candidates.append((repr(value), TARGETS[kind]))
    near = (number, math.nextafter(number, 0.0), math.nextafter(number, math.inf))
    candidates += [(repr(each), unit) for each in near]
    exact = (pair for pair in candidates if float(pair[0]) * SCALES[kind][pair[1]] == value)
    return " ".join(next(exact, candidates[0]))


@dataclass(frozen=True, slots=True)
class Unit:
    """Marks a float field as "text with a unit of this kind"; pydantic reads the hook, nodes ignore it."""

    kind: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        kind = self.kind

        def validate(value: object) -> float:
            return parse(value, kind)

        def write(value: float) -> str | None:
            if math.isfinite(value) or (value == math.inf and kind in MAY_BE_UNLIMITED):
                return show(value, kind)
            return None  # there is no text for it: an absent key

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(write),
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        units = "|".join(re.escape(unit) for unit in SCALES[self.kind])
        unlimited = f"|^{UNLIMITED}$" if self.kind in MAY_BE_UNLIMITED else ""
        return {
            "type": "string",
            "pattern": rf"^\s*[0-9.eE+-]+\s*({units})\s*${unlimited}",
            "examples": [EXAMPLES[self.kind]],
            "description": f"a {self.kind} with its unit",
        }


Duration = Annotated[float, Unit("duration")]  # seconds
Rate = Annotated[float, Unit("rate")]  # bit/s
Length = Annotated[float, Unit("length")]  # metres
Size = Annotated[float, Unit("size")]  # bytes
Share = Annotated[float, Unit("share")]  # 0…1, written in percent
