"""The command line: one module a command, each with one function whose annotations are its options.

Invariant: importing this package costs little more than typer; whatever is heavier is imported inside the functions.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer

COMMANDS = {  # command: module of this package, function in it
    "run": ("run", "run"),
    "watch": ("watch", "watch"),
    "list": ("list", "list_scenarios"),
    "plan": ("plan", "plan"),
    "sweep": ("sweep", "sweep"),
    "report": ("report", "report"),
    "compare": ("compare", "compare"),
    "algo": ("algo", "algo"),
    "validate": ("validate", "validate"),
    "exec": ("exec", "execute"),
    "shell": ("shell", "shell"),
    "capture": ("capture", "capture"),
    "doctor": ("doctor", "doctor"),
    "schema": ("schema", "schema"),
    "extcap": ("extcap", "extcap"),
}
PASS_ON = {"exec", "algo", "validate", "extcap"}  # commands whose trailing words belong to another program
HIDDEN = {"extcap"}  # called by Wireshark, not by people


def _app(only: str | None) -> Typer:
    """The typer app. Where the command is known already only its module is imported."""
    import typer

    app = typer.Typer(
        name="skyloom",
        help="Networks that move, on one machine: real sockets over links that follow orbits, traces and faults.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help: rich would take a third of its time
    )
    for command, (module, function) in COMMANDS.items():
        if only in COMMANDS and command != only:
            continue
        context = {"allow_interspersed_args": False} if command in PASS_ON else {}
        context |= {"ignore_unknown_options": True} if command in HIDDEN else {}
        loaded = getattr(importlib.import_module(f"emulator.cli.{module}"), function)
        app.command(command, context_settings=context, hidden=command in HIDDEN)(loaded)

    @app.callback()
    def options(version: bool = typer.Option(False, "--version", help="Print the version and end.")) -> None:
        if version:
            from emulator import __version__

            sys.stdout.write(f"skyloom {__version__}\n")
            raise typer.Exit

    return app


def main() -> None:
    """Entry point: runs one command and turns each error of our tree into its text and exit code."""
    import typer

    from emulator.model.errors import EXIT_INTERRUPTED, EXIT_USAGE, SkyloomError

    click_error: type[Exception] = typer.BadParameter.mro()[2]  # ClickException, wherever this version keeps it
    only = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        sys.exit(_app(only)(standalone_mode=False))
    except typer.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except SkyloomError as error:
        sys.stderr.write(f"skyloom: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except click_error as error:
        error.show()  # type: ignore[attr-defined]
        sys.exit(EXIT_USAGE)
    except BrokenPipeError:
        sys.exit(0)
