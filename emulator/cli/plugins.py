"""Plug-ins of commands: entry points of a group, which packages bring.

Invariant: a broken plug-in is a PlatformError that names it, and the others still work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint
from typing import Any, cast

import typer


def of_group(group: str) -> dict[str, EntryPoint]:
    """Entry points of the group by name, in the order of names."""
    from importlib.metadata import entry_points

    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


def loaded(point: EntryPoint, what: str) -> Any:
    """What an entry point offers; `what` it is, for the error. PlatformError where it cannot be loaded."""
    from emulator.model.errors import PlatformError

    try:
        return point.load()
    except Exception as error:
        raise PlatformError(
            f"{what} {point.name} ({point.value}) cannot be loaded: {type(error).__name__}: {error}; "
            "reinstall the package that brings it"
        ) from error


def function_of(point: EntryPoint, what: str) -> Callable[..., Any]:
    """The function that an entry point offers. PlatformError where it cannot be loaded or is no function."""
    from emulator.model.errors import PlatformError

    function = loaded(point, what)
    if not callable(function):
        raise PlatformError(f"{what} {point.name} ({point.value}) is no function; expected one with typer's options")
    return cast(Callable[..., Any], function)


def list_or_call(
    command: str, found: Mapping[str, EntryPoint], what: str, said: str, name: str | None, words: Sequence[str]
) -> None:
    """Print the plug-ins of a command where no name is given, and else call the one of that name. UsageError: none."""
    from emulator.model.errors import UsageError

    if name is None:
        sys.stdout.write(_listing(found, what, said))
        return
    if name not in found:
        raise UsageError(f"{name}: no such {what}; expected one of: {', '.join(found) or 'none is installed'}")
    _call(command, found[name], what, words)


def _call(command: str, point: EntryPoint, what: str, words: Sequence[str]) -> None:
    """Call a plug-in's function with the words of a command line. Ends with typer.Exit, whose code is the outcome."""
    app = typer.Typer(name=point.name, pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
    app.command()(function_of(point, what))
    ended = app(args=list(words), prog_name=f"skyloom {command} {point.name}", standalone_mode=False)
    raise typer.Exit(ended if isinstance(ended, int) else 0)


def _listing(found: Mapping[str, EntryPoint], what: str, said: str) -> str:
    """A line for each plug-in: its name and the first line of its docstring, or what is wrong with it."""
    from emulator.model.errors import PlatformError
    from emulator.model.printable import aligned

    rows = []
    for name, point in found.items():
        try:
            rows.append((name, (function_of(point, what).__doc__ or "").strip().split("\n")[0]))
        except PlatformError as error:
            rows.append((name, f"broken: {error}"))
    return aligned((what, said), rows) if rows else f"no {what} is installed\n"
