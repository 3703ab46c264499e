"""`skyloom import`: turns data of other projects into files that Skyloom reads; packages offer the importers as entry
points of the group `skyloom.imports`.

Invariant: an entry point gives one function, whose annotations are its options and which prints the file. Nothing here
knows what is imported.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Annotated

import typer

from emulator.cli.plugins import list_or_call, of_group

GROUP = "skyloom.imports"
WHAT = "importer"


def import_(
    name: Annotated[str | None, typer.Argument(help="The importer; without it, all are listed.")] = None,
    words: Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS] ...", help="Its arguments, options.")] = None,
) -> None:
    """Print a file made of data of another project: `skyloom import chain-registry DIR > graph.json`."""
    list_or_call("import", plugins(), WHAT, "what it prints", name, words or ())


def plugins() -> dict[str, EntryPoint]:
    """Entry points of the group by name, in the order of names."""
    return of_group(GROUP)
