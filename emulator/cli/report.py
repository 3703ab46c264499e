"""`skyloom report`: the page and the drawings of a run or a sweep, made from its folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from emulator.model.printable import printable


def report(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run or sweep folder, `latest`, a scenario's name (its latest run) or a run's id."
        ),
    ] = "latest",
    runs: Annotated[Path, typer.Option(help="Where run folders are.")] = Path("runs"),
    window: Annotated[
        str | None,
        typer.Option(metavar="START:END", help='Draw the messages of this time, such as "10s:10.5s", too.'),
    ] = None,
    nodes: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="Only messages between these nodes; globs; may be repeated."),
    ] = None,
) -> None:
    """Write report.html and figures/*.svg into the folder of a run or a sweep, and print where the page is."""
    from emulator.client.find import find, is_sweep
    from emulator.model.errors import UsageError
    from emulator.report.progress import StepProgress
    from emulator.report.sections import Window, write_report

    if nodes and window is None:
        raise UsageError("--nodes without --window; expected a time, such as --window 10s:10.5s")
    chosen = None if window is None else Window.of(window, nodes or ())
    folder = find(what, runs)
    if is_sweep(folder):
        from emulator.record.sweep import load_sweep

        load_sweep(folder).save_tables()  # a sweep that was killed has none yet
    with StepProgress() as tell:
        path, warnings = write_report(folder, chosen, tell)
    for warning in warnings:
        sys.stderr.write(printable(f"skyloom: warning: {warning}\n"))
    sys.stdout.write(printable(f"{path}\n"))
