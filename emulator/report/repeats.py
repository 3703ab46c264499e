"""The table of a scenario that was run again and again with other seeds: mean and 95 % confidence interval of figures.

Invariant: runs whose figures cannot be trusted (late, broken) are in no mean, and a figure says of how many runs it is.
"""

from __future__ import annotations

from emulator.model.printable import aligned
from emulator.record.sweep import Sweep, estimate
from emulator.report import text

HEADER = ["figure", "runs", "mean", "95 %", "least", "most"]


def repeat_rows(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    """Header and cells: a row for each figure that is a number or a truth value (then its share) in some run."""
    rows = []
    for name in sweep.figures():
        found = estimate(sweep.rows, name)
        if found is not None:
            half_width = "-" if found.half_width is None else f"± {text.number(found.half_width, 2)}"
            ends = (text.value(found.least), text.value(found.most))
            rows.append([name, str(found.runs), text.value(found.mean), half_width, *ends])
    return list(HEADER), rows


def repeat_table(sweep: Sweep) -> str:
    """The same as plain text."""
    header, rows = repeat_rows(sweep)
    return aligned(header, rows) if rows else "no run has figures that can be trusted\n"
