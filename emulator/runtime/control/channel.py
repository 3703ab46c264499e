"""The transport within one machine: packets over a SOCK_SEQPACKET Unix socket, with descriptors riding along.

Beside typed messages it carries the records of node processes, and plain maps (`send`, `receive`) between the
supervisor and its forks: the packet engine and the planner.

Invariant: one message is one packet of at most MESSAGE_BYTES, so nothing is ever split, joined or half read. A sender
with more to say sends more packets; one that cannot send keeps a bounded buffer and counts what it loses.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgpack

from emulator.model.clock import MonotonicClock
from emulator.model.errors import EmulationError
from emulator.runtime.control.encoding import MESSAGE_BYTES, UNREADABLE, BadMessage
from emulator.runtime.control.messages import Dropped
from emulator.runtime.control.transport import Transport, say, send_soon

RECORD_LIMIT = 20_000  # records that a node keeps while the supervisor is busy
RECORDS = 0xC1  # first byte of a packet of records; msgpack never uses it
MAX_FDS = 16  # a process takes ten: streams, its line, three namespaces and three control groups

Message = dict[str, Any]


class Channel:
    """One end of a control channel; a `transport.Transport`."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end

    @staticmethod
    def pair() -> tuple[Channel, Channel]:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        for end in (one, other):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MESSAGE_BYTES)  # the kernel gives what it allows
        return Channel(one), Channel(other)

    def fileno(self) -> int:
        return self.socket.fileno()

    def set_timeout(self, timeout_s: float | None) -> None:
        """How long sending and receiving wait; 0: not at all, None: for ever."""
        self.socket.settimeout(timeout_s)

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send one map; BlockingIOError where a non-blocking socket is full, OSError where the peer is gone."""
        self.send_bytes(packed(message), fds)

    def send_soon(self, message: Message, fds: Sequence[int] = (), timeout_s: float = 1.0) -> None:
        """Send one map over a non-blocking socket, waiting for room. TimeoutError."""
        send_soon(self, packed(message), fds, timeout_s)

    def send_bytes(self, data: bytes | bytearray, fds: Sequence[int] = ()) -> None:
        if fds:
            socket.send_fds(self.socket, [data], list(fds))
        else:
            self.socket.send(data)

    def receive_bytes(self) -> tuple[bytes, list[int]]:
        """One packet and its descriptors (close-on-exec); empty where the peer has closed."""
        try:
            data, fds, _flags, _ = socket.recv_fds(self.socket, MESSAGE_BYTES, MAX_FDS, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return b"", []
        return data, fds

    def receive(self) -> tuple[Message | None, list[int]]:
        """One map and its descriptors; None where the peer has closed."""
        data, fds = self.receive_bytes()
        if not data:
            return None, fds
        message: Message = msgpack.unpackb(data, strict_map_key=False)
        return message, fds

    def close(self) -> None:
        self.socket.close()


def packed(message: Message) -> bytes:
    """A map as it travels. EmulationError where it is too large."""
    data: bytes = msgpack.packb(message)
    if len(data) > MESSAGE_BYTES:
        raise EmulationError(f"a control message {message.get('op')!r} of {len(data)} bytes; {MESSAGE_BYTES} fit")
    return data


def records(data: bytes) -> Iterator[list[Any]]:
    """The records of a packet that starts with RECORDS; see `Outbox` for their shapes. BadMessage at the first that is
    none of them; those before it hold."""
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(memoryview(data)[1:])
    try:
        for record in unpacker:
            match record:
                case [int(), str(), dict()] | [int(), str(), float(), str()]:
                    yield record
                case _:
                    raise BadMessage("a record of another shape; expected an event or a sample")
    except UNREADABLE as error:
        raise BadMessage(f"{len(data)} bytes are no records: {error or type(error).__name__}") from None


class Outbox:
    """A node's events and samples on their way to the supervisor: packed at once, sent in batches, bounded.

    A record is `[monotonic_ns, kind, fields]` (event) or `[monotonic_ns, name, value, key]` (sample). Times are
    CLOCK_MONOTONIC so that records made before T0 is known come out right.
    """

    def __init__(self, channel: Transport, clock: MonotonicClock, limit: int = RECORD_LIMIT) -> None:
        self._channel = channel
        self._clock = clock
        self._limit = limit
        self._packer = msgpack.Packer()
        self._waiting: deque[bytes] = deque()
        self.dropped = 0

    def event(self, t_s: float, kind: str, fields: dict[str, Any]) -> None:
        self._put([self._clock.monotonic_ns(t_s), kind, fields])

    def sample(self, t_s: float, name: str, value: float, key: str) -> None:
        self._put([self._clock.monotonic_ns(t_s), name, float(value), key])

    def _put(self, record: list[Any]) -> None:
        if len(self._waiting) >= self._limit:
            self.dropped += 1
            return
        data: bytes = self._packer.pack(record)
        if len(data) >= MESSAGE_BYTES:
            self.dropped += 1
            return
        self._waiting.append(data)

    def flush(self) -> bool:
        """Send what the socket takes; whether everything is out. The socket must be non-blocking."""
        while self._waiting:
            packet = bytearray((RECORDS,))
            count = 0
            for record in self._waiting:
                if len(packet) + len(record) > MESSAGE_BYTES:
                    break
                packet += record
                count += 1
            try:
                self._channel.send_bytes(packet)
            except BlockingIOError:
                return False
            except OSError:  # the supervisor is gone, and with it whoever would want to know
                self._waiting.clear()
                return True
            for _ in range(count):
                self._waiting.popleft()
        if self.dropped:
            try:
                say(self._channel, Dropped(self.dropped))
            except OSError:
                return False
            self.dropped = 0
        return True

    def drain(self, timeout_s: float) -> bool:
        """Flush before the process ends, waiting up to `timeout_s` for room; whether everything is out."""
        deadline = time.monotonic() + timeout_s
        while not self.flush():
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([], [self._channel.fileno()], [], left_s)[1]:
                return False
        return True
