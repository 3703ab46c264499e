"""`skyloom shell`: the Mininet prompt on a live run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def shell(
    script: Annotated[Path | None, typer.Argument(help="A file of commands to run instead of asking.")] = None,
    run: Annotated[str | None, typer.Option(help="Id of the run, where several are live.")] = None,
) -> None:
    """Open the Mininet prompt on a live run: `gs-tokyo ping -c 3 gs-paris`, `nodes`, `links`, `exit`."""
    from emulator.client.watch import choose

    run_id = choose(run)
    from mininet.log import setLogLevel

    from emulator.client.mininet_shell import executor, network_of, switcher
    from emulator.fabric.mininet.net import Net
    from emulator.fabric.mininet.popen import popen_through
    from emulator.fabric.mininet.prompt import Prompt

    setLogLevel("info")
    net = Net(network_of(run_id), popen=popen_through(executor(run_id)), set_links=switcher(run_id))
    try:
        Prompt(net, script=str(script) if script else None)
    finally:
        net.stop()
