"""`skyloom compare`: the figures of two runs side by side, and what was asked differently."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.model.printable import aligned, one_line, printable

if TYPE_CHECKING:
    from emulator.record.load import Run

MOST_KEYS = 20  # of the scenario, shown where they differ
MOST_CHARACTERS = 32  # of a value; --json has all of it


def compare(
    a: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, `latest`, a scenario's name or a run's id.")],
    b: Annotated[str, typer.Argument(metavar="RUN", help="The other one.")],
    runs: Annotated[Path, typer.Option(help="Where run folders are.")] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object with every figure.")] = False,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Overlay the runs: compare.html and its drawings are written there."),
    ] = None,
) -> None:
    """Show the summary figures of two runs side by side, with difference and ratio."""
    from emulator.client.find import find
    from emulator.record.load import load_run

    first, second = load_run(find(a, runs)), load_run(find(b, runs))
    document = compared(first, second)
    if figures is not None:
        _draw(first, second, document, figures)
    if json:
        from json import dumps

        sys.stdout.write(printable(dumps(document, indent=2, ensure_ascii=False)) + "\n")
        return
    sys.stdout.write(f"a  {one_line(document['a'])}\nb  {one_line(document['b'])}\n\n")
    sys.stdout.write(aligned(["", "a", "b", "b - a", "b / a"], _rows(document)))


def _rows(document: dict[str, Any]) -> list[tuple[str, ...]]:
    """What was asked differently, then the figures, as people read them."""
    from emulator.report import text

    asked = list(document["asked"].items())

    def shown(value: Any) -> str:
        words = text.value(value)
        return words if len(words) <= MOST_CHARACTERS else f"{words[: MOST_CHARACTERS - 1]}…"

    rows: list[tuple[str, ...]] = [(name, *map(shown, pair), "", "") for name, pair in asked[:MOST_KEYS]]
    if len(asked) > MOST_KEYS:
        rows.append((f"({len(asked) - MOST_KEYS} more keys differ; --json has them)", "", "", "", ""))
    for name, row in document["figures"].items():
        ratio = "-" if row["ratio"] is None else text.number(row["ratio"])
        difference = (
            "-" if row["difference"] is None else f"{'+' * (row['difference'] > 0)}{text.value(row['difference'])}"
        )
        rows.append((name, text.value(row["a"]), text.value(row["b"]), difference, ratio))
    return rows


def _draw(first: Run, second: Run, document: dict[str, Any], folder: Path) -> None:
    """Write what the scenario draws over both runs, and both on one pair of axes wherever they have the same.

    DataError where that is nothing, or cannot be written.
    """
    from emulator.model.errors import DataError
    from emulator.report import compare_plots, page
    from emulator.report.figures import of_two
    from emulator.report.progress import StepProgress
    from emulator.report.sections import draw, write

    with StepProgress() as tell:
        tell("reading the tables", 0, 0)
        drawings, warnings = of_two(first, second)
        drawn = draw([*drawings, *compare_plots.drawings(first, second)], folder, warnings, tell=tell)
    if not drawn:
        raise DataError(
            "; ".join(warnings) or f"{first.path} and {second.path} have nothing that can be drawn together"
        )
    parts = [
        page.heading("Two runs", 1),
        *(page.paragraph(f"{name}  {document[name]}", "dim") for name in "ab"),
        *(page.paragraph(warning, "warn") for warning in warnings),
        page.table(["", "a", "b", "b - a", "b / a"], _rows(document), "compare"),
        *drawn,
    ]
    write(folder / "compare.html", page.page("two runs", parts))
    sys.stderr.write(printable("".join(f"skyloom: warning: {warning}\n" for warning in warnings)))
    sys.stderr.write(printable(f"{folder / 'compare.html'}\n"))


def compared(first: Run, second: Run) -> dict[str, Any]:
    """Two runs as plain values: `asked` has the scenario's keys that differ, `figures` both values of each figure."""
    from emulator.record.sweep import scalars

    asked = [_asked(run) for run in (first, second)]
    differing = {name: [one.get(name) for one in asked] for name in asked[0] | asked[1]}
    figures = [scalars(_figures(run)) for run in (first, second)]
    return {
        "a": str(first.path),
        "b": str(second.path),
        "asked": {name: pair for name, pair in differing.items() if pair[0] != pair[1]},
        "figures": {name: _row(*(one.get(name) for one in figures)) for name in figures[0] | figures[1]},
    }


def _asked(run: Run) -> dict[str, Any]:
    """Every key of the scenario that a recipe did not write: its parameters where it has some, else all of it."""
    if run.parameters:
        return {key: run.document.get(key) for key in ("name", "seed", "duration")} | dict(_leaves(run.parameters))
    return {name: value for name, value in _leaves(run.document) if name != "cluster.owner_hash"}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Values below tables and lists by their key paths, as `--set` takes them."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list) and item:
            yield from _leaves(item, f"{path}{key}.")
        else:
            yield f"{path}{key}", item


def _figures(run: Run) -> dict[str, Any]:
    from emulator.model.errors import DataError

    if run.verdict is None:
        raise DataError(f"{run.path}: the run has no verdict; it may still be going on, or was killed")
    lateness = {"lateness_ms": run.verdict.lateness_ms} if run.verdict.lateness_ms else {}
    return {"verdict": run.verdict.verdict, **run.verdict.summary, **lateness}


def _row(a: Any, b: Any) -> dict[str, Any]:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (a, b))
    return {
        "a": a,
        "b": b,
        "difference": b - a if numbers else None,
        "ratio": b / a if numbers and a else None,
    }
