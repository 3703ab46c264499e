"""Standard streams of commands that run on another host: what goes into and comes out of them, over the connection.

Invariant: output arrives in order and before the command's end is told; a stream that nobody reads ends with its
command.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import termios
import threading
import tty
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import SimpleQueue

from emulator.runtime.control.remote import Connection, Kind
from emulator.runtime.programs.launch import Launch

READ_BYTES = 1 << 16
NAMES = ("stdin", "stdout", "stderr")
EOT = b"\x04"
SIZE = 3  # in place of a stream: the size of a terminal
SIZE_S = 0.25  # between two looks at it
WRITE_S = 1.0  # for a reader to take the last output of a command


class HostStreams:
    """The streams of a host's commands: pipes, or a terminal each."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inputs: dict[int, int] = {}  # by process: where what its stdin shall read is written
        self._outputs: dict[tuple[int, int], int] = {}  # by process and stream: where it is read

    def open(self, launch: Launch) -> dict[str, int]:
        """The descriptors for the command, which the caller closes once it has them."""
        number = launch.number
        if launch.terminal:
            master, slave = pty.openpty()
            self._inputs[number] = os.dup(master)
            self._follow(number, 1, master)
            return dict.fromkeys(NAMES, slave)
        stdin, self._inputs[number] = os.pipe2(os.O_CLOEXEC)
        found = {"stdin": stdin}
        for stream in (1, 2):
            read_end, found[NAMES[stream]] = os.pipe2(os.O_CLOEXEC)
            self._follow(number, stream, read_end)
        return found

    def write(self, number: int, data: bytes) -> None:
        """Input for a command; nothing behind the stream's byte: its end."""
        fd = self._inputs.get(number)
        if fd is None:
            return
        if data[0] == SIZE:
            with suppress(OSError):
                fcntl.ioctl(fd, termios.TIOCSWINSZ, data[1:])
        elif data[1:]:
            with suppress(OSError):
                os.write(fd, data[1:])
        else:
            if os.isatty(fd):
                with suppress(OSError):
                    os.write(fd, EOT)
            del self._inputs[number]
            os.close(fd)

    def drain(self, number: int) -> None:
        """Send what a command that has ended has left in its streams."""
        for stream in (1, 2):
            while self._read(number, stream):
                pass
            self._end(number, stream)
        fd = self._inputs.pop(number, None)
        if fd is not None:
            os.close(fd)

    def _follow(self, number: int, stream: int, fd: int) -> None:
        os.set_blocking(fd, False)
        self._outputs[number, stream] = fd
        asyncio.get_running_loop().add_reader(fd, self._read, number, stream)

    def _read(self, number: int, stream: int) -> bool:
        fd = self._outputs.get((number, stream))
        if fd is None:
            return False
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # a terminal whose last user has closed it
            data = b""
        if data:
            self._connection.send(Kind.STREAM, number, bytes((stream,)) + data)
            return True
        self._end(number, stream)
        return False

    def _end(self, number: int, stream: int) -> None:
        fd = self._outputs.pop((number, stream), None)
        if fd is not None:
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)


class LeadStreams:
    """The other ends, at the lead: descriptors of a terminal's command, or of an action. `say(number, data)` sends.

    Reading and writing may wait for others, so each stream has a thread of its own.
    """

    def __init__(self, say: Callable[[int, bytes], None]) -> None:
        self._say = say
        self._outputs: dict[int, dict[int, SimpleQueue[bytes]]] = {}  # by process, then by stream
        self._threads: dict[int, list[threading.Thread]] = {}

    def open(self, launch: Launch, streams: Mapping[str, int]) -> None:
        """Follow copies of these descriptors until the process has ended."""
        number, loop = launch.number, asyncio.get_running_loop()
        self._outputs[number] = {}
        self._threads[number] = []
        for stream in (1,) if launch.terminal else (1, 2):
            queue: SimpleQueue[bytes] = SimpleQueue()
            self._outputs[number][stream] = queue
            thread = threading.Thread(target=_write_all, args=(os.dup(streams[NAMES[stream]]), queue), daemon=True)
            self._threads[number].append(thread)
            thread.start()
        source = os.dup(streams["stdin"])
        if launch.terminal:
            self._follow_size(number, os.dup(source), b"")
            tty.setraw(source, termios.TCSANOW)  # the far terminal does what this one would do

        def send(data: bytes) -> None:
            if number in self._outputs:
                self._say(number, b"\0" + data)

        threading.Thread(target=_read_all, args=(source, loop, send), daemon=True).start()

    def _follow_size(self, number: int, terminal: int, before: bytes) -> None:
        """Tell of the size of a terminal whenever it is another one, until its command has ended."""
        if number not in self._outputs:
            os.close(terminal)
            return
        size = fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8))
        if size != before:
            self._say(number, bytes((SIZE,)) + size)
        asyncio.get_running_loop().call_later(SIZE_S, self._follow_size, number, terminal, size)

    def write(self, number: int, data: bytes) -> None:
        """Output has come."""
        queue = self._outputs.get(number, {}).get(data[0])
        if queue is not None and len(data) > 1:
            queue.put(data[1:])

    def refuse(self, number: int, text: str) -> None:
        """A command could not be started: its standard error says so."""
        outputs = self._outputs.get(number, {})
        queue = outputs.get(2) or outputs.get(1)
        if queue is not None:
            queue.put(f"{text}\n".encode())
        self.close(number)

    def close(self, number: int) -> None:
        """A process has ended: what has come is written, and its descriptors closed."""
        for queue in self._outputs.pop(number, {}).values():
            queue.put(b"")
        for thread in self._threads.pop(number, []):
            thread.join(WRITE_S)


def _write_all(fd: int, queue: SimpleQueue[bytes]) -> None:
    with suppress(OSError):
        while data := queue.get():
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
    os.close(fd)


def _read_all(fd: int, loop: asyncio.AbstractEventLoop, send: Callable[[bytes], None]) -> None:
    data = b"."
    while data:
        try:
            data = os.read(fd, READ_BYTES)
        except OSError:
            data = b""
        with suppress(RuntimeError):  # the run has ended
            loop.call_soon_threadsafe(send, data)
    os.close(fd)
