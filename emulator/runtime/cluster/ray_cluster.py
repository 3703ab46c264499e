"""A Ray cluster as the machines of a run on several hosts; a `machines.Cluster`.

    launcher ── agent ─ ─ Ray ─ ─ actor ── runner ── sandbox      one on each machine
       └ sandbox: supervisor, at the other end of the agent's line

Ray finds, reserves and starts. It carries neither packets nor orders, and nobody relies on it to notice a lost machine:
the lead's own beats do. The agent (`ray_agent.py`) holds the connection to Ray, because the sandbox has no way out.

Invariant: the agent ends when the line does, and with it all actors; so a run that is killed leaves nothing anywhere.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any

import msgpack

from emulator.model.errors import PlatformError
from emulator.runtime.cluster.machines import Task
from emulator.runtime.cluster.ray_joining import ANSWER_S, READY_S
from emulator.runtime.cluster.runner_process import told, within_package

JOIN_S = 30.0  # Ray's own import and joining included
START_S = READY_S + ANSWER_S + 5.0  # longer than the agent waits: its words name the machine
RELEASE_S = 10.0


class RayCluster:
    """At most `most` machines of the cluster at `address` ("host:port" or "auto"), for a scenario of this directory.

    Make it outside of the sandbox, before the process has threads: it forks the agent. PlatformError where the cluster
    cannot be joined. `fds` must be kept in the sandbox, and closed outside once it is there.
    """

    def __init__(self, address: str, directory: str, most: int | None = None) -> None:
        self._package = within_package(directory)
        self._line, theirs = Pipe()
        pid = os.fork()
        if pid == 0:
            self._line.close()
            os.setsid()  # a terminal's Ctrl-C is for the launcher
            if os.fork() == 0:  # a child of nobody, which nobody has to wait for
                _serve(theirs, address, None if self._package else directory, most)
            os._exit(0)
        os.waitpid(pid, 0)
        theirs.close()
        self._ends: dict[int, str] = {}
        self._lost: list[str] = []  # hosts whose files have not come, and why
        self._failed = ""
        self._started = False
        joined = self._answer("machines", JOIN_S)
        self._names: list[str] = joined["machines"]
        self.cores: list[float] = joined["cores"]
        self._listener = socket.create_server((joined["here"], 0), backlog=len(self._names))

    @property
    def fds(self) -> set[int]:
        return {self._line.fileno(), self._listener.fileno()}

    def close(self) -> None:
        """Let go of it in this process alone."""
        self._line.close()
        self._listener.close()

    def names(self) -> Sequence[str]:
        return self._names

    def listen(self) -> socket.socket:
        return self._listener

    def start(self, tasks: Sequence[Task]) -> None:
        first = tasks[0]
        self._say(told(first, self._package) | {"folder": str(first.folder)})
        self._answer("started", START_S)
        self._started = True

    def ended(self, host: int) -> str:
        with suppress(EOFError, OSError):
            while self._line.poll(0):
                self._take(msgpack.unpackb(self._line.recv_bytes()))
        return self._ends.get(host, self._failed)

    def release(self, silent: Collection[int] = ()) -> Sequence[str]:
        """End all runners, and wait for the files that they wrote."""
        try:
            self._say({"release": True, "silent": list(silent)})
            self._answer("released", RELEASE_S)
        except (PlatformError, OSError) as error:
            if self._started:
                self._lost.append(str(error))
        self.close()
        return [f"files that programs wrote on other machines have not come: {why}" for why in self._lost]

    def _say(self, message: dict[str, Any]) -> None:
        self._line.send_bytes(msgpack.packb(message))

    def _take(self, message: dict[str, Any]) -> None:
        if "ended" in message:
            self._ends[message["ended"]] = message["how"]
            if message["lost"]:
                self._lost.append(f"{self._names[message['ended']]}: {message['lost']}")
        self._failed = message.get("error", self._failed)

    def _answer(self, expected: str, within_s: float) -> dict[str, Any]:
        """The agent's answer. PlatformError with what it says instead, or where it says nothing."""
        try:
            while self._line.poll(within_s):
                message: dict[str, Any] = msgpack.unpackb(self._line.recv_bytes())
                self._take(message)
                if self._failed:
                    raise PlatformError(self._failed)
                if expected in message:
                    return message
        except (EOFError, OSError):
            raise PlatformError("the process that holds the connection to Ray has ended") from None
        raise PlatformError(f"Ray has not answered within {within_s:g} s")


def _serve(line: Connection, address: str, directory: str | None, most: int | None) -> None:
    """The agent's process. Ray's own warnings are nobody's business: what forbids a run is said over the line."""
    from emulator.runtime.cluster.ray_agent import serve

    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nowhere, fd)
    try:
        serve(line, address, directory, most)
    finally:
        os._exit(0)
