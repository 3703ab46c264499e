"""`skyloom verify`: checks what a chain claims, from files; packages offer the checks as entry points of the group
`skyloom.verifications`.

Invariant: an entry point gives one function, whose annotations are its options and whose outcome is its exit code: 0
where the claim holds, 1 where it does not. Nothing here knows what is verified.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import Annotated

import typer

from emulator.cli.plugins import call, listing, of_group

GROUP = "skyloom.verifications"
WHAT = "verification"


def verify(
    name: Annotated[str | None, typer.Argument(help="What is verified; without it, all are listed.")] = None,
    words: Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS] FILE...", help="Its files, options.")] = None,
) -> None:
    """Check what a chain claims, from files: `skyloom verify header FILE...`, `skyloom verify NAME --help`."""
    from emulator.model.errors import UsageError

    found = plugins()
    if name is None:
        sys.stdout.write(listing(found, WHAT, "what it checks"))
        return
    if name not in found:
        raise UsageError(f"{name}: no such verification; expected one of: {', '.join(found) or 'none is installed'}")
    call("verify", found[name], WHAT, words or ())


def plugins() -> dict[str, EntryPoint]:
    """Entry points of the group by name, in the order of names."""
    return of_group(GROUP)
