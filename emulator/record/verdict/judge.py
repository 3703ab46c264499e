"""What passes: expectations held against the figures of a run, its lateness against the limit, and the verdict of both.

Invariant: a verdict is "pass" exactly where its exit code is 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from emulator.model.errors import EXIT_PASS
from emulator.record.verdict.exit_codes import exit_code
from emulator.record.verdict.schema import Outcome, Verdict

OPERATORS = ("at_least", "at_most", "equals")
MISSING = object()


def conclude(
    verdict: Verdict, expectations: Iterable[Mapping[str, Any]] = (), error_code: int | None = None
) -> Verdict:
    """Evaluate `expectations`, add them to the outcomes of `verdict`, and set its verdict and exit code. Returns it.

    `error_code`: that of the error which the verdict tells, if it tells one.
    """
    verdict.expectations += evaluate(expectations, verdict.figures())
    verdict.exit_code = exit_code(
        holds=all(outcome.holds for outcome in verdict.expectations),
        late=packets_late(verdict) or rounds_late(verdict) or trunks_lossy(verdict) or clocks_stepped(verdict),
        interrupted=verdict.interrupted,
        broken=bool(verdict.error),
        error_code=error_code,
    )
    verdict.verdict = "pass" if verdict.exit_code == EXIT_PASS else "fail"
    return verdict


def packets_late(verdict: Verdict) -> bool:
    """Whether packets left later than the scenario allows, so that the figures cannot be trusted."""
    p99 = verdict.lateness_ms.get("p99")
    return verdict.lateness_limit_ms is not None and p99 is not None and p99 > verdict.lateness_limit_ms


def rounds_late(verdict: Verdict) -> bool:
    """Whether more messages came in another round than planned than the scenario allows."""
    return bool(verdict.rounds) and verdict.rounds.get("fidelity", 1.0) < verdict.rounds.get("fidelity_at_least", 0.0)


def trunks_lossy(verdict: Verdict) -> bool:
    """Whether trunks between hosts lost more packets than the scenario allows."""
    lost, limit = verdict.trunks.get("lost", 0), verdict.trunk_lost_limit
    return limit is not None and lost > limit * verdict.trunks.get("crossings", 0)


def clocks_stepped(verdict: Verdict) -> bool:
    """Whether the clock of a host was stepped by more than packets may be late: delays across hosts were off by it."""
    stepped_ms = verdict.clock.get("stepped_us", 0.0) * 1e-3
    return verdict.lateness_limit_ms is not None and stepped_ms > verdict.lateness_limit_ms


def evaluate(expectations: Iterable[Mapping[str, Any]], figures: Mapping[str, Any]) -> list[Outcome]:
    """Check each {"figure": path, one of "at_least", "at_most", "equals": bound} against `figures`.

    A bound of None counts as not given. A figure that is missing or not comparable does not hold, with the reason.
    """
    return [_check(expectation, figures) for expectation in expectations]


def _check(expectation: Mapping[str, Any], figures: Mapping[str, Any]) -> Outcome:
    figure = str(expectation["figure"])
    operators = [name for name in OPERATORS if expectation.get(name) is not None]
    if len(operators) != 1:
        raise ValueError(f"expectation on {figure} needs exactly one of {', '.join(OPERATORS)}")
    operator, bound = operators[0], expectation[operators[0]]
    asked = f"{operator.replace('_', ' ')} {bound}"
    observed = lookup(figures, figure)
    if observed is MISSING or observed is None:
        return Outcome(figure, asked, None, False, "there is no such figure in this run")
    holds, why = _compare(operator, observed, bound)
    return Outcome(figure, asked, observed, holds, why)


def _compare(operator: str, observed: Any, bound: Any) -> tuple[bool, str]:
    if operator == "equals":
        number = isinstance(bound, int | float) and not isinstance(bound, bool)
        if number and isinstance(observed, int | float) and not isinstance(observed, bool):
            return math.isclose(observed, bound, rel_tol=1e-9, abs_tol=1e-12), ""
        return type(observed) is type(bound) and observed == bound, ""
    if isinstance(observed, bool) or not isinstance(observed, int | float):
        return False, f"the figure is not a number but {type(observed).__name__}"
    return (observed >= bound if operator == "at_least" else observed <= bound), ""


def lookup(figures: Any, path: str) -> Any:
    """Value at a dotted path, or MISSING. Keys may hold dots themselves; list items are found by their number."""
    if isinstance(figures, list):
        head, _, rest = path.partition(".")
        if not head.isdecimal() or int(head) >= len(figures):
            return MISSING
        return lookup(figures[int(head)], rest) if rest else figures[int(head)]
    if not isinstance(figures, Mapping):
        return MISSING
    if path in figures:
        return figures[path]
    parts = path.split(".")
    for count in range(1, len(parts)):
        key = ".".join(parts[:count])
        if key in figures:
            found = lookup(figures[key], ".".join(parts[count:]))
            if found is not MISSING:
                return found
    return MISSING
