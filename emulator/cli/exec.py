"""`skyloom exec`: a command on a node of a live run, from any terminal of the same user."""

from __future__ import annotations

from typing import Annotated

import typer


def execute(
    node: Annotated[
        str | None, typer.Argument(help="Name of a live node; without it, the live nodes are listed.")
    ] = None,
    command: Annotated[list[str] | None, typer.Argument(metavar="-- COMMAND...", help="What to run there.")] = None,
    run: Annotated[str | None, typer.Option(help="Id of the run, where several are live; before the node.")] = None,
) -> None:
    """Run a command inside a node of a live run: `skyloom exec gs-tokyo -- ping -c 3 gs-paris`. Names resolve."""
    import sys

    from emulator.client.watch import ask
    from emulator.model.errors import UsageError
    from emulator.runtime.control.messages import ListNodes, NodeNames

    words = [word for position, word in enumerate(command or []) if position or word != "--"]
    if node is None:
        sys.stdout.write("\n".join(ask(ListNodes(), NodeNames, run).names) + "\n")
        return
    if not words:
        raise UsageError(f"what shall run on {node}? for example: skyloom exec {node} -- ip address")
    from emulator.client.exec import execute as run_there

    raise typer.Exit(run_there(node, words, run))
