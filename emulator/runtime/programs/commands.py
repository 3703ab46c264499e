"""Commands that Python programs bring to their nodes (`Node.commands`): executables in a folder of the node's own.

Invariant: the folder is first in the PATH of commands on these nodes, and there is none on others. Where two programs
of a node bring a command of one name, it is that of the program that the scenario names first.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable

from emulator.fabric.host.settings import HostFile
from emulator.runtime.programs.node_runner import load_program

FOLDER = "/tmp/.skyloom-bin"  # in the node's own /tmp, so that it goes with the node


def executables(programs: Iterable[str]) -> list[HostFile]:
    """The commands of these programs ("package.module:Class"). EmulationError where one cannot be imported."""
    brought: dict[str, str] = {}
    for program in programs:
        for name, function in load_program(program).commands.items():
            brought.setdefault(name, function)
    return [HostFile(f"{FOLDER}/{name}", _script(name, function), 0o755) for name, function in brought.items()]


def _script(name: str, function: str) -> str:
    """A shell script, as a path with a blank cannot stand behind "#!"; it imports what this process could import."""
    module, _, attribute = function.partition(":")
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from {module} import {attribute} as run; sys.exit(run(sys.argv[1:]))"
    )
    return f'#!/bin/sh\nexec {shlex.join([sys.executable, "-c", code, name])} "$@"\n'
