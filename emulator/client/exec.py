"""Runs a command on a node of a live run, in this terminal.

Invariant: the command gets the caller's descriptors, or its own terminal if the caller's are terminals; the caller ends
with its exit code, and it does not outlive the caller.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import termios
import tty
from collections.abc import Sequence
from pathlib import Path

from emulator.client.watch import Connection
from emulator.runtime.control.messages import Execute, Exited, Signal, Started

ENVIRONMENT_BYTES = 40_000  # of a larger environment only variables of terminal and language are passed
ESSENTIAL = ("PATH", "HOME", "TERM", "LANG", "USER", "SHELL", "TZ")
COPY_BYTES = 1 << 16


def environment() -> dict[str, str]:
    """This process's environment, as far as it fits into a message."""
    every = {key: value for key, value in os.environ.items() if _encodable(key) and _encodable(value)}
    if sum(len(key) + len(value) for key, value in every.items()) <= ENVIRONMENT_BYTES:
        return every
    return {key: value for key, value in every.items() if key in ESSENTIAL or key.startswith("LC_")}


def execute(node: str, command: Sequence[str], run: str | None = None) -> int:
    """Run `command` on `node`; returns its exit code as a shell would (128 + n for signal n)."""
    connection = Connection(run)
    request = Execute(node, tuple(command), environment(), str(Path.cwd()), terminal=os.isatty(0))
    try:
        if request.terminal:
            return _on_a_terminal(connection, request)
        connection.ask(request, Started, (0, 1, 2))
        return _until_exit(connection)
    finally:
        connection.close()


def _until_exit(connection: Connection) -> int:
    """Wait for the end, passing Ctrl-C and SIGTERM on."""

    def pass_on(number: int, _frame: object) -> None:
        connection.send(Signal(number))

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _code(connection.receive((Exited,)).status)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _on_a_terminal(connection: Connection, request: Execute) -> int:
    """Give the command its own terminal; this one is copied to and from it in raw mode."""
    master, slave = pty.openpty()
    _copy_size(master)
    streams = tuple(slave if os.isatty(fd) else fd for fd in (0, 1, 2))
    try:
        connection.ask(request, Started, streams)
    finally:
        os.close(slave)
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before_wake = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    before_winch = signal.signal(signal.SIGWINCH, lambda *_: _copy_size(master))
    settings = termios.tcgetattr(0)
    try:
        tty.setraw(0, termios.TCSANOW)
        return _code(_copy(connection, master, woken))
    finally:
        termios.tcsetattr(0, termios.TCSANOW, settings)  # does not wait for output that is not read
        signal.signal(signal.SIGWINCH, before_winch)
        signal.set_wakeup_fd(before_wake)
        for fd in (master, woken, wake):
            os.close(fd)


def _copy(connection: Connection, master: int, woken: int) -> int:
    """Copy both ways until the command has ended and its output is copied; returns its status."""
    status: int | None = None
    inputs = {0, master, woken, connection.fileno()}
    while True:
        ready, _, _ = select.select(inputs, [], [], 0.2 if status is not None else None)
        if woken in ready:
            os.read(woken, 4096)
        if master in ready and not _move(master, 1):
            inputs.discard(master)
            ready.remove(master)
        if 0 in ready and not _move(0, master):
            inputs.discard(0)
        if status is None and connection.fileno() in ready:
            status = connection.receive((Exited,)).status
            inputs -= {0, connection.fileno()}
        if status is not None and master not in ready:
            return status


def _move(source: int, target: int) -> bool:
    try:
        data = os.read(source, COPY_BYTES)
    except OSError:  # the terminal's last user has closed it
        return False
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    return bool(data)


def _copy_size(master: int) -> None:
    try:
        fcntl.ioctl(master, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))
    except OSError:
        pass


def _code(status: int) -> int:
    return 128 - status if status < 0 else status


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
