"""Markdown of runs for a page such as GitHub's step summary: verdict, expectations, headline figures, warnings.

Invariant: what a scenario or a program says stays text: it ends no table, opens no HTML and no link.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from emulator.model.printable import one_line, printable
from emulator.record.sweep import Sweep, scalars
from emulator.record.verdict import Verdict
from emulator.report import text
from emulator.report.ci.ended import EndedRun
from emulator.report.repeats import repeat_rows
from emulator.report.summary import MEANING, is_block, meaning

MOST_FIGURES = 40  # of a run; verdict.json has them all
MOST_PROGRAMS = 5
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&@])")


def markdown(runs: Sequence[EndedRun], repeated: Sweep | None = None) -> str:
    """The page. `repeated`: the table of runs that differ in their seeds alone, shown before them."""
    parts = []
    if repeated is not None:
        passed = sum(run.passed for run in runs)
        header, rows = repeat_rows(repeated)
        parts.append(f"## {_escaped(repeated.scenario)}: {passed} of {len(runs)} runs passed\n")
        parts.append(_table(header, rows))
    parts += [_run(run) for run in runs]
    return "\n".join(parts)


def _run(run: EndedRun) -> str:
    sign, word = ("✅", "PASS") if run.passed else ("❌", "FAIL")
    seed = "" if run.seed is None else f", seed {run.seed}"
    parts = [f"### {sign} {word} {_escaped(run.scenario)}{seed}\n"]
    outcome_text = meaning(run.verdict) if run.verdict else MEANING.get(run.exit_code, "")
    played = f"{text.duration(run.verdict.duration_s)} played in " if run.verdict and run.verdict.duration_s else ""
    facts = [outcome_text, f"{played}{text.duration(run.wall_s)}", f"exit {run.exit_code}"]
    parts.append("; ".join(_escaped(each) for each in facts if each) + "\n")
    if run.error:
        parts.append(_code(run.error.splitlines()))
    if run.verdict:
        parts += _of_verdict(run.verdict)
    if run.folder is not None:
        parts.append(f"run folder {_escaped(str(run.folder))}\n")
    return "\n".join(parts)


def _of_verdict(verdict: Verdict) -> list[str]:
    parts = []
    if verdict.expectations:
        rows = [
            [
                "✅" if outcome.holds else "❌",
                outcome.figure,
                outcome.asked,
                "-" if outcome.observed is None else text.value(outcome.observed),
                outcome.reason,
            ]
            for outcome in verdict.expectations
        ]
        parts.append(_table(["", "expectation", "asked", "observed", "reason"], rows))
    single = {name: value for name, value in verdict.summary.items() if not is_block(value)}
    figures = [[name, text.value(value)] for name, value in scalars(single).items()]
    figures += [
        [f"lateness_ms.{name}", text.milliseconds(value)] for name, value in scalars(verdict.lateness_ms).items()
    ]
    if figures:
        parts.append(_table(["figure", "value"], figures[:MOST_FIGURES]))
    if len(figures) > MOST_FIGURES:
        parts.append(f"{len(figures) - MOST_FIGURES} more figures are in verdict.json\n")
    for row in verdict.programs[:MOST_PROGRAMS]:
        heading = f"Last lines of {row.get('program')} on {row.get('node')} ({row.get('reason', '')})"
        parts.append(f"{_escaped(heading)}\n\n{_code(row.get('last_lines') or ['(it printed nothing)'])}")
    if verdict.warnings:
        parts.append("".join(f"- ⚠️ {_escaped(warning)}\n" for warning in verdict.warnings))
    return parts


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header)]
    shown = [f"| {' | '.join(line)} |\n" for line in lines]
    return "".join(shown) + "".join(f"| {' | '.join(map(_escaped, row))} |\n" for row in rows)


def _escaped(words: str) -> str:
    """The words on one line, as Markdown that shows just them."""
    return _SPECIAL.sub(r"\\\1", one_line(words))


def _code(lines: Sequence[str]) -> str:
    """A block of code; its fence is longer than any in it."""
    shown = printable("\n".join(lines))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence}\n{shown}\n{fence}\n"
