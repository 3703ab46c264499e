"""`skyloom logs`: what the programs of a node print, live or from a finished run."""

from __future__ import annotations

from typing import Annotated

import typer


def logs(
    node: Annotated[str, typer.Argument(help="Name of a node.")],
    program: Annotated[str | None, typer.Argument(help="Name of a program on it; without it, all of the node.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    run: Annotated[
        str, typer.Option(help="Run folder, `latest`, a scenario (its newest run) or a run's id.")
    ] = "latest",
) -> None:
    """Show what programs print on a node: `skyloom logs v0 etcd -f`. With several logs each line names its program."""
    import sys

    from emulator.client.find import find
    from emulator.client.logs import lines, logs_of
    from emulator.model.printable import printable

    folder = find(run)
    for line in lines(folder, logs_of(folder, node, program), follow):
        sys.stdout.write(printable(line.decode("utf-8", "replace")))
        if follow:
            sys.stdout.flush()
