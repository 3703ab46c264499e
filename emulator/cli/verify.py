"""`skyloom verify`: checks what a chain claims, from files; packages offer the checks as entry points of the group
`skyloom.verifications`.

Invariant: an entry point gives one function, whose annotations are its options and whose outcome is its exit code: 0
where the claim holds, 1 where it does not. Nothing here knows what is verified.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Annotated

import typer

from emulator.cli.plugins import list_or_call, of_group

GROUP = "skyloom.verifications"
WHAT = "verification"


def verify(
    name: Annotated[str | None, typer.Argument(help="What is verified; without it, all are listed.")] = None,
    words: Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS] FILE...", help="Its files, options.")] = None,
) -> None:
    """Check what a chain claims, from files: `skyloom verify header FILE...`, `skyloom verify NAME --help`."""
    list_or_call("verify", plugins(), WHAT, "what it checks", name, words or ())


def plugins() -> dict[str, EntryPoint]:
    """Entry points of the group by name, in the order of names."""
    return of_group(GROUP)
