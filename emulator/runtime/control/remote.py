"""The connection between two machines of a run: typed messages and raw packets as frames over a stream.

    u32 bytes that follow the head · u8 kind · u32 number (of a process or a capture) · data

Invariant: a frame arrives whole and in order, or the connection ends. Neither side waits for the other: what the peer
has not read yet waits in a buffer of at most MOST_WAITING bytes, past which sending fails.
"""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Callable, Iterable
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from emulator.runtime.control.encoding import BadMessage, ControlMessage, T, decode, encode

HEAD = Struct("<IBI")
LARGEST_BYTES = 1 << 20  # of the data of a frame
MOST_WAITING = 32 << 20
BUSY_BYTES = 4 << 20  # waiting, from which on what may be left out should be
READ_BYTES = 1 << 18


class Kind(IntEnum):
    """What a frame carries."""

    MESSAGE = 0  # a control message
    PACKET = 1  # of the line to a process; empty: the line is closed
    REPORT = 2  # of a relay; downwards an order to it
    CAPTURE = 3  # bytes of a capture; empty: its end
    STREAM = 4  # of a process; what is in it is in cluster/streams.py
    FOLDER = 5  # bytes of the archive of a run folder; empty: its end


class Frame(NamedTuple):
    kind: Kind
    number: int
    data: bytes

    def message(self, expected: tuple[type[T], ...]) -> T:
        """The control message in it. BadMessage."""
        return decode(self.data, expected)


class Connection:
    """One end of it, in clear; `tls.TlsConnection` is what crosses networks."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        if end.family != socket.AF_UNIX:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = end
        self.on_room: Callable[[], None] = lambda: None  # all that waited has left
        self._incoming = bytearray()
        self._outgoing = bytearray()  # as the socket takes it
        self._loop: asyncio.AbstractEventLoop | None = None

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def busy(self) -> bool:
        """Whether so much waits that what may be left out should be."""
        return len(self._outgoing) > BUSY_BYTES

    def attach(self, heard: Callable[[], None]) -> None:
        """Serve it in the running event loop; `heard` is called when something has come."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.fileno(), heard)
        if self._outgoing:
            self._loop.add_writer(self.fileno(), self._flush)

    def detach(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self.fileno())
            self._loop.remove_writer(self.fileno())
            self._loop = None

    def say(self, message: ControlMessage) -> None:
        """Send a control message. OSError where the peer has gone or reads nothing."""
        self.send(Kind.MESSAGE, 0, encode(message))

    def send(self, kind: Kind, number: int, data: bytes | bytearray) -> None:
        """Send a frame. OSError where the peer has gone or reads nothing."""
        if len(self._outgoing) > MOST_WAITING:
            raise TimeoutError(f"{len(self._outgoing)} bytes wait for the peer")
        waiting = bool(self._outgoing)
        self._put(HEAD.pack(len(data), kind, number), data)
        if not waiting:
            self._flush()

    def receive(self) -> Frame | None:
        """The next frame; None where the peer has closed. BlockingIOError where none is whole; BadMessage."""
        while True:
            if len(self._incoming) >= HEAD.size:
                size, kind, number = HEAD.unpack_from(self._incoming)
                if size > LARGEST_BYTES or kind not in Kind._value2member_map_:
                    raise BadMessage(f"a frame of kind {kind} and {size} bytes; expected one of this version")
                if len(self._incoming) >= HEAD.size + size:
                    data = bytes(self._incoming[HEAD.size : HEAD.size + size])
                    del self._incoming[: HEAD.size + size]
                    return Frame(Kind(kind), number, data)
            try:
                read = self._read()
            except BlockingIOError:
                raise
            except OSError:
                return None
            if not read:
                return None
            self._incoming += read

    def _put(self, head: bytes, data: bytes | bytearray) -> None:
        """Add a frame to what waits."""
        self._outgoing += head
        self._outgoing += data

    def _read(self) -> bytes:
        """What the peer has sent, as far as it is here; empty where it has closed. BlockingIOError, OSError."""
        return self.socket.recv(READ_BYTES)

    def _wait(self, deadline: float, timeout_s: float) -> None:
        """Wait for the peer, to read or to be read. TimeoutError after the deadline."""
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"nothing heard for {timeout_s:g} s") from None
        poll = select.poll()
        poll.register(self.socket, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        poll.poll(left_s * 1e3)

    def receive_within(self, timeout_s: float) -> Frame | None:
        """The next frame, outside of an event loop. TimeoutError; else as `receive`."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._flush()
            try:
                return self.receive()
            except BlockingIOError:
                self._wait(deadline, timeout_s)

    def drain(self, timeout_s: float) -> bool:
        """Send what waits, outside of an event loop; whether all is out."""
        self._flush()
        deadline = time.monotonic() + timeout_s
        poll = select.poll()
        poll.register(self.socket, select.POLLOUT)
        while self._outgoing and (left_s := deadline - time.monotonic()) > 0:
            poll.poll(left_s * 1e3)
            self._flush()
        return not self._outgoing

    def close(self) -> None:
        self.detach()
        self.socket.close()

    def _flush(self) -> None:
        """Send what the socket takes, and come back when it takes more."""
        sent = 0
        try:
            while sent < len(self._outgoing):
                with memoryview(self._outgoing) as view, view[sent:] as rest:
                    sent += self.socket.send(rest)
        except BlockingIOError:
            pass
        except OSError:  # the reader notices
            sent = len(self._outgoing)
        del self._outgoing[:sent]
        if self._loop is not None:
            if self._outgoing:
                self._loop.add_writer(self.fileno(), self._flush)
            else:
                self._loop.remove_writer(self.fileno())
                self.on_room()


def wait_for(connections: Iterable[Connection], timeout_s: float = 0.05) -> None:
    """Wait until one of them has something to read, outside of an event loop, and send what waits in all."""
    poll = select.poll()
    for connection in connections:
        connection.drain(0.0)
        poll.register(connection.socket, select.POLLIN)
    poll.poll(timeout_s * 1e3)
