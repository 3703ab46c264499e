"""`skyloom validate`: compares emulations with measurements; packages offer them as entry points of the group
`skyloom.validations`.

Invariant: an entry point gives one function, whose annotations are its options and whose outcome is its exit code: 0
within the tolerances, 1 past them. Nothing here knows what is validated.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Annotated

import typer

from emulator.cli.plugins import list_or_call, of_group

GROUP = "skyloom.validations"
WHAT = "validation"


def validate(
    name: Annotated[str | None, typer.Argument(help="What is validated; without it, all are listed.")] = None,
    words: Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS]", help="Its own options.")] = None,
) -> None:
    """Compare emulation with published measurements: `skyloom validate NAME --help`."""
    list_or_call("validate", plugins(), WHAT, "what it does", name, words or ())


def plugins() -> dict[str, EntryPoint]:
    """Entry points of the group by name, in the order of names."""
    return of_group(GROUP)
