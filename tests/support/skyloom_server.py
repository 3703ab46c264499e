"""Runs `skyloom` commands, each in a fork of this process, which has imported what they import: half the time of a run.

    python skyloom_server.py FD

FD is a Unix socket that keeps messages apart. A request is a JSON object (see `play`) with two descriptors
for what the command writes; two answers are its process id and, when it has ended, its exit code. The server ends when
the socket closes. Invariant: it has no threads of Python, since runs are forked from it.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
from importlib import import_module

# Not polars, scipy and matplotlib: they start threads, and no command imports them before its run is forked.
IMPORTED = (
    "asyncio", "networkx", "numpy", "pydantic", "typer", "uvloop",
    "emulator.cli.chosen", "emulator.cli.play", "emulator.cli.run", "emulator.client", "emulator.report.predicted",
    "emulator.report.summary", "emulator.runtime.supervisor.supervisor", "emulator.scenario.build", "emulator.ui",
    "topologies.graph.slots",
)  # fmt: skip


def play(
    words: list[str], folder: str, environment: dict[str, str], memory_bytes: int | None, out: int, err: int
) -> None:
    """The command, in a process of its own that ends with it."""
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, 100)
    sys.argv = ["skyloom", *words]
    sys.path[0] = folder
    code: object = 70
    try:
        from emulator.cli import main

        main()
    except SystemExit as ended:
        code = ended.code
    finally:
        os._exit(code if isinstance(code, int) else 70)


def serve(requests: socket.socket) -> None:
    while True:
        text, descriptors, _, _ = socket.recv_fds(requests, 1 << 20, 2)
        if not text:
            return
        pid = os.fork()
        if pid == 0:
            play(**json.loads(text), out=descriptors[0], err=descriptors[1])
        for descriptor in descriptors:
            os.close(descriptor)
        requests.send(b"%d" % pid)
        requests.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    for name in IMPORTED:
        import_module(name)
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        serve(asked)
