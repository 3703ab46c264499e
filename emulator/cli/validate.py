"""`skyloom validate`: compares emulations with measurements; packages offer them as entry points of the group
`skyloom.validations`.

Invariant: an entry point gives one function, whose annotations are its options and whose outcome is its exit code: 0
within the tolerances, 1 past them. Nothing here knows what is validated.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Annotated, Any, cast

import typer

from emulator.cli.plugins import loaded, of_group

GROUP = "skyloom.validations"


def validate(
    name: Annotated[str | None, typer.Argument(help="What is validated; without it, all are listed.")] = None,
    words: Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS]", help="Its own options.")] = None,
) -> None:
    """Compare emulation with published measurements: `skyloom validate NAME --help`."""
    from emulator.model.errors import UsageError

    found = plugins()
    if name is None:
        sys.stdout.write(listing(found))
        return
    if name not in found:
        raise UsageError(f"{name}: no such validation; expected one of: {', '.join(found) or 'none is installed'}")
    app = typer.Typer(name=name, pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
    app.command()(function_of(found[name]))
    ended = app(args=list(words or ()), prog_name=f"skyloom validate {name}", standalone_mode=False)
    raise typer.Exit(ended if isinstance(ended, int) else 0)


def plugins() -> dict[str, EntryPoint]:
    """Entry points of the group by name, in the order of names."""
    return of_group(GROUP)


def function_of(point: EntryPoint) -> Callable[..., Any]:
    """What an entry point offers. PlatformError where it cannot be loaded or is no function."""
    from emulator.model.errors import PlatformError

    function = loaded(point, "validation")
    if not callable(function):
        raise PlatformError(
            f"validation {point.name} ({point.value}) is no function; expected one with typer's options"
        )
    return cast(Callable[..., Any], function)


def listing(found: dict[str, EntryPoint]) -> str:
    """A line for each validation: its name and the first line of its docstring, or what is wrong with it."""
    from emulator.model.errors import PlatformError
    from emulator.report.text import aligned

    rows = []
    for name, point in found.items():
        try:
            rows.append((name, (function_of(point).__doc__ or "").strip().split("\n")[0]))
        except PlatformError as error:
            rows.append((name, f"broken: {error}"))
    return aligned(("validation", "what it does"), rows) if rows else "no validation is installed\n"
