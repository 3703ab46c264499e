"""The session of a run: the supervisor makes it before anything else.

Invariant: Ctrl-C and a closed terminal reach the run as messages of the command that started it, never as signals.
"""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

from emulator.runtime.programs.child import redirect_stdio
from emulator.runtime.programs.node_runner import set_process_name

NICE_GROUP = -10  # of this session among sessions; the packet engine has -20, nodes 0
RUN_LOG = "_skyloom.txt"  # of the session that leads the run

_own_log = RUN_LOG


def own_log() -> str:
    """Where this session's processes say what goes wrong with them, as a message puts it."""
    return f"logs/{_own_log}"


def begin(name: str, log: Path) -> None:
    """Make the calling process the leader of a session, with a name, a log for standard error, and room for nodes."""
    global _own_log
    _own_log = log.name
    os.setsid()
    _come_before_nodes()
    set_process_name(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a socket and a namespace for each node
    redirect_stdio(log)


def _come_before_nodes() -> None:
    """Have this session (supervisor, planner, capture writer) come before the nodes when cores are short, as far as
    this user may: every node is a session of its own, and the kernel shares cores evenly between sessions."""
    try:
        with open("/proc/self/autogroup", "w") as file:
            file.write(str(NICE_GROUP))
    except OSError:
        pass
