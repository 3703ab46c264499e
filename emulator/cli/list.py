"""`skyloom list`: the scenarios that come with Skyloom."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def list_scenarios(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON list of name, description and path.")] = False,
) -> None:
    """List the bundled scenarios, one line each."""
    from emulator.scenario import bundled

    entries = bundled()
    if json:
        from json import dumps

        rows = [{"name": entry.name, "description": entry.description, "path": str(entry.path)} for entry in entries]
        sys.stdout.write(dumps(rows, indent=2, ensure_ascii=False) + "\n")
        return
    if not sys.stdout.isatty():
        sys.stdout.writelines(f"{entry.name}\t{entry.description}\n" for entry in entries)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("scenario", style="bold cyan", no_wrap=True)
    table.add_column("what it shows")
    for entry in entries:
        table.add_row(entry.name, entry.description)
    Console().print(table)
