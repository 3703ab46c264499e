"""The transport of control messages: five methods that a transport has, and functions that send and receive over any.

`channel.Channel` is the transport within one machine. Between machines `remote.Connection` carries such messages, but
no descriptors; so only commands, captures and forks use descriptors.

Invariant: a packet arrives whole or not at all, and in order. Descriptors that no caller takes are closed.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol, TypeVar

from emulator.runtime.control.encoding import BadMessage, ControlMessage, T, decode, encode

Row = TypeVar("Row")


class Transport(Protocol):
    """Packets of at most `encoding.MESSAGE_BYTES` between two processes, both ways."""

    def fileno(self) -> int:
        """A descriptor that is readable when a packet waits, and writable when there is room for one."""

    def set_timeout(self, timeout_s: float | None) -> None:
        """How long sending and receiving wait; 0: BlockingIOError at once, None: for ever. TimeoutError after it."""

    def send_bytes(self, data: bytes | bytearray, fds: Sequence[int] = ()) -> None:
        """Send one packet and copies of descriptors. OSError where the peer is gone."""

    def receive_bytes(self) -> tuple[bytes, list[int]]:
        """The next packet and its descriptors, which the caller closes; empty where the peer has closed."""

    def close(self) -> None:
        """The peer receives an empty packet."""


def say(transport: Transport, message: ControlMessage, fds: Sequence[int] = ()) -> None:
    """Send one message. BlockingIOError where there is no room and nobody waits; OSError where the peer is gone."""
    transport.send_bytes(encode(message), fds)


def hear(transport: Transport, expected: tuple[type[T], ...]) -> T | None:
    """The next message; None where the peer has closed. BadMessage."""
    message, fds = hear_with_descriptors(transport, expected)
    close_all(fds)
    return message


def hear_with_descriptors(transport: Transport, expected: tuple[type[T], ...]) -> tuple[T | None, list[int]]:
    """The next message and its descriptors, which the caller closes. BadMessage."""
    data, fds = transport.receive_bytes()
    if not data:
        return None, fds
    try:
        return decode(data, expected), fds
    except BadMessage:
        close_all(fds)
        raise


def send_soon(transport: Transport, data: bytes, fds: Sequence[int] = (), timeout_s: float = 1.0) -> None:
    """Send a packet over a transport that does not wait, waiting for room (the kernel lets ten packets wait)."""
    poll = select.poll()
    poll.register(transport.fileno(), select.POLLOUT)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            transport.send_bytes(data, fds)
            return
        except BlockingIOError:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"no answer for {timeout_s:g} s") from None
            poll.poll(left_s * 1e3)


def parts(rows: Iterable[Row], most: int) -> Iterator[tuple[Row, ...]]:
    """Rows in tuples of at most `most`, for messages that fit."""
    iterator = iter(rows)
    while part := tuple(islice(iterator, most)):
        yield part


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors that came along and are not needed."""
    for fd in fds:
        os.close(fd)
