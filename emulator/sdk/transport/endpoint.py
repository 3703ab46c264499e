"""An endpoint: all links of one process for one service, dialled by either side.

Subclasses decide which connections to accept (`admit`). Invariant: a line has at most one connection, the newest of its
peer, as an older one may be broken without a notice. Refused connections and messages are counted by reason and peer,
and do not affect other peers. Messages are processed as they arrive, so a slow process slows its senders.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import asdict
from functools import partial
from typing import Any

from emulator.model.errors import Unfit
from emulator.sdk.streams import Backoff
from emulator.sdk.transport.codec import Codec, M
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.connection import Connection
from emulator.sdk.transport.frames import ACK, DATA, HELLO, MAGIC, Frame, Hello, hello_frame
from emulator.sdk.transport.lines import K, Line, Lines
from emulator.sdk.transport.link import LinkCounts
from emulator.sdk.transport.tls import Tls

__all__ = ["Endpoint"]

MOST_STRANGERS = 128  # accepted connections that have not identified themselves yet


class Endpoint(Lines[K, M]):
    """Links by key. `on_message(key, message)` is called once for each message; an error that it raises ends `run`."""

    def __init__(
        self,
        codec: Codec[M],
        service: str,
        host: str,
        on_message: Callable[[K, M], None],
        config: LinkConfig,
        accepts: Collection[type[Any]] | None = None,
        *,
        label: str = "",
        number: int = 0,
    ) -> None:
        super().__init__(codec, on_message, config, accepts)
        self.port = 0  # on which it listens; 0: it does not
        self._service, self._host, self._label, self._number = service.encode(), host, label.encode(), number
        self._whose: dict[Connection, Line[K]] = {}  # the line of each identified connection
        self._strangers: dict[Connection, K | None] = {}  # connections not identified yet; the key if this side dialled
        self._targets: dict[K, tuple[str, int, Callable[[], Tls | None]]] = {}
        self._server: asyncio.Server | None = None
        self._wire_bytes = [0, 0]  # sent and received by connections that have ended

    # The interface of a process

    def connected(self) -> set[K]:
        """The peers with a connection at present."""
        return {line.key for line in self._whose.values()}

    @property
    def kept_bytes(self) -> int:
        """Bytes of messages that peers have not acknowledged yet."""
        return sum(line.link.kept_bytes for line in self._lines.values())

    def counters(self) -> dict[str, int]:
        """What all links did, and `rejected`; all since the beginning but `kept_bytes`."""
        total = dict.fromkeys(asdict(LinkCounts()), 0)
        for line in self._lines.values():
            for name, count in asdict(line.link.counts).items():
                total[name] += count
        live = [*self._whose, *self._strangers]
        return total | {
            "kept_bytes": self.kept_bytes,
            "reconnects": sum(max(0, line.connections - 1) for line in self._lines.values()),
            "sent_bytes": self._wire_bytes[0] + sum(each.sent_bytes for each in live),
            "received_bytes": self._wire_bytes[1] + sum(each.received_bytes for each in live),
            "rejected": sum(self.rejected.values()),
        }

    async def run(self) -> None:
        """Dial, and keep connections alive, until cancelled; no message is processed afterwards.

        Raises the error of `on_message`.
        """
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._keep_dialling(key)) for key in self._targets]
        tasks.append(loop.create_task(self._beat()))
        for task in tasks:
            task.add_done_callback(self._task_ended)
        try:
            await self._failure
        finally:
            for task in tasks:
                task.cancel()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self._failure.done():
            self._failure.set_exception(error)

    def close(self) -> None:
        """Stop listening, end all connections. Unacknowledged messages are lost."""
        if self._server is not None:
            self._server.close()
        for connection in [*self._whose, *self._strangers]:
            connection.close()

    # For subclasses

    async def listen(self, port: int, tls: Callable[[], Tls | None]) -> int:
        """Accept connections; returns the port, which the kernel chooses for 0."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: self._accepted(tls()), self._host, port, backlog=MOST_STRANGERS)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    def dials(self, key: K, host: str, port: int, tls: Callable[[], Tls | None]) -> None:
        """Make `run` keep a connection to a peer."""
        self._targets[key] = (host, port, tls)

    def admit(self, connection: Connection, hello: Hello | None, dialled: K | None) -> tuple[K | None, str]:
        """The key of a connection's peer, or None and the reason of refusal. `hello` is None before the greeting."""
        raise NotImplementedError

    # Called by connections: `connection.Owner`

    def secured(self, connection: Connection) -> None:
        """The handshake is complete: the side that dialled greets first, if it reached the intended peer."""
        dialled = self._strangers.get(connection)
        key, reason = self.admit(connection, None, dialled)
        if reason:
            self._refuse(connection, reason)
        elif dialled is not None and key is not None:
            self._greet(connection, key)

    def framed(self, connection: Connection, frame: Frame) -> None:
        """A frame has arrived."""
        line = self._whose.get(connection)
        if line is None:
            self._greeted(connection, frame)
        elif frame.wrong:
            self.reject(frame.wrong, line.key)
            if frame.kind == DATA and frame.number:
                self._arrived(line, frame.number)  # otherwise it would be sent again for ever
        elif frame.kind == DATA:
            if self._arrived(line, frame.number):
                self._hand_on(line, frame.body)
        elif frame.kind == ACK:
            line.link.acked(frame.number)
        else:
            self.reject("kind", line.key)

    def writable(self, connection: Connection) -> None:
        """The connection has room for more bytes."""
        if line := self._whose.get(connection):
            self._wake(line.key)

    def lost(self, connection: Connection, reason: str) -> None:
        """A connection has ended."""
        self._wire_bytes[0] += connection.sent_bytes
        self._wire_bytes[1] += connection.received_bytes
        self._strangers.pop(connection, None)
        line = self._whose.pop(connection, None)
        if reason:
            self.reject(reason, connection.address if line is None else line.key)
        if line is not None and line.connection is connection:
            line.connection = None

    # Inside

    def _accepted(self, tls: Tls | None) -> Connection:
        connection = Connection(self, tls, self._limits)
        guests = [each for each, dialled in self._strangers.items() if dialled is None]
        if len(guests) >= MOST_STRANGERS:  # drop the oldest
            del self._strangers[guests[0]]
            guests[0].abort("crowd")
        self._strangers[connection] = None
        return connection

    def _refuse(self, connection: Connection, reason: str) -> None:
        connection.close(reason)

    def _greet(self, connection: Connection, key: K) -> None:
        link = self._line(key).link
        hello = Hello(
            MAGIC, self._service, self._label, self._number, link.incarnation, link.heard_incarnation, link.heard
        )
        connection.write([hello_frame(hello)])

    def _greeted(self, connection: Connection, frame: Frame) -> None:
        """The first frame of a connection."""
        try:
            if frame.kind != HELLO or frame.wrong:
                raise Unfit(f"frame of kind {frame.kind}", "a greeting")
            hello = Hello.decode(frame.body)
        except ValueError:
            self._refuse(connection, "greeting")
            return
        dialled = self._strangers.get(connection)
        key, reason = (None, "service") if hello.service != self._service else self.admit(connection, hello, dialled)
        if key is None:
            self._refuse(connection, reason)
            return
        self._strangers.pop(connection, None)
        line = self._line(key)
        if line.connection is not None:
            self._whose.pop(line.connection, None)
            line.connection.abort()
        if dialled is None:
            self._greet(connection, key)
        line.link.connected(hello.incarnation, hello.heard_incarnation, hello.heard)
        line.connection, self._whose[connection] = connection, line
        line.connections += 1
        self._wake(key)

    async def _beat(self) -> None:
        """Send heartbeats, and end connections on which none has arrived in time."""
        loop, config = asyncio.get_running_loop(), self._config
        now_s = loop.time()
        while True:
            before_s = now_s
            await asyncio.sleep(config.heartbeat_s / 2)
            now_s = loop.time()
            deaf = now_s - before_s > config.heartbeat_s  # this process was stalled, and has unread arrivals
            for connection, line in list(self._whose.items()):
                if now_s - connection.received_s > config.silence_s and not deaf:
                    connection.abort()
                elif now_s - connection.wrote_s > config.heartbeat_s / 2:
                    self._write_ack(line, connection)
            for connection in [each for each in self._strangers if now_s - each.began_s > config.silence_s]:
                connection.abort("dawdle")

    async def _keep_dialling(self, key: K) -> None:
        host, port, tls = self._targets[key]
        loop, config = asyncio.get_running_loop(), self._config
        backoff = Backoff(config.retry_least_s, config.retry_most_s)
        while True:
            before = self._line(key).connections
            connection = Connection(self, tls(), self._limits)
            self._strangers[connection] = key
            try:
                async with asyncio.timeout(config.silence_s):
                    await loop.create_connection(partial(_itself, connection), host, port, local_addr=(self._host, 0))
                await connection.ended
            except (OSError, TimeoutError):
                self._strangers.pop(connection, None)
            if self._line(key).connections > before:
                backoff.reset()
            await asyncio.sleep(backoff.next_s())


def _itself(connection: Connection) -> Connection:
    return connection
