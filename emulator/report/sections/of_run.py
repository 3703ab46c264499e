"""The page of a run: verdict, expectations, prediction, warnings; then figures, links, drawings, events, facts.

Invariant: each part is left out where the run has nothing for it, and a run that broke, or still goes on, has a page.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from emulator.model.errors import EXIT_PASS, DataError
from emulator.model.inputs import parse_json, read_text
from emulator.record.load import Run
from emulator.record.sweep import scalars
from emulator.record.verdict import Verdict
from emulator.record.verdict.judge import packets_late
from emulator.record.verdict.schema import MachineRow, ProbeRow
from emulator.report import figures, page, predicted, text
from emulator.report.page import Cell, Row
from emulator.report.progress import Tell, silent
from emulator.report.sections import events, links, plots
from emulator.report.sections.draw import draw
from emulator.report.sections.messages import Window
from emulator.report.sections.scheduled import scheduled_values
from emulator.report.sections.spacetime import space_time
from emulator.report.summary import budget_words, clock_words, is_block, meaning, rounds_words, trunk_words

FILES = {  # of a run folder, in the order of interest
    "verdict.json": "the verdict and every figure, for programs",
    "scenario.toml": "the scenario as resolved; runs again as it is",
    "platform.json": "versions, kernel, cores, command line",
    "events.parquet": "what happened",
    "samples.parquet": "numbers over time",
    "links.parquet": "asked against delivered, per link end and second",
    "hosts.parquet": "what each host had to do, per second",
    "trunks.parquet": "the ways between hosts, per second",
    "capture.pcapng": "packets, for Wireshark",
    "capture": "packets, for Wireshark",
    "logs": "a text file a node",
    "store": "what node programs kept",
    "figures": "the drawings as SVG",
}
SECTIONS = (
    "Expectations", "Predicted and observed", "Warnings", "Figures", "Asked and delivered", "Drawings", "Events",
    "Parameters", "Platform", "Run it again", "Where things are",
)  # fmt: skip


def run_page(run: Run, window: Window | None = None, tell: Tell = silent) -> tuple[str, list[str]]:
    """The document, and what could not be read or drawn. Drawings are written into figures/ of the run's folder."""
    verdict = run.verdict
    name = verdict.scenario if verdict else str(run.document.get("name", run.path.parent.name))
    warnings: list[str] = []
    tell("building the network again", 0, 0)
    scheduled = scheduled_values(run)
    tell("reading the tables", 0, 0)
    body = _figures(verdict) if verdict else []
    body += _part(warnings, lambda: links.section(run, scheduled))
    drawings, trouble = figures.of_run(run)
    warnings += trouble
    more = _part(warnings, lambda: plots.drawings(run, scheduled.nodes))
    messages = [space_time(run, window, scheduled)] if window is not None else []
    drawn = draw([*messages, *drawings, *more], run.path / "figures", warnings, run, tell)
    if drawn:
        body += [page.heading("Drawings"), *drawn]
    body += _part(warnings, lambda: events.section(run))
    warnings = list(dict.fromkeys(warnings))  # one broken table is found broken by all who need it
    body += _facts(run)
    parts = list(_head(verdict, name, run.document.get("description")))
    top = [*_expectations(verdict), *_predictions(verdict)] if verdict else []
    top += _warnings([*(verdict.warnings if verdict else ()), *warnings, *_lost(run)])
    there = "\n".join([*top, *body])
    parts.append(page.contents([title for title in SECTIONS if f'id="{page.anchor(title)}"' in there]))
    return page.page(f"{name} {run.path.name}", [*parts, *top, *body]), warnings


def _part(warnings: list[str], make: Callable[[], list[Any]]) -> list[Any]:
    """What `make` gives; nothing and a warning where a table of the run cannot be read."""
    try:
        return make()
    except DataError as error:
        warnings.append(str(error))
        return []


def _head(verdict: Verdict | None, name: str, description: Any) -> Iterator[str]:
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


def _expectations(verdict: Verdict) -> Iterator[str]:
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


def _predictions(verdict: Verdict) -> Iterator[str]:
    if verdict.prediction:
        rows: list[Row] = [
            [one.name, one.predicted, one.observed, Cell(one.remark, "bad" if one.agrees is False else "dim")]
            for one in predicted.compare(verdict.prediction, verdict.summary)
        ]
        yield page.heading("Predicted and observed")
        yield page.table(["figure", "predicted", "observed", ""], rows, "predicted")


def _figures(verdict: Verdict) -> list[str]:
    parts = []
    if verdict.summary:
        named: list[Row] = [[name, _cell(value)] for name, value in scalars(verdict.summary).items()]
        parts.append(page.table(["figure", "value"], named, "figures"))
    for name, lines in verdict.summary.items():
        if is_block(lines):
            parts += [page.heading(name, 3), page.block(lines)]
    for name, rows in verdict.summary.items():
        if isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows):
            columns = list(dict.fromkeys(key for row in rows for key in row))
            cells = [[_cell(row.get(key)) for key in columns] for row in rows]
            parts += [page.heading(name, 3), page.table(columns, cells, name)]
    if verdict.probes:
        parts += [page.heading("Probed pairs", 3), _probes(verdict.probes)]
    if verdict.machines:
        parts += [page.heading("Hosts", 3), _machines(verdict.machines)]
    trust = {"lateness in ms": verdict.lateness_ms, "probe error in ms": verdict.probe_error_ms, "drops": verdict.drops}
    facts = [(name, text.value(values)[1:-1]) for name, values in trust.items() if values]
    if packets_late(verdict) and verdict.lateness_budget:
        facts.append(("late by", budget_words(verdict.lateness_budget)))
    if verdict.trunks:
        facts.append(("trunks", trunk_words(verdict.trunks)))
    if verdict.clock:
        facts.append(("clocks", clock_words(verdict.clock)))
    if verdict.rounds:
        facts.append(("rounds", rounds_words(verdict.rounds)))
    if facts:
        parts += [page.heading("How exact the emulation was", 3), page.table(["", ""], facts)]
    return [page.heading("Figures"), *parts] if parts else []


def _probes(rows: Sequence[ProbeRow]) -> str:
    """Round trips asked and seen, the pairs with the largest error first."""
    errors = [row.get("error_ms") or {} for row in rows]
    order = sorted(range(len(rows)), key=lambda at: -float(errors[at].get("p99") or 0.0))
    cells: list[Row] = [
        [
            str(rows[at].get("pair", "")),
            *(_ms(value) for value in (rows[at].get("asked_ms"), rows[at].get("seen_ms"))),
            *(_ms(errors[at].get(share)) for share in ("p50", "p99", "max")),
            _cell(rows[at].get("sent")), _cell(rows[at].get("lost")),
        ]
        for at in order
    ]  # fmt: skip
    columns = ["pair", "asked ms", "seen ms", "error p50 ms", "error p99 ms", "error max ms", "sent", "lost"]
    return page.table(columns, cells, "probes")


def _machines(rows: Sequence[MachineRow]) -> str:
    """The hosts of a run on several, in their order."""
    late = [row.get("lateness_ms") or {} for row in rows]
    cells: list[Row] = [
        [
            str(row.get("name", "")), _cell(row.get("nodes")),
            *(_ms(late[at].get(share)) for share in ("p50", "p99", "max")),
            *(_cell(row.get(key)) for key in ("late_rows", "engine_cpu_s", "relay_cpu_s")),
            Cell(text.size(row.get("memory_bytes")), "", row.get("memory_bytes")),
        ]
        for at, row in enumerate(rows)
    ]  # fmt: skip
    columns = [
        "host", "nodes", "late p50 ms", "late p99 ms", "late max ms", "late rows", "engine s", "relay s", "memory",
    ]  # fmt: skip
    return page.table(columns, cells, "hosts")


def _ms(value: Any) -> Cell:
    return Cell(text.milliseconds(value), "", value)


def _cell(value: Any) -> Cell:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(text.value(value), "", value if number else None)


def _warnings(warnings: Sequence[str]) -> Iterator[str]:
    if warnings:
        yield page.heading("Warnings")
        yield from (page.paragraph(warning, "warn") for warning in warnings)


def _lost(run: Run) -> Iterator[str]:
    for table, count in run.lost_bytes.items():
        if count:
            yield f"{table}: the run was cut short, {count:,} bytes of a last row are lost"


def _facts(run: Run) -> Iterable[str]:
    """Parameters, platform, how to run it again, files."""
    platform = _platform(run.path)
    command = platform.pop("command", None)
    if run.parameters:
        named = [(name, text.value(value)) for name, value in scalars(run.parameters).items()]
        yield from (page.heading("Parameters"), page.table(["parameter", "value"], named, "parameters"))
    if platform:
        named = [(name, str(value)) for name, value in scalars(platform).items()]
        yield from (page.heading("Platform"), page.table(["", ""], named))
    yield page.heading("Run it again")
    if isinstance(command, list) and command:
        yield page.paragraph("As it was run:", "dim")
        yield page.command(shlex.join([Path(str(command[0])).name, *map(str, command[1:])]))
        yield page.paragraph("Or from this folder, with every value as resolved:", "dim")
    hosts = len(run.verdict.machines) if run.verdict is not None else 0
    yield page.command("skyloom run scenario.toml" + (f" --hosts {hosts}" if hosts else ""))
    yield from (page.heading("Where things are"), page.paragraph(str(run.path)))
    present = [(file, what) for file, what in FILES.items() if (run.path / file).exists()]
    yield page.table(["file", "what it holds"], present)


def _platform(folder: Path) -> dict[str, Any]:
    try:
        facts = parse_json(read_text(folder / "platform.json"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}
