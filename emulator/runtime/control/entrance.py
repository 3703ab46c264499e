"""Those who connect to a listening socket, until each has said its first message.

Invariant: nobody is waited for, and nobody keeps others out: of at most MOST_WAITING that have not been heard, the one
that came first has to go when another comes. Strangers, who have another identity or say something else, are counted.
"""

from __future__ import annotations

import selectors
import socket
import ssl
from collections import deque
from collections.abc import Iterator

from emulator.runtime.control.encoding import BadMessage, T
from emulator.runtime.control.tls import TlsConnection

MOST_WAITING = 64


class Entrance:
    """The entrance at `listener`, for those who hold the identity of `context`."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        self.strangers = 0
        self._listener = listener
        self._context = context
        self._waiting: deque[TlsConnection] = deque()
        listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)

    def arrivals(self, first: type[T], timeout_s: float) -> Iterator[tuple[TlsConnection, T]]:
        """Those who have said their message, which is a `first`, within the time or soon after."""
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                self._accept()
            elif key.data in self._waiting and (message := self._message(key.data, first)) is not None:
                yield key.data, message

    def turn_away(self, connection: TlsConnection) -> None:
        """Close a connection that has arrived, as that of a stranger."""
        self.strangers += 1
        connection.close()

    def close(self) -> None:
        """Turn away all that have not arrived, and accept nobody else."""
        while self._waiting:
            self._send_off(self._waiting[0])
        self._selector.close()
        self._listener.close()

    def _accept(self) -> None:
        try:
            end, _ = self._listener.accept()
        except OSError:  # it is gone
            return
        if len(self._waiting) >= MOST_WAITING:
            self._send_off(self._waiting[0])
        connection = TlsConnection(end, self._context)
        self._waiting.append(connection)
        self._selector.register(connection, selectors.EVENT_READ, connection)

    def _message(self, connection: TlsConnection, first: type[T]) -> T | None:
        """What it has said; None where it is incomplete, or that of a stranger."""
        try:
            frame = connection.receive()
            message = frame.message((first,)) if frame is not None else None
        except BlockingIOError:
            return None
        except BadMessage:
            message = None
        if message is None:
            self._send_off(connection)
        else:
            self._forget(connection)
        return message

    def _send_off(self, connection: TlsConnection) -> None:
        self._forget(connection)
        self.turn_away(connection)

    def _forget(self, connection: TlsConnection) -> None:
        self._waiting.remove(connection)
        self._selector.unregister(connection)
