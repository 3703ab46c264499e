"""The verdict of a run: what was asked, what was observed, and the exit code that follows. verdict.json is stable.

Invariant: `verdict` is "pass" exactly where `exit_code` is 0. Fields are described in docs/run-folder.md; they may be
added to within a schema version, never renamed or removed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from emulator.model.errors import EXIT_FAIL, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_LATE, EXIT_PASS
from emulator.model.inputs import check_kinds, parse_json
from emulator.record.spool import plain

SCHEMA_VERSION = 1
OPERATORS = ("at_least", "at_most", "equals")
MISSING = object()
LATE_CAUSES = ("engine", "scheduler", "capture")  # keys of `lateness_budget`


@dataclass(frozen=True, slots=True)
class Outcome:
    """One expectation: the figure, what was asked of it, what it was, and why it does not hold where it does not."""

    figure: str  # dotted path into verdict.json, or what the runtime checked ("program probe on gs-tokyo")
    asked: str  # "at least 3"
    observed: Any
    holds: bool
    reason: str = ""


@dataclass(slots=True)
class Verdict:
    """The content of verdict.json. Times in milliseconds where the name says so."""

    scenario: str
    seed: int
    run_id: str = ""
    duration_s: float = 0.0  # scenario time that was played
    expectations: list[Outcome] = field(default_factory=list)
    lateness_ms: dict[str, float] = field(default_factory=dict)  # p50, p99, max
    lateness_limit_ms: float | None = None  # p99 past which the run cannot be trusted
    lateness_budget: dict[str, Any] = field(default_factory=dict)  # what made packets late, see docs/run-folder.md
    probe_error_ms: dict[str, float] = field(default_factory=dict)  # p50, p99 over all probes
    probe_loss: dict[str, Any] = field(default_factory=dict)  # of probes that met no busy link: share, lost, judged
    drops: dict[str, int] = field(default_factory=dict)  # by cause
    probes: list[dict[str, Any]] = field(default_factory=list)  # per pair, see docs/run-folder.md
    flows: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)  # the scenario's headline figures by name
    prediction: dict[str, Any] = field(default_factory=dict)  # figures known before the run, named as in `summary`
    rounds: dict[str, Any] = field(default_factory=dict)  # where programs played rounds, see docs/run-folder.md
    capture: dict[str, Any] = field(default_factory=dict)  # files, packets, bytes, missed, ended; empty for no capture
    interrupted: bool = False
    error: str = ""  # what broke, where the emulation itself failed
    verdict: str = "fail"
    exit_code: int = EXIT_INTERNAL

    @property
    def late(self) -> bool:
        """Whether the figures cannot be trusted because something came too late."""
        return self.late_packets or self.late_rounds

    @property
    def late_rounds(self) -> bool:
        """Whether more messages came in another round than planned than the scenario allows."""
        return bool(self.rounds) and self.rounds["fidelity"] < self.rounds.get("fidelity_at_least", 0.0)

    @property
    def late_packets(self) -> bool:
        """Whether packets left later than the scenario allows."""
        p99 = self.lateness_ms.get("p99")
        return self.lateness_limit_ms is not None and p99 is not None and p99 > self.lateness_limit_ms

    def figures(self) -> dict[str, Any]:
        """The verdict as plain values: what expectations look into and what verdict.json holds."""
        document = {"schema_version": SCHEMA_VERSION, "verdict": self.verdict, "exit_code": self.exit_code}
        for name, value in asdict(self).items():
            document.setdefault(name, value)
        values: dict[str, Any] = plain(document)
        return values

    def conclude(self, expectations: Iterable[Mapping[str, Any]] = ()) -> Verdict:
        """Evaluate `expectations`, add them to those already there, and set verdict and exit code. Returns itself."""
        self.expectations += evaluate(expectations, self.figures())
        self.exit_code = exit_code(
            holds=all(outcome.holds for outcome in self.expectations),
            late=self.late,
            interrupted=self.interrupted,
            broken=bool(self.error),
        )
        self.verdict = "pass" if self.exit_code == EXIT_PASS else "fail"
        return self

    def to_json(self) -> str:
        return json.dumps(self.figures(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Read verdict.json; fields of later minor versions are left out. ValueError where it is not one."""
        try:
            document = parse_json(text)
        except ValueError as error:
            raise ValueError(f"not a verdict: {error}") from None
        if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"not a verdict of schema version {SCHEMA_VERSION}")
        known = {name: value for name, value in document.items() if name in cls.__dataclass_fields__}
        check_kinds(known, _KINDS)
        try:
            known["expectations"] = [Outcome(**outcome) for outcome in known.get("expectations", [])]
            return cls(**known)
        except TypeError as error:
            raise ValueError(f"not a verdict: {error}") from None


_NUMBERS = {"": 0.0}
_KINDS = {  # of values in verdict.json
    "scenario": "", "seed": 0, "run_id": "", "duration_s": 0.0, "expectations": [{}], "lateness_ms": _NUMBERS,
    "lateness_limit_ms": 0.0, "lateness_budget": _NUMBERS, "probe_error_ms": _NUMBERS, "probe_loss": {},
    "drops": _NUMBERS, "probes": [{}], "flows": [{}], "warnings": [""], "summary": {}, "prediction": {}, "rounds": {},
    "capture": {}, "interrupted": False, "error": "", "verdict": "", "exit_code": 0,
}  # fmt: skip


def exit_code(*, holds: bool, late: bool, interrupted: bool, broken: bool) -> int:
    """How the run ends. What makes the other findings worthless comes first: a broken run says nothing about its
    expectations, an interrupted one did not play to its end, a late one cannot be trusted to pass or to fail."""
    if broken:
        return EXIT_INTERNAL
    if interrupted:
        return EXIT_INTERRUPTED
    if late:
        return EXIT_LATE
    return EXIT_PASS if holds else EXIT_FAIL


def evaluate(expectations: Iterable[Mapping[str, Any]], figures: Mapping[str, Any]) -> list[Outcome]:
    """Check each {"figure": path, one of "at_least", "at_most", "equals": bound} against `figures`.

    A bound of None counts as not given. A figure that is missing or not comparable does not hold, with the reason.
    """
    return [_check(expectation, figures) for expectation in expectations]


def _check(expectation: Mapping[str, Any], figures: Mapping[str, Any]) -> Outcome:
    figure = str(expectation["figure"])
    given = [name for name in OPERATORS if expectation.get(name) is not None]
    if len(given) != 1:
        raise ValueError(f"expectation on {figure} needs exactly one of {', '.join(OPERATORS)}")
    operator, bound = given[0], expectation[given[0]]
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
