"""A pod: a machine that waits for runs, and plays one host of each; `skyloom cluster pod`.

    lead ── TLS ── pod ── child ── runner ── sandbox      a child for each who connects
       ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄ the runner's own connection

The child says what this machine is, hears a task, and sends back how its runner ended and what it wrote.

Invariant: nothing is heard from who has not the pod's identity; one run is played at a time; a child, its runner and
their files end with the connection or with the pod. A crowd of strangers keeps no lead out: the oldest have to go.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Any, NoReturn

import msgpack

from emulator.fabric.kernel.syscalls import die_with_parent
from emulator.model.errors import DataError, PlatformError
from emulator.runtime.cluster.runner_process import LARGEST_BYTES, RunnerProcess
from emulator.runtime.cluster.versions import versions
from emulator.runtime.control.tls import context, new_identity

PORT = 7464
CERTIFICATE, KEY = "tls.crt", "tls.key"  # as in a Secret of Kubernetes
MOST_CALLERS = 16  # at a time
GO = signal.SIGUSR1  # to the oldest callers, where there are more
STRANGER_S = 10  # until a caller has shown who it is
SEND_S = 20.0  # for the lead to take some of what is sent
KEEPALIVE = {socket.TCP_KEEPIDLE: 5, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3}
SIZE = Struct("<I")
SMALL_BYTES = 1 << 16


class Line:
    """Messages of names and values between a lead and a pod."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self.tls = tls

    def say(self, message: dict[str, Any]) -> None:
        """OSError where the other has gone."""
        data: bytes = msgpack.packb(message)
        self.tls.sendall(SIZE.pack(len(data)) + data)

    def hear(self, most_bytes: int = SMALL_BYTES) -> dict[str, Any]:
        """The next one. OSError where the other has gone, or says something else."""
        (size,) = SIZE.unpack(self.read(SIZE.size))
        if size > most_bytes:
            raise OSError(f"a message of {size} bytes; expected at most {most_bytes}")
        try:
            found = msgpack.unpackb(self.read(size))
        except ValueError as error:
            raise OSError(f"no message: {error}") from None
        if not isinstance(found, dict):
            raise OSError("no message: expected names and values")
        return found

    def read(self, size: int) -> bytes:
        """So many bytes. OSError."""
        found = bytearray(size)
        left = memoryview(found)
        while left:
            count = self.tls.recv_into(left)
            if not count:
                raise ConnectionResetError("the other side has closed the connection")
            left = left[count:]
        return bytes(found)


def make_secret(folder: Path) -> None:
    """Write a new identity, in two files. DataError where there is one already, or it cannot be written."""
    text = new_identity()
    key = text.index(b"-----BEGIN PRIVATE KEY")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, part, mode in ((KEY, text[key:], 0o600), (CERTIFICATE, text[:key], 0o644)):
            with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(part)
    except OSError as error:
        raise DataError(f"{folder}: {error}; expected a folder without {CERTIFICATE} and {KEY}") from None


def secret_of(folder: Path) -> bytes:
    """The identity in a folder. DataError."""
    try:
        found = (folder / CERTIFICATE).read_bytes() + (folder / KEY).read_bytes()
        context(found, listens=True)
    except (OSError, ValueError) as error:  # ssl.SSLError among them
        raise DataError(
            f"{folder} has no identity: {error}; expected {CERTIFICATE} and {KEY} of `skyloom cluster secret`"
        ) from None
    return found


def serve(identity: bytes, port: int, tell: Callable[[str], None]) -> NoReturn:
    """Wait for runs on a port of all IPv4 addresses, one after another, until SIGTERM. PlatformError.

    The process may be the first of a container: it takes the signal itself, and reaps orphans.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    tls = context(identity, listens=True)
    playing = os.memfd_create("playing")  # its lock is held by the child that plays
    try:
        listener = socket.create_server(("", port))
    except OSError as error:
        raise PlatformError(f"no port {port}: {error}; another one: --port") from None
    tell(f"waiting for runs on port {listener.getsockname()[1]}")
    callers: list[int] = []  # the oldest first
    while True:
        if select.select([listener], [], [], 1.0)[0]:
            with suppress(OSError):  # the caller has gone
                end, address = listener.accept()
                with end:
                    callers.append(_answer(end, f"{address[0]}: ", tls, playing, tell))
        if len(callers) > MOST_CALLERS:
            for caller in callers[:2]:  # one of them may play; it does not heed
                os.kill(caller, GO)
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                callers = [caller for caller in callers if caller != ended]


def _answer(end: socket.socket, who: str, tls: ssl.SSLContext, playing: int, tell: Callable[[str], None]) -> int:
    """Fork the child that talks to a caller; its process id."""
    pod = os.getpid()
    if (child := os.fork()) != 0:
        return child
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with_parent(signal.SIGKILL)
        if os.getppid() == pod:
            signal.alarm(STRANGER_S)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a machine that is gone closes nothing
            for option, value in KEEPALIVE.items():
                end.setsockopt(socket.IPPROTO_TCP, option, value)
            _play(Line(tls.wrap_socket(end, server_side=True)), playing, lambda words: tell(who + words))
    except ssl.SSLError as error:
        tell(f"{who}turned away: {error.reason or error}")
    except Exception as error:
        tell(f"{who}the run cannot be played: {error or type(error).__name__}")
    finally:
        os._exit(0)


def _play(line: Line, playing: int, tell: Callable[[str], None]) -> None:
    try:
        fcntl.lockf(playing, fcntl.LOCK_EX | fcntl.LOCK_NB)
        busy = False
    except OSError:
        busy = True
    signal.signal(GO, signal.SIG_IGN)
    line.say({"versions": versions(), "cores": _cores(), "busy": busy})
    if busy:
        return
    signal.alarm(0)
    given = line.hear(LARGEST_BYTES)  # once the lead has divided the network
    tell("a run begins")
    threading.Thread(target=_end_with, args=(line.tls.fileno(),), daemon=True).start()
    process = RunnerProcess(given["task"], given["files"])
    line.say({"prepared": True})
    how, files = process.wait()
    tell(how)
    line.tls.settimeout(SEND_S)
    line.say({"ended": how, "files": len(files)})
    line.tls.sendall(files)
    select.select([line.tls], [], [], SEND_S)  # until the lead has all: it closes


def _cores() -> float:
    """Of this machine, or what a container may use of them."""
    cores = float(len(os.sched_getaffinity(0)))
    with suppress(OSError, ValueError):  # where a container's limit is not told, or "max"
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, int(quota) / int(period))
    return cores


def _end_with(connection: int) -> None:
    """End this process, and so its runner, when the lead closes the connection; it says nothing more."""
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLRDHUP)
    poll.poll()
    os._exit(0)
