"""`skyloom schema`: the JSON Schema of scenario files, for editors and checkers."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from emulator.model.printable import printable


def schema(
    name: Annotated[
        str, typer.Argument(help="A scenario (bundled name or file), or a topology whose tables it has (module, file).")
    ] = "topologies.leo",
) -> None:
    """Print the JSON Schema of scenario files."""
    from json import dumps

    from emulator.scenario.schema.json_schema import schema as schema_of

    sys.stdout.write(printable(dumps(schema_of(name), indent=2, ensure_ascii=False)) + "\n")
