"""Compares the figures that were predicted before a run with those that it observed.

Invariant: whole numbers, truth values and texts agree or differ; a prediction with a fraction is an expected value, of
which the deviation is shown and nothing judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.record.verdict.judge import MISSING, lookup
from emulator.report import text


@dataclass(frozen=True, slots=True)
class Compared:
    """A predicted figure: both values as text, and what to say of them. `agrees` is None where nothing is judged."""

    name: str
    predicted: str
    observed: str
    remark: str
    agrees: bool | None


def words(prediction: Mapping[str, Any]) -> str:
    """The prediction as one line: "terminates false, cycle 6"."""
    return ", ".join(f"{name} {text.value(value)}" for name, value in prediction.items())


def compare(prediction: Mapping[str, Any], summary: Mapping[str, Any]) -> list[Compared]:
    """Each predicted figure beside the one of the same name in the summary."""
    return [_one(name, value, lookup(summary, name)) for name, value in prediction.items()]


def _one(name: str, predicted: Any, observed: Any) -> Compared:
    said = text.value(predicted)
    if observed is MISSING or observed is None:
        return Compared(name, said, "-", "not observed", None)
    seen = text.value(observed)
    if isinstance(predicted, float) and isinstance(observed, int | float) and not isinstance(observed, bool):
        off = f"{100 * (observed - predicted) / predicted:+.1f} %" if predicted else f"{observed - predicted:+.3g}"
        return Compared(name, said, seen, off, None)
    agrees = observed == predicted and isinstance(observed, bool) == isinstance(predicted, bool)
    return Compared(name, said, seen, "as predicted" if agrees else "differs", agrees)
