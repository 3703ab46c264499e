"""`skyloom list`: the scenarios that come with Skyloom, and what can be set in one of them.

Invariant: the plain list reads files only. Parameters import the code of the scenario; one that fails to import does
not hide the others.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from emulator.scenario import Bundled, Parameter


def list_scenarios(
    name: Annotated[
        str | None, typer.Argument(help="A scenario, by name or file: list what `--set` can change in it.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON: name, description, path and parameters of each.")
    ] = False,
) -> None:
    """List the bundled scenarios, or the parameters of one."""
    from emulator.scenario import bundled

    if name is not None:
        from emulator.scenario import parameters_of

        _parameters(name, parameters_of(name), json)
        return
    entries = bundled()
    if json:
        _print_json([_described(entry) for entry in entries])
        return
    if not sys.stdout.isatty():
        from emulator.model.printable import one_line

        sys.stdout.writelines(f"{entry.name}\t{one_line(entry.description)}\n" for entry in entries)
        return
    from rich.table import Table
    from rich.text import Text

    from emulator.report.text import Printing

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("scenario", style="bold cyan", no_wrap=True)
    table.add_column("what it shows")
    for entry in entries:
        table.add_row(entry.name, Text(entry.description))
    Printing().print(table)


def _parameters(name: str, parameters: list[Parameter], json: bool) -> None:
    """Each parameter with its value without an option, its type and its meaning; one a line in a pipe."""
    if json:
        _print_json([_fields(each) for each in parameters])
        return
    rows = [(each.key, _value(each.default), each.type, each.meaning) for each in parameters]
    if not sys.stdout.isatty():
        from emulator.model.printable import one_line

        sys.stdout.writelines("\t".join(map(one_line, row)) + "\n" for row in rows)
        return
    from rich.padding import Padding
    from rich.text import Text

    from emulator.report.text import Printing

    console = Printing()
    for key, value, kind, meaning in rows:
        console.print(Text.assemble((key, "bold cyan"), f" = {value}" if value else "", (f"  {kind}", "dim")))
        console.print(Padding(Text(meaning), (0, 0, 0, 4)))
    console.print(Text(f"\nskyloom run {name} --set KEY=VALUE", "dim"))


def _described(entry: Bundled) -> dict[str, Any]:
    from emulator.model.errors import SkyloomError
    from emulator.scenario import parameters_of

    row: dict[str, Any] = {"name": entry.name, "description": entry.description, "path": str(entry.path)}
    try:
        return row | {"parameters": [_fields(each) for each in parameters_of(entry.path)]}
    except SkyloomError as error:
        return row | {"parameters": [], "error": str(error)}


def _fields(parameter: Parameter) -> dict[str, Any]:
    return {
        "key": parameter.key, "type": parameter.type, "default": parameter.default, "meaning": parameter.meaning,
    }  # fmt: skip


def _value(value: Any) -> str:
    from emulator.scenario.toml.writer import value_text

    return "" if value is None else value_text(value)


def _print_json(rows: list[dict[str, Any]]) -> None:
    from json import dumps

    from emulator.model.printable import printable

    sys.stdout.write(printable(dumps(rows, indent=2, ensure_ascii=False, default=str)) + "\n")
