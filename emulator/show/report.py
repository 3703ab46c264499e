"""The report: one HTML page in the folder of a run or a sweep, and its drawings as SVG files beside it.

Invariant: the page says nothing that is not in the folder, the verdict first, and is the same for the same folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from emulator.errors import EXIT_PASS, DataError
from emulator.record.find import is_sweep
from emulator.record.folder import give as give_to
from emulator.record.folder import invoking_user, reason, write_atomic
from emulator.record.load import Run, load_run
from emulator.record.sweep import TRUSTED, Sweep, load_sweep, scalars
from emulator.record.verdict import Verdict
from emulator.show import drawing, figures, page, predicted, text
from emulator.show.page import Cell, Row
from emulator.show.summary import meaning, rounds_words
from emulator.show.sweeping import combination_rows

FILES = {  # of a run folder, in the order of interest
    "verdict.json": "the verdict and every figure, for programs",
    "scenario.toml": "the scenario as resolved; runs again as it is",
    "platform.json": "versions, kernel, cores, command line",
    "events.parquet": "what happened",
    "samples.parquet": "numbers over time",
    "links.parquet": "asked against delivered, per link end and second",
    "capture.pcapng": "packets, for Wireshark",
    "logs": "a text file a node",
    "store": "what node programs kept",
    "figures": "the drawings as SVG",
}


def write_report(folder: Path) -> tuple[Path, list[str]]:
    """Write figures/*.svg and report.html into a run or sweep folder; the page's path, and what could not be drawn.

    DataError where the folder cannot be read or written.
    """
    subject = load_sweep(folder) if is_sweep(folder) else load_run(folder)
    drawings, warnings = figures.of_sweep(subject) if isinstance(subject, Sweep) else figures.of_run(subject)
    drawn = []
    for each in drawings:
        try:
            svg = drawing.svg(each.figure)
        except Exception as error:
            warnings.append(f"drawing {each.name} failed: {type(error).__name__}: {error}")
            continue
        _write(folder / "figures" / f"{each.name}.svg", svg)
        drawn.append(page.figure(each.name, each.title, each.caption, svg))
    path = folder / "report.html"
    if isinstance(subject, Sweep):
        _write(path, sweep_page(subject, drawn, warnings))
    else:
        _write(path, run_page(subject, drawn, warnings))
    return path, warnings


def run_page(run: Run, drawn: Sequence[str], warnings: Sequence[str]) -> str:
    """The page of a run: verdict, expectations, prediction beside observed, figures, drawings, warnings, files."""
    verdict = run.verdict
    name = verdict.scenario if verdict else str(run.document.get("name", run.path.parent.name))
    parts = list(_head(verdict, name, run.document.get("description")))
    if verdict:
        parts += [*_expectations(verdict), *_predictions(verdict), *_figures(verdict)]
    parts += drawn
    parts += _warnings([*(verdict.warnings if verdict else ()), *warnings])
    if run.parameters:
        parts += [page.heading("Parameters"), page.table(["parameter", "value"], _named(run.parameters))]
    parts += [page.heading("Where things are"), page.paragraph(str(run.path))]
    present = [(file, what) for file, what in FILES.items() if (run.path / file).exists()]
    parts += [page.table(["file", "what it holds"], present)]
    return page.page(f"{name} {run.path.name}", parts)


def sweep_page(sweep: Sweep, drawn: Sequence[str], warnings: Sequence[str]) -> str:
    """The page of a sweep: means over the runs of each combination, drawings, every run."""
    passed = sum(row.get("exit_code") == EXIT_PASS for row in sweep.rows)
    kind = "good" if sweep.complete and passed == len(sweep.rows) else "bad"
    said = "" if sweep.complete else ", ended before its time"
    parts = [
        page.heading(f"Sweep of {sweep.scenario}", 1),
        page.paragraph(f"{passed} of {len(sweep.rows)} runs passed{said}", kind),
        page.paragraph(f"over {', '.join(sweep.over) or 'seeds'}; {sweep.seeds} seeds a combination", "dim"),
        page.heading("Means"),
        page.paragraph("Mean ± standard error; late and broken runs are not counted.", "dim"),
        page.table(*combination_rows(sweep)),
    ]
    parts += drawn
    parts += _warnings(warnings)
    keys = list(dict.fromkeys([*sweep.over, "seed"]))
    rows: list[Row] = []
    for row in sweep.rows:
        code = row.get("exit_code")
        mark = Cell(str(code), "good" if code == EXIT_PASS else "bad" if code in TRUSTED else "warn")
        named = [str(row.get(key)) for key in keys]
        rows.append([*named, mark, text.value(row.get("wall_s")), str(row.get("run")), str(row.get("error"))])
    parts += [page.heading("Runs"), page.table([*keys, "exit", "wall s", "run", ""], rows)]
    parts += [page.heading("Where things are"), page.paragraph(str(sweep.path))]
    parts += [page.paragraph("sweep.parquet, sweep.csv and sweep.json hold this table with every figure.", "dim")]
    return page.page(f"sweep of {sweep.scenario}", parts)


def _head(verdict: Verdict | None, name: str, description: Any) -> Iterable[str]:
    if verdict is None:
        yield page.heading(name, 1)
        yield page.paragraph("no verdict: the run still goes on, or was killed", "warn")
    else:
        passed = verdict.exit_code == EXIT_PASS
        yield page.heading(f"{'PASS' if passed else 'FAIL'}  {name}", 1, "good" if passed else "bad")
        yield page.paragraph(meaning(verdict) + ("" if passed else f" (exit {verdict.exit_code})"))
        if verdict.error:
            yield page.paragraph(verdict.error, "bad")
        yield page.paragraph(
            f"seed {verdict.seed}, {text.duration(verdict.duration_s)} played, run {verdict.run_id}", "dim"
        )
    if description:
        yield page.paragraph(str(description), "dim")


def _expectations(verdict: Verdict) -> Iterable[str]:
    if verdict.expectations:
        rows: list[Row] = [
            [
                Cell("holds", "good") if one.holds else Cell("does not hold", "bad"),
                one.figure, one.asked, text.value(one.observed), one.reason,
            ]
            for one in verdict.expectations
        ]  # fmt: skip
        yield page.heading("Expectations")
        yield page.table(["", "figure", "asked", "observed", ""], rows)


def _predictions(verdict: Verdict) -> Iterable[str]:
    if verdict.prediction:
        rows: list[Row] = [
            [one.name, one.predicted, one.observed, Cell(one.remark, "bad" if one.agrees is False else "dim")]
            for one in predicted.compare(verdict.prediction, verdict.summary)
        ]
        yield page.heading("Predicted and observed")
        yield page.table(["figure", "predicted", "observed", ""], rows)


def _figures(verdict: Verdict) -> Iterable[str]:
    if verdict.summary:
        yield page.heading("Figures")
        yield page.table(["figure", "value"], _named(scalars(verdict.summary)))
    for name, rows in verdict.summary.items():
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            columns = list(dict.fromkeys(key for row in rows for key in row))
            yield page.heading(name)
            yield page.table(columns, [[text.value(row.get(key)) for key in columns] for row in rows])
    trust = {"lateness in ms": verdict.lateness_ms, "probe error in ms": verdict.probe_error_ms, "drops": verdict.drops}
    facts = [(name, text.value(values)[1:-1]) for name, values in trust.items() if values]
    facts += [("rounds", rounds_words(verdict.rounds))] if verdict.rounds else []
    if facts:
        yield page.heading("How exact the emulation was")
        yield page.table(["", ""], facts)


def _warnings(warnings: Sequence[str]) -> Iterable[str]:
    if warnings:
        yield page.heading("Warnings")
        yield from (page.paragraph(warning, "warn") for warning in warnings)


def _named(values: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, text.value(value)) for name, value in values.items()]


def _write(path: Path, document: str) -> None:
    import os

    owner = invoking_user(os.environ)
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomic(path, document.encode())
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}") from None
    give_to(path.parent, owner)
    give_to(path, owner)
