"""`skyloom llm`: language models whose parts run on several nodes; packages offer the questions as entry points of the
group `skyloom.models`.

Invariant: an entry point gives one function, whose annotations are its options. Nothing here knows a model.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Annotated

import typer

from emulator.cli.plugins import list_or_call, of_group

GROUP = "skyloom.models"
WHAT = "question"


def llm(
    name: Annotated[str | None, typer.Argument(help="What is asked; without it, all questions are listed.")] = None,
    words: Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS] ...", help="Its arguments, options.")] = None,
) -> None:
    """Plan how satellites share a language model: `skyloom llm plan --satellites 8`, `skyloom llm NAME --help`."""
    list_or_call("llm", plugins(), WHAT, "what it answers", name, words or ())


def plugins() -> dict[str, EntryPoint]:
    """Entry points of the group by name, in the order of names."""
    return of_group(GROUP)
