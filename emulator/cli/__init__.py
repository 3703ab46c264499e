"""The command line: one module for each command, with one function whose annotations are its options.

Invariant: importing this package costs little more than typer; larger modules are imported inside the functions.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

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
    "replay": ("replay", "replay"),
    "algo": ("algo", "algo"),
    "validate": ("validate", "validate"),
    "verify": ("verify", "verify"),
    "route": ("route", "route"),
    "llm": ("llm", "llm"),
    "import": ("importing", "import_"),
    "exec": ("exec", "execute"),
    "logs": ("logs", "logs"),
    "shell": ("shell", "shell"),
    "capture": ("capture", "capture"),
    "doctor": ("doctor", "doctor"),
    "cluster": ("cluster", "cluster"),
    "schema": ("schema", "schema"),
    "extcap": ("extcap", "extcap"),
}
# commands whose trailing words belong to another program
PASS_ON = {"exec", "algo", "validate", "verify", "route", "llm", "import", "extcap"}
HIDDEN = {"extcap"}  # called by Wireshark, not by people


def _app(only: str | None) -> Typer:
    """The typer app. If the command is known already, only its module is imported."""
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

    def show_version(asked: bool) -> None:
        if asked:
            from emulator import __version__

            sys.stdout.write(f"skyloom {__version__}\n")
            raise typer.Exit

    @app.callback()
    def options(
        version: bool = typer.Option(
            False, "--version", help="Print the version and end.", is_eager=True, callback=show_version
        ),
    ) -> None:
        pass

    return app


def main() -> None:
    """Entry point: runs one command, and ends with its exit code or that of its error (docs/exit-codes.md)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (`>&-`)
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open until the end
    try:
        code = _exit_code()
    except KeyboardInterrupt:  # Ctrl-C while modules were imported, which takes a second on a busy machine
        from emulator.model.errors import EXIT_INTERRUPTED

        code = EXIT_INTERRUPTED
    sys.exit(_with_output_written(code))


def _exit_code() -> int:
    """Run the command. Every SkyloomError has its text and exit code; any other error is a fault of Skyloom and ends
    with 70, as 1 means that an expectation does not hold."""
    import typer

    from emulator.model.errors import EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_PASS, EXIT_USAGE, SkyloomError

    # Some versions of typer contain click's exceptions, others import them.
    click_error = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
    only = sys.argv[1] if len(sys.argv) > 1 else None
    try:
        ended = _app(only)(standalone_mode=False)
        return ended if isinstance(ended, int) else EXIT_PASS
    except BrokenPipeError:  # the reader has ended: `skyloom list | head -1`
        return EXIT_PASS
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # rich ends this way
            return EXIT_PASS
        return ended.code if isinstance(ended.code, int) else EXIT_PASS if ended.code is None else EXIT_INTERNAL
    except (typer.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except SkyloomError as error:
        _say(f"skyloom: {error}\n")
        return error.exit_code
    except Exception as error:
        if isinstance(error, click_error):
            _say(_shown(error))
            return EXIT_USAGE
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            _say(f"skyloom: {error}; free some room and try again\n")
            return EXIT_INTERNAL
        import traceback

        _say(f"{traceback.format_exc()}skyloom: a fault of skyloom itself ({type(error).__name__}); please report it\n")
        return EXIT_INTERNAL


def _shown(error: Any) -> str:
    """Typer's text for a wrong command line."""
    from io import StringIO

    error.show(words := StringIO())
    return words.getvalue()


def _say(words: str) -> None:
    """Write to standard error, if it is still open. Text that errors quote from files is made printable here."""
    from emulator.model.printable import printable

    try:
        sys.stderr.write(printable(words))
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # closed
        pass


def _with_output_written(code: int) -> int:
    """Flush standard output and return the exit code. Python would flush later, and end with 120 without a reader."""
    from emulator.model.errors import EXIT_INTERNAL, EXIT_PASS

    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError) as error:
            with open(os.devnull, "w") as nowhere, suppress(OSError, ValueError):
                os.dup2(nowhere.fileno(), stream.fileno())  # for the rest of the buffer
            if not isinstance(error, BrokenPipeError):
                if code == EXIT_PASS:
                    _say(f"skyloom: the output cannot be written: {error}\n")
                code = code or EXIT_INTERNAL
    return code
