"""Commands that ask the relayer of the node they run on: `skyloom exec relayer-1 -- status`.

Invariant: exit status 0 where the relayer understood, 64 where it did not, 69 where none answers on this node.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Sequence

from emulator.model.errors import EXIT_PASS, EXIT_PLATFORM, EXIT_USAGE

SOCKET = "\0skyloom-relayer"  # an abstract address, which each network namespace has for itself
COMMANDS = dict.fromkeys(("status", "pending", "why", "clear", "recover"), f"{__name__}:main")
_TIMEOUT_S = 10.0


def main(words: Sequence[str]) -> int:
    """Pass the words on, and print the answer."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as to:
            to.settimeout(_TIMEOUT_S)
            to.connect(SOCKET)
            to.sendall(json.dumps(words).encode() + b"\n")
            understood, text = json.loads(to.makefile().read())
    except (OSError, ValueError) as error:
        sys.stderr.write(f"no relayer answers on this node: {error}; run this on the node of a relayer\n")
        return EXIT_PLATFORM
    (sys.stdout if understood else sys.stderr).write(f"{text}\n")
    return EXIT_PASS if understood else EXIT_USAGE
