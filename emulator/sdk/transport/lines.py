"""Lines: what one process says to many, over whichever connections there are at the moment.

Messages are numbered, queued and written once for each turn of the loop; what arrives is acknowledged and handed on.
Invariant: a line belongs to a peer and outlives its connections, which others make, know and end.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any, Generic, TypeVar

from emulator.sdk.transport.codec import Codec, M
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.connection import Connection
from emulator.sdk.transport.frames import ack_frame
from emulator.sdk.transport.link import ReliableLink

MOST_ATTRIBUTED = 512  # pairs of reason and peer that are counted apart
ACKNOWLEDGE_S = 0.25  # how long an arrival may wait for its acknowledgement, which rides on what is said meanwhile
TURN_BYTES = 1 << 18  # put together for one write
K = TypeVar("K", bound=int | str)


class Line(Generic[K]):
    """A link and the connection that serves it now."""

    def __init__(self, key: K, link: ReliableLink) -> None:
        self.key: K = key
        self.link = link
        self.connection: Connection | None = None
        self.connections = 0


class Lines(Generic[K, M]):
    """Lines by key. `on_message(key, message)` is called for each message once; what it raises is in `_failure`."""

    def __init__(
        self,
        codec: Codec[M],
        on_message: Callable[[K, M], None],
        config: LinkConfig,
        accepts: Collection[type[Any]] | None,
    ) -> None:
        self.rejected: Counter[tuple[str, str]] = Counter()  # by reason and peer
        self._encode, self._decode = codec.encode, codec.decode
        self._on_message: Callable[[K, M], None] = on_message
        self._config = config
        self._limits = codec.limits(accepts)
        self._incarnation = int.from_bytes(os.urandom(8), "big") or 1
        self._lines: dict[K, Line[K]] = {}
        self._ready: set[K] = set()  # lines with something to write in this turn of the loop
        self._unacknowledged: set[K] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def send(self, key: K, message: M, round: int | None = None) -> bool:
        """Send a message; False (counted as `full`) where too much waits for that peer. ValueError: cannot be encoded.

        `round` is what `forget` goes by.
        """
        return self.send_bytes([key], self._encode(message), round) == 1

    def send_bytes(self, keys: Iterable[K], data: bytes, round: int | None = None) -> int:
        """Send an encoded message to several; to how many it will go."""
        taken = 0
        for key in keys:
            if self._line(key).link.send(data, round):
                taken += 1
                self._wake(key)
        return taken

    def forget(self, round: int) -> None:
        """Drop what waits for anybody and belongs to this round or an earlier one."""
        for line in self._lines.values():
            line.link.forget(round)

    def reject(self, reason: str, who: K | str) -> None:
        """Count a refusal, by this endpoint or by whom it serves."""
        entry = (reason, str(who))
        if entry not in self.rejected and len(self.rejected) >= MOST_ATTRIBUTED:
            entry = (reason, "others")
        self.rejected[entry] += 1

    def _line(self, key: K) -> Line[K]:
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = Line(key, ReliableLink(self._incarnation, int(self._config.queue_bytes)))
        return line

    def _arrived(self, line: Line[K], number: int) -> bool:
        """Note the number of a message; whether it is a new one."""
        if not self._unacknowledged:
            asyncio.get_running_loop().call_later(ACKNOWLEDGE_S, self._acknowledge)
        self._unacknowledged.add(line.key)
        return line.link.fresh(number)

    def _hand_on(self, line: Line[K], body: bytes) -> None:
        if self._failure.done():
            return
        try:
            message = self._decode(body)
        except ValueError:
            self.reject("undecodable", line.key)
            return
        try:
            self._on_message(line.key, message)
        except Exception as error:
            self._failure.set_exception(error)

    def _wake(self, key: K) -> None:
        if not self._ready:
            asyncio.get_running_loop().call_soon(self._flush)
        self._ready.add(key)

    def _flush(self) -> None:
        """Write what this turn of the loop has brought, one write a peer."""
        ready, self._ready = self._ready, set()
        for key in ready:
            line = self._lines[key]
            connection = line.connection
            while connection is not None and connection.writable and line.link.waiting:
                pieces = line.link.take(TURN_BYTES)
                if line.link.heard > line.link.acknowledged:
                    line.link.acknowledged = line.link.heard
                    pieces.append(ack_frame(line.link.heard))
                connection.write(pieces)

    def _acknowledge(self) -> None:
        keys, self._unacknowledged = self._unacknowledged, set()
        for key in keys:
            line = self._lines[key]
            if line.connection is not None and line.link.heard > line.link.acknowledged:
                self._write_ack(line, line.connection)

    def _write_ack(self, line: Line[K], connection: Connection) -> None:
        if not connection.writable:  # it does not read: no more on top of that
            return
        line.link.acknowledged = line.link.heard
        connection.write([ack_frame(line.link.heard)])
