"""The table of a sweep: a row a combination, with the mean and its standard error of each chief figure.

Invariant: runs whose figures cannot be trusted (late, broken) are in no mean, and how many there are stands in the row.
"""

from __future__ import annotations

from emulator.model.errors import EXIT_PASS
from emulator.model.printable import aligned
from emulator.record.sweep import TRUSTED, Sweep, mean_and_error
from emulator.report import text

MOST_FIGURES = 6  # beside the swept keys, of the summary's own figures (not those below them)


def combination_table(sweep: Sweep) -> str:
    """The table of a sweep as plain text."""
    header, rows = combination_rows(sweep, MOST_FIGURES)
    if not rows:
        return "no run was played to its end\n"
    more = len(_chief(sweep)) - MOST_FIGURES
    said = f"{more} more figures are in sweep.csv\n" if more > 0 else ""
    return aligned(header, rows) + said


def combination_rows(sweep: Sweep, most: int | None = None) -> tuple[list[str], list[list[str]]]:
    """Header and cells: swept keys, runs, how many passed, how many do not count, chief figures as "4.1 ± 0.2"."""
    figures = _chief(sweep)[:most]
    uncounted = any(row.get("exit_code") not in TRUSTED for row in sweep.rows)
    header = [*sweep.over, "runs", "pass", *(["not counted"] if uncounted else []), *figures]
    lines = []
    for chosen, rows in sweep.combinations():
        passed = sum(row.get("exit_code") == EXIT_PASS for row in rows)
        out = sum(row.get("exit_code") not in TRUSTED for row in rows)
        line = [str(value) for value in chosen.values()]
        line += [str(len(rows)), f"{100 * passed / len(rows):.0f} %", *([str(out)] if uncounted else [])]
        lines.append(line + [_mean(mean_and_error(rows, name)) for name in figures])
    return header, lines


def _chief(sweep: Sweep) -> list[str]:
    """Figures at the top of the summary that are numbers or truth values somewhere."""
    return [
        name
        for name in sweep.figures()
        if "." not in name and any(isinstance(row.get(name), int | float) for row in sweep.rows)
    ]


def _mean(found: tuple[float, float | None] | None) -> str:
    if found is None:
        return "-"
    mean, error = found
    return text.value(mean) if error is None else f"{text.value(mean)} ± {text.number(error, 2)}"
