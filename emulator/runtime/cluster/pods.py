"""Machines that wait for runs, reached by their names; a `machines.Cluster` (`pods:NAME,NAME[:PORT]`).

Connections are made outside of the sandbox, which has no way out, and used inside by the supervisor alone.

Invariant: a pod ends what it plays when its connection ends; so a run that is killed leaves nothing anywhere.
"""

from __future__ import annotations

import io
import os
import select
import socket
import ssl
import tarfile
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import msgpack

from emulator.model.errors import PlatformError, UsageError
from emulator.runtime.cluster.archives import unpack
from emulator.runtime.cluster.machines import Task
from emulator.runtime.cluster.pod import PORT, Line, secret_of
from emulator.runtime.cluster.runner_process import LARGEST_BYTES, packed_directory, told, within_package
from emulator.runtime.cluster.versions import skew, versions
from emulator.runtime.control.tls import context

PREFIX = "pods:"
SECRET = "SKYLOOM_SECRET"  # the environment variable with the folder of the identity
CONNECT_S = 5.0
FILES_S = 60.0  # to send the scenario's directory to a pod
START_S = 20.0
END_S = 1.0  # for the rest of what a pod has begun to say
RELEASE_S = 10.0


class Pods:
    """At most `most` of the pods that `address` names, for a scenario of this directory.

    PlatformError where one cannot be reached, has another identity or version, or plays another run. `fds` must be kept
    in the sandbox, and closed outside once it is there.
    """

    def __init__(self, address: str, directory: str, most: int | None = None) -> None:
        self._names, port = _named(address)
        if most is not None and most > len(self._names):
            raise PlatformError(f"--hosts {most}, and {address} names {len(self._names)}; expected at most as many")
        self._names = self._names[:most]
        folder = os.environ.get(SECRET)
        if not folder:
            raise UsageError(f"{SECRET} is not set; expected the folder that `skyloom cluster secret` has written")
        tls = context(secret_of(Path(folder)), listens=False)
        self._package = within_package(directory)
        self._files = b"" if self._package else packed_directory(directory)
        self._lines: list[Line] = []
        self._started: list[int] = []
        self._ends: dict[int, str] = {}
        self._left: dict[int, int] = {}  # bytes of files that a pod is about to send
        self._folder: Path
        self.cores: list[float] = []
        try:
            for name in self._names:
                self._lines.append(_connected(name, port, tls))
                self.cores.append(_met(name, self._lines[-1]))
            loopback = {ip_address(line.tls.getpeername()[0]).is_loopback for line in self._lines}
            if len(loopback) > 1:
                raise PlatformError(f"{address} names this machine by a loopback address; expected one that all reach")
            self._listener = socket.create_server(("", 0), backlog=len(self._names))
        except BaseException:
            self._hang_up()
            raise

    @property
    def fds(self) -> set[int]:
        return {self._listener.fileno(), *(line.tls.fileno() for line in self._lines)}

    def close(self) -> None:
        """Let go of it in this process alone."""
        self._hang_up()
        self._listener.close()

    def names(self) -> Sequence[str]:
        return self._names

    def listen(self) -> socket.socket:
        return self._listener

    def start(self, tasks: Sequence[Task]) -> None:
        self._folder = tasks[0].folder
        common, port = told(tasks[0], self._package), tasks[0].lead[1]
        for host, line in enumerate(self._lines):
            here, there = line.tls.getsockname()[0], line.tls.getpeername()[0]  # as the two machines reach each other
            task = common | {"host": host, "address": there, "lead": (here, port)}
            try:
                line.tls.settimeout(FILES_S)
                line.say({"task": msgpack.packb(task), "files": self._files})
            except OSError as error:
                raise PlatformError(f"{self._names[host]}: its pod has gone: {error}") from None
        self._files = b""
        for host, line in enumerate(self._lines):
            try:
                line.tls.settimeout(START_S)
                line.hear()
                line.tls.settimeout(END_S)
                self._started.append(host)
            except OSError as error:
                raise PlatformError(f"{self._names[host]}: its pod has not started a runner: {error}") from None

    def ended(self, host: int) -> str:
        line = self._lines[host]
        if host not in self._ends and (line.tls.pending() or select.select([line.tls], [], [], 0)[0]):
            self._hear_end(host)
        return self._ends.get(host, "")

    def release(self, silent: Collection[int] = ()) -> Sequence[str]:
        """Wait for the files that runners wrote, and end those that are left."""
        deadline = time.monotonic() + RELEASE_S
        waiting = {self._lines[host].tls: host for host in self._started if host not in silent}
        while waiting and (left_s := deadline - time.monotonic()) > 0:
            for tls in [tls for tls in waiting if tls.pending()] or select.select(list(waiting), [], [], left_s)[0]:
                self._take_files(waiting.pop(tls), deadline)
        self._started = []
        self.close()
        return ()

    def _take_files(self, host: int, deadline: float) -> None:
        line = self._lines[host]
        line.tls.settimeout(max(0.1, deadline - time.monotonic()))
        if host not in self._ends:
            self._hear_end(host)
        with suppress(OSError, tarfile.TarError):
            unpack(io.BytesIO(line.read(self._left.get(host, 0))), self._folder)

    def _hear_end(self, host: int) -> None:
        try:
            found = self._lines[host].hear()
            self._ends[host], self._left[host] = str(found["ended"]), min(int(found["files"]), LARGEST_BYTES)
        except (OSError, KeyError, TypeError, ValueError):
            self._ends[host] = "its pod has ended"

    def _hang_up(self) -> None:
        for line in self._lines:
            line.tls.close()


def _named(address: str) -> tuple[list[str], int]:
    """The names and the port of `pods:NAME,NAME[:PORT]`. UsageError."""
    names, colon, port = address.removeprefix(PREFIX).partition(":")
    found = names.split(",")
    if not all(found) or len(set(found)) < len(found) or (colon and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise UsageError(f"{address!r} names no pods; expected pods:NAME,NAME or pods:NAME,NAME:PORT, each name once")
    return found, int(port) if colon else PORT


def _connected(name: str, port: int, tls: ssl.SSLContext) -> Line:
    try:
        end = socket.create_connection((socket.gethostbyname(name), port), CONNECT_S)
    except (OSError, UnicodeError) as error:
        raise PlatformError(
            f"{name}: nothing answers at port {port}: {error}; is `skyloom cluster pod` running there?"
        ) from None
    try:
        return Line(tls.wrap_socket(end))
    except OSError as error:
        end.close()
        raise PlatformError(f"{name}: whoever answers has not the identity of {SECRET}: {error}") from None


def _met(name: str, line: Line) -> float:
    """The cores of the pod. PlatformError where no run can be played there."""
    try:
        hello = line.hear()
        cores, busy, difference = float(hello["cores"]), bool(hello["busy"]), skew(versions(), hello["versions"])
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise PlatformError(f"{name}: whoever answers there is no pod that knows us: {error}") from None
    if difference:
        raise PlatformError(f"{name}: {difference}")
    if busy:
        raise PlatformError(f"{name}: plays another run; expected a pod that waits")
    return cores
