"""`skyloom report`: the page and the drawings of a run or a sweep, made from its folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    what: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A run or sweep folder, `latest`, or a scenario's name (its latest run)."),
    ] = "latest",
    runs: Annotated[Path, typer.Option(help="Where run folders are.")] = Path("runs"),
) -> None:
    """Write report.html and figures/*.svg into the folder of a run or a sweep, and print where the page is."""
    from emulator.record.find import find, is_sweep
    from emulator.show.report import write_report

    folder = find(what, runs)
    if is_sweep(folder):
        from emulator.record.sweep import load_sweep

        load_sweep(folder).save_tables()  # a sweep that was killed has none yet
    path, warnings = write_report(folder)
    for warning in warnings:
        sys.stderr.write(f"skyloom: warning: {warning}\n")
    sys.stdout.write(f"{path}\n")
