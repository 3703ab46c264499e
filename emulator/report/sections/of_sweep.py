"""The page of a sweep: means over the runs of each combination, drawings, every run.

Invariant: every run of the sweep stands in its table, those that do not count too.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.model.errors import EXIT_PASS
from emulator.record.sweep import TRUSTED, Sweep
from emulator.report import page, text
from emulator.report.page import Cell, Row
from emulator.report.sweep_table import combination_rows


def sweep_page(sweep: Sweep, drawn: Sequence[str], warnings: Sequence[str]) -> str:
    """The document."""
    passed = sum(row.get("exit_code") == EXIT_PASS for row in sweep.rows)
    kind = "good" if sweep.complete and passed == len(sweep.rows) else "bad"
    said = "" if sweep.complete else ", ended before its time"
    parts = [
        page.heading(f"Sweep of {sweep.scenario}", 1),
        page.paragraph(f"{passed} of {len(sweep.rows)} runs passed{said}", kind),
        page.paragraph(f"over {', '.join(sweep.over) or 'seeds'}; {sweep.seeds} seeds a combination", "dim"),
        page.heading("Means"),
        page.paragraph("Mean ± standard error; late and broken runs are not counted.", "dim"),
        page.table(*combination_rows(sweep), "means"),
    ]
    parts += drawn
    if warnings:
        parts += [page.heading("Warnings"), *(page.paragraph(warning, "warn") for warning in warnings)]
    keys = list(dict.fromkeys([*sweep.over, "seed"]))
    rows: list[Row] = []
    for row in sweep.rows:
        code = row.get("exit_code")
        mark = Cell(str(code), "good" if code == EXIT_PASS else "bad" if code in TRUSTED else "warn")
        named = [str(row.get(key)) for key in keys]
        rows.append([*named, mark, text.value(row.get("wall_s")), str(row.get("run")), str(row.get("error"))])
    parts += [page.heading("Runs"), page.table([*keys, "exit", "wall s", "run", ""], rows, "runs")]
    parts += [page.heading("Where things are"), page.paragraph(str(sweep.path))]
    parts += [page.paragraph("sweep.parquet, sweep.csv and sweep.json hold this table with every figure.", "dim")]
    return page.page(f"sweep of {sweep.scenario}", parts)
