"""`skyloom route`: policies and routes of messages, from files; packages offer the questions as entry points of the
group `skyloom.routes`.

Invariant: an entry point gives one function, whose annotations are its options. Nothing here knows what is routed.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Annotated

import typer

from emulator.cli.plugins import list_or_call, of_group

GROUP = "skyloom.routes"
WHAT = "question"


def route(
    name: Annotated[str | None, typer.Argument(help="What is asked; without it, all questions are listed.")] = None,
    words: Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS] ...", help="Its arguments, options.")] = None,
) -> None:
    """Plan routes of messages between chains: `skyloom route plan GRAPH …`, `skyloom route NAME --help`."""
    list_or_call("route", plugins(), WHAT, "what it answers", name, words or ())


def plugins() -> dict[str, EntryPoint]:
    """Entry points of the group by name, in the order of names."""
    return of_group(GROUP)
