"""`skyloom exec`: a command on a node of a live run, from any terminal of the same user."""

from __future__ import annotations

from typing import Annotated

import typer


def execute(
    node: Annotated[
        str | None, typer.Argument(help="Name of a live node; without it, the live nodes are listed.")
    ] = None,
    command: Annotated[list[str] | None, typer.Argument(metavar="-- COMMAND...", help="What to run there.")] = None,
    run: Annotated[str | None, typer.Option(help="Id of the run, where several are live; before `--`.")] = None,
) -> None:
    """Run a command inside a node of a live run: `skyloom exec gs-tokyo -- ping -c 3 gs-paris`. Names resolve."""
    import sys

    from emulator.client.watch import ask
    from emulator.model.errors import UsageError
    from emulator.runtime.control.messages import ListNodes, NodeNames

    words = list(command or [])
    if words[:1] == ["--run"] and len(words) > 1:  # behind the node, where everything is of the command for the parser
        run, words = words[1], words[2:]
    words = words[1:] if words[:1] == ["--"] else words
    if node is None:
        sys.stdout.write("\n".join(ask(ListNodes(), NodeNames, run).names) + "\n")
        return
    if not words:
        raise UsageError(f"what shall run on {node}? for example: skyloom exec {node} -- ip address")
    from emulator.client.exec import execute as run_there

    raise typer.Exit(run_there(node, words, run))
