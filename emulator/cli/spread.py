"""Options of all commands that play runs: over what each run is spread."""

from __future__ import annotations

from typing import Annotated

import typer

Hosts = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Spread each run over N pseudo-hosts of this machine, or over N of --cluster."
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Spread each run over the machines of a Ray cluster; `auto`: this one's; ray://…: from outside of it. "
        "Or pods:NAME,NAME[:PORT]: machines with `skyloom cluster pod`.",
    ),
]
