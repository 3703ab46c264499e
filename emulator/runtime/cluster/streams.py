"""Standard streams of commands that run on another host: what goes into and comes out of them, over the connection.

    u8 stream (0, 1, 2), or SIZE, TAKEN or GONE · what went through it; nothing more: its end

Invariant: output arrives in order and before the command's end is told; a stream that nobody reads ends with its
command. Of each stream at most AHEAD pieces are on their way: who writes one out says TAKEN, and holds up nobody.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import termios
import threading
import tty
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from queue import SimpleQueue

from emulator.runtime.control.encoding import BadMessage
from emulator.runtime.control.remote import Connection, Kind
from emulator.runtime.programs.launch import Launch

READ_BYTES = 1 << 16
NAMES = ("stdin", "stdout", "stderr")
EOT = b"\x04"
SIZE = 3  # in place of a stream: the size of a terminal
TAKEN = 4  # likewise, and the stream behind it: a piece of it has been written out
GONE = 5  # likewise: nobody reads it any longer, so the command shall find it closed
AHEAD = 16
MOST_AHEAD = 4 * AHEAD  # also at a command's end, when nobody waits
SIZE_BYTES = 8  # of the size of a terminal
SIZE_S = 0.25  # between two looks at it
LOOK_S = 0.25  # between two looks whether a command whose input is awaited has ended
WRITE_S = 1.0  # for a reader to take the last output of a command


def _check(data: bytes) -> None:
    """BadMessage where a frame is none of a stream."""
    expected = {0: 1, 1: 1, 2: 1, SIZE: 1 + SIZE_BYTES, TAKEN: 2, GONE: 2}.get(data[0] if data else -1)
    if expected is None or len(data) < expected or (data[0] in (SIZE, TAKEN, GONE) and len(data) > expected):
        raise BadMessage(f"{len(data)} bytes that begin with {data[:1]!r} are of no stream")


class HostStreams:
    """The streams of a host's commands: pipes, or a terminal each."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inputs: dict[int, int] = {}  # by process: where what its stdin shall read is written
        self._unread: dict[int, deque[bytes]] = {}  # by process: what is not written yet; b"": its end
        self._ahead: Counter[tuple[int, int]] = Counter()  # by process and stream: pieces that are not taken
        self._outputs: dict[tuple[int, int], int] = {}  # by process and stream: where it is read

    def open(self, launch: Launch) -> dict[str, int]:
        """The descriptors for the command, which the caller closes once it has them."""
        number = launch.number
        self._unread[number] = deque()
        if launch.terminal:
            master, slave = pty.openpty()
            self._inputs[number] = os.dup(master)
            self._follow(number, 1, master)
            return dict.fromkeys(NAMES, slave)
        stdin, self._inputs[number] = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._inputs[number], False)
        found = {"stdin": stdin}
        for stream in (1, 2):
            read_end, found[NAMES[stream]] = os.pipe2(os.O_CLOEXEC)
            self._follow(number, stream, read_end)
        return found

    def write(self, number: int, data: bytes) -> None:
        """Input for a command; nothing behind the stream's byte: its end. BadMessage."""
        _check(data)
        if data[0] == TAKEN:
            self._taken(number, data[1])
            return
        if data[0] == GONE:
            self._end(number, data[1])
            return
        fd = self._inputs.get(number)
        if fd is None:
            return
        if data[0] == SIZE:
            with suppress(OSError):
                fcntl.ioctl(fd, termios.TIOCSWINSZ, data[1:])
        else:
            self._unread[number].append(data[1:])
            self._feed(number)

    def _feed(self, number: int) -> None:
        """Write what the command's stdin takes, and come back when it takes more."""
        fd, unread = self._inputs[number], self._unread[number]
        loop = asyncio.get_running_loop()
        while unread:
            data = unread[0] or (EOT if os.isatty(fd) else b"")
            try:
                written = os.write(fd, data) if data else 0
            except BlockingIOError:
                loop.add_writer(fd, self._feed, number)
                return
            except OSError:  # nobody will read it
                written = len(data)
            if not unread[0]:
                self._end_input(number)
                return
            if written < len(data):
                unread[0] = data[written:]
            else:
                unread.popleft()
                self._connection.send(Kind.STREAM, number, bytes((TAKEN, 0)))
        loop.remove_writer(fd)

    def _end_input(self, number: int) -> None:
        fd = self._inputs.pop(number, None)
        if fd is not None:
            asyncio.get_running_loop().remove_writer(fd)
            del self._unread[number]
            os.close(fd)

    def _taken(self, number: int, stream: int) -> None:
        fd = self._outputs.get((number, stream))
        if fd is not None:
            self._ahead[number, stream] -= 1
            asyncio.get_running_loop().add_reader(fd, self._read, number, stream)

    def drain(self, number: int) -> None:
        """Send what a command that has ended has left in its streams."""
        for stream in (1, 2):
            for _ in range(2 * AHEAD):  # more than a pipe holds: what others still write has no end
                if not self._read(number, stream):
                    break
            self._end(number, stream)
        self._end_input(number)

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
            self._ahead[number, stream] += 1
            if self._ahead[number, stream] >= AHEAD:
                asyncio.get_running_loop().remove_reader(fd)
            return True
        self._end(number, stream)
        return False

    def _end(self, number: int, stream: int) -> None:
        fd = self._outputs.pop((number, stream), None)
        self._ahead.pop((number, stream), None)
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
        self._written: dict[int, list[asyncio.Future[None]]] = {}  # by process: done when a stream is written out
        self._closing: dict[int, asyncio.Task[None]] = {}  # by process that has ended
        self._room: dict[int, threading.Semaphore] = {}  # by process: for pieces of its input

    def open(self, launch: Launch, streams: Mapping[str, int]) -> None:
        """Follow copies of these descriptors until the process has ended."""
        number, loop = launch.number, asyncio.get_running_loop()
        self._outputs[number] = {}
        self._written[number] = []
        for stream in (1,) if launch.terminal else (1, 2):
            queue: SimpleQueue[bytes] = SimpleQueue()
            self._outputs[number][stream] = queue
            written = loop.create_future()
            self._written[number].append(written)
            told = partial(self._told, loop, number, stream)
            ended = partial(_soon, loop, written.set_result, None)
            words = (os.dup(streams[NAMES[stream]]), queue, told, ended)
            threading.Thread(target=_write_all, args=words, daemon=True).start()
        source = os.dup(streams["stdin"])
        if launch.terminal:
            self._follow_size(number, os.dup(source), b"")
            tty.setraw(source, termios.TCSANOW)  # the far terminal does what this one would do

        room = self._room[number] = threading.Semaphore(AHEAD)
        threading.Thread(target=self._read_all, args=(number, source, loop, room), daemon=True).start()

    def _read_all(self, number: int, fd: int, loop: asyncio.AbstractEventLoop, room: threading.Semaphore) -> None:
        """In a thread. What comes after the command's end is for others who read there, such as the caller's shell."""
        poll, data = select.poll(), b"."
        poll.register(fd, select.POLLIN)
        while data:
            room.acquire()
            while number in self._outputs and not poll.poll(LOOK_S * 1e3):
                pass
            if number not in self._outputs:
                break
            try:
                data = os.read(fd, READ_BYTES)
            except OSError:
                data = b""
            _soon(loop, self._given, number, data)
        os.close(fd)

    def _given(self, number: int, data: bytes) -> None:
        if number in self._outputs:
            self._say(number, b"\0" + data)

    def _told(self, loop: asyncio.AbstractEventLoop, number: int, stream: int, what: int) -> None:
        """A thread has written a piece of output (TAKEN), or could not (GONE)."""
        _soon(loop, self._say, number, bytes((what, stream)))

    def _follow_size(self, number: int, terminal: int, before: bytes) -> None:
        """Tell of the size of a terminal whenever it is another one, until its command has ended."""
        if number not in self._outputs:
            os.close(terminal)
            return
        size = fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(SIZE_BYTES))
        if size != before:
            self._say(number, bytes((SIZE,)) + size)
        asyncio.get_running_loop().call_later(SIZE_S, self._follow_size, number, terminal, size)

    def write(self, number: int, data: bytes) -> None:
        """Output has come, or input has been taken. BadMessage."""
        _check(data)
        if data[0] == TAKEN:
            if number in self._room:
                self._room[number].release()
            return
        queue = self._outputs.get(number, {}).get(data[0])
        if queue is not None and len(data) > 1:
            if queue.qsize() > MOST_AHEAD:
                raise BadMessage(f"sends more of process {number} than is taken")
            queue.put(data[1:])

    def refuse(self, number: int, text: str, then: Callable[[], None]) -> None:
        """A command could not be started: its standard error says so, and its end is told as by `close`."""
        outputs = self._outputs.get(number, {})
        queue = outputs.get(2) or outputs.get(1)
        if queue is not None:
            queue.put(f"{text}\n".encode())
        self.close(number, then)

    def close(self, number: int, then: Callable[[], None]) -> None:
        """A process has ended: its descriptors are closed once what has come is written. Calls `then` after that, or
        where readers take longer than WRITE_S."""
        for queue in self._outputs.pop(number, {}).values():
            queue.put(b"")
        if (room := self._room.pop(number, None)) is not None:
            room.release()  # so that its thread ends
        written = self._written.pop(number, [])
        if number in self._closing:
            self._closing[number].add_done_callback(lambda _: then())
        elif written:
            task = self._closing[number] = asyncio.ensure_future(self._after(written, then))
            task.add_done_callback(lambda _: self._closing.pop(number))
        else:
            then()

    async def closed(self) -> None:
        """Wait until all that `close` was called for has been written, or given up."""
        if self._closing:
            await asyncio.wait(self._closing.values())

    async def _after(self, written: list[asyncio.Future[None]], then: Callable[[], None]) -> None:
        await asyncio.wait(written, timeout=WRITE_S)
        then()


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *given: object) -> None:
    """Have the loop call it; from a thread."""
    with suppress(RuntimeError):  # the run has ended
        loop.call_soon_threadsafe(call, *given)


def _write_all(
    fd: int, queue: SimpleQueue[bytes], told: Callable[[int], None], ended: Callable[[], None]
) -> None:  # fmt: skip
    while data := queue.get():
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(fd, view) :]
            told(TAKEN)
        except OSError:  # the reader has gone
            told(GONE)
    os.close(fd)
    ended()
