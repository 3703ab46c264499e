"""The Mininet prompt over a Skyloom network: `gs-tokyo ping gs-paris`.

Invariant: node names may hold hyphens and dots, and stand for addresses everywhere but at the start of a line.
"""

from __future__ import annotations

from cmd import Cmd
from typing import Any

from mininet.cli import CLI
from mininet.log import error

from emulator.model.errors import SkyloomError


class Prompt(CLI):  # type: ignore[misc]
    """Mininet's command line. `Prompt(net)` runs until its user leaves; `Prompt(net, script=path)` runs a file."""

    prompt = "skyloom> "
    identchars = Cmd.identchars + "-."

    def default(self, line: str) -> None:
        first, _, _ = self.parseline(line)
        if first and first not in self.mn and any(node.name == first for node in self.mn.network.nodes):
            error(f"*** {first} is a transit node of the relay and runs no commands; see `materialise`\n")
            return
        super().default(line)

    def onecmd(self, line: str) -> Any:
        try:
            return super().onecmd(line)
        except SkyloomError as trouble:  # a command that cannot be done must not end the prompt
            error(f"*** {trouble}\n")
            return None

    def _unsupported(self, _line: str) -> None:
        "Not part of Skyloom: there is no OpenFlow, and terminals are opened by `skyloom exec NODE -- bash`."
        error("*** not part of Skyloom; for a terminal in a node: skyloom exec NODE -- bash\n")

    do_xterm = do_gterm = do_x = do_dpctl = do_switch = _unsupported
