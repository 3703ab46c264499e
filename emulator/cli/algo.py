"""`skyloom algo`: algorithms without a network, offered by packages as entry points of the group `skyloom.algorithms`.

Invariant: an entry point gives a dict from subcommand to function, whose annotations are its options; the single key ""
makes the function the command itself. A broken plug-in is reported by name, and the others still work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Annotated, Any, cast

import typer

from emulator.cli.plugins import loaded, of_group

GROUP = "skyloom.algorithms"
Commands = dict[str, Callable[..., Any]]


def algo(
    name: Annotated[str | None, typer.Argument(help="The algorithm; without it, all are listed.")] = None,
    words: Annotated[list[str] | None, typer.Argument(metavar="[SUB] ...", help="What it is asked.")] = None,
) -> None:
    """Ask an algorithm by itself, without a network: `skyloom algo rdaf decide FILE`, `skyloom algo NAME --help`."""
    from emulator.model.errors import UsageError

    found = plugins()
    if name is None:
        sys.stdout.write(listing(found))
        return
    if name not in found:
        raise UsageError(f"{name}: no such algorithm; expected one of: {', '.join(found) or 'none is installed'}")
    ended = app_of(name, commands_of(found[name]))(
        args=list(words or ()), prog_name=f"skyloom algo {name}", standalone_mode=False
    )
    raise typer.Exit(ended if isinstance(ended, int) else 0)


def plugins() -> dict[str, EntryPoint]:
    """Entry points of the group by name, in the order of names."""
    return of_group(GROUP)


def commands_of(point: EntryPoint) -> Commands:
    """What an entry point offers. PlatformError where it cannot be loaded or is no plug-in."""
    from emulator.model.errors import PlatformError

    commands = loaded(point, "algorithm")
    fits = isinstance(commands, dict) and all(isinstance(key, str) and callable(each) for key, each in commands.items())
    if not fits or not commands or ("" in commands and len(commands) > 1):
        raise PlatformError(
            f"algorithm {point.name} ({point.value}) offers no commands; expected a dict of subcommand and function, "
            'or of "" alone and function'
        )
    return cast(Commands, commands)


def app_of(name: str, commands: Commands) -> typer.Typer:
    """The typer app of one plug-in."""
    app = typer.Typer(name=name, pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
    if "" in commands:
        app.command()(commands[""])
        return app
    for sub, function in commands.items():
        app.command(sub)(function)

    @app.callback()
    def only_subcommands() -> None:
        """Subcommands of this algorithm:"""

    app.info.no_args_is_help = True
    return app


def listing(found: dict[str, EntryPoint]) -> str:
    """A line for each command: its name and the first line of its docstring, or what is wrong with its plug-in."""
    from emulator.model.errors import PlatformError
    from emulator.model.printable import aligned

    rows = []
    for name, point in found.items():
        try:
            for sub, function in commands_of(point).items():
                summary = (function.__doc__ or "").strip().split("\n")[0]
                rows.append((f"{name} {sub}".rstrip(), summary))
        except PlatformError as error:
            rows.append((name, f"broken: {error}"))
    return aligned(("algorithm", "what it does"), rows) if rows else "no algorithm is installed\n"
