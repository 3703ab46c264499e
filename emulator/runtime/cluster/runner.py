"""The runner: the process that plays one host of a run on its machine.

    runner ── watcher ── PID 1 ── host      the sandbox, which inherits the connection to the lead and the trunks

Trunk sockets are opened here, in the machine's network; inside the sandbox there is no way out, and none is needed.
Invariant: the sandbox does not outlive the runner, nor the lead by more than FENCE_S, whether the lead has ended, is
stopped or cannot be reached: the host tells of each beat of the lead by a byte on a pipe.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress

from emulator.fabric import sandbox
from emulator.model.errors import EXIT_PLATFORM, PlatformError
from emulator.runtime.cluster.host import Host
from emulator.runtime.cluster.machines import Task
from emulator.runtime.cluster.versions import clock_of, versions
from emulator.runtime.control.cluster_messages import Hello, Welcome
from emulator.runtime.control.tls import TlsConnection, context
from emulator.runtime.data_plane import with_routed_ipv6

CONNECT_S = 5.0
ANSWER_S = 20.0  # the lead starts the runners of all hosts before it answers the first
FENCE_S = 3.0  # without a beat of the lead, once there was one
GRACE_S = 0.5  # for the host to end by itself
TRUNK_BYTES = 4 << 20  # of a trunk's buffers in the kernel


def run(task: Task, address: str) -> int:
    """Play the host of `task`; other hosts reach this machine at `address`. Returns the exit code of the sandbox."""
    try:
        end = socket.create_connection(task.lead, timeout=CONNECT_S)
    except OSError as error:
        raise PlatformError(f"the lead at {task.lead[0]}:{task.lead[1]} cannot be reached: {error}") from None
    connection = TlsConnection(end, context(task.identity, listens=False))
    trunks = _trunks(task, address)
    run_clock = _introduce(task, address, connection, trunks)
    beats, beat = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    keep = {connection.fileno(), beat, *(trunk.fileno() for trunk in trunks.values())}
    names = {node.name: (node.ipv4, node.ipv6) for node in with_routed_ipv6(task.network).nodes if node.ipv4}

    def main() -> int:
        fds = {peer: trunk.fileno() for peer, trunk in trunks.items()}
        return Host(task, connection, beat, fds, run_clock).run()

    watcher = sandbox.spawn(main, names, keep_fds=keep)
    os.close(beat)
    for trunk in trunks.values():
        trunk.close()
    return _guard(watcher, connection.socket, beats)


def _trunks(task: Task, address: str) -> dict[int, socket.socket]:
    """A UDP socket for each other host."""
    found = {}
    for peer in range(task.hosts):
        if peer != task.host:
            trunk = found[peer] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                trunk.setsockopt(socket.SOL_SOCKET, option, TRUNK_BYTES)  # the kernel gives what it allows
            trunk.bind((address, 0))
            trunk.setblocking(False)
    return found


def _introduce(task: Task, address: str, connection: TlsConnection, trunks: dict[int, socket.socket]) -> bool:
    """Say hello, and connect the trunks; returns whether this machine has the run's clock. PlatformError."""
    try:
        connection.shake_hands(ANSWER_S)
    except OSError as error:
        raise PlatformError(
            f"whoever answers at {task.lead[0]}:{task.lead[1]} is not this run's lead: {error}"
        ) from None
    ports = tuple(trunks[peer].getsockname()[1] if peer in trunks else 0 for peer in range(task.hosts))
    connection.say(Hello(task.host, versions(), clock_of(), address, ports))
    try:
        frame = connection.receive_within(ANSWER_S)
    except TimeoutError:
        raise PlatformError(f"the lead has not answered within {ANSWER_S:g} s") from None
    if frame is None:
        raise PlatformError("the lead has closed the connection; its own message says why")
    welcome = frame.message((Welcome,))
    for peer, trunk in trunks.items():
        trunk.connect(welcome.trunks[peer])
    return welcome.run_clock


def _guard(watcher: int, lead: socket.socket, beats: int) -> int:
    """Wait for the end of the sandbox; end it when the lead is gone. Returns its exit code.

    The connection is the sandbox's now: here its socket is watched, but neither read nor written.
    """
    pidfd, poll = os.pidfd_open(watcher), select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(beats, select.POLLIN)
    poll.register(lead, select.POLLRDHUP)
    last_s = None
    while True:
        left_s = FENCE_S if last_s is None else last_s + FENCE_S - time.monotonic()
        ready = dict(poll.poll(max(0.0, left_s) * 1e3))
        if pidfd in ready:
            return _code(watcher)
        if ready.get(beats, 0) & select.POLLIN:
            os.read(beats, 4096)
            last_s = time.monotonic()
        elif beats in ready:  # the host is ending
            poll.unregister(beats)
        lost = lead.fileno() in ready or (last_s is not None and time.monotonic() >= last_s + FENCE_S)
        if lost:
            only = select.poll()
            only.register(pidfd, select.POLLIN)
            if lead.fileno() not in ready or not only.poll(GRACE_S * 1e3):
                with suppress(ProcessLookupError):
                    os.kill(watcher, signal.SIGKILL)
            _code(watcher)
            return EXIT_PLATFORM


def _code(watcher: int) -> int:
    status = os.waitstatus_to_exitcode(os.waitpid(watcher, 0)[1])
    return status if status >= 0 else 128 - status
