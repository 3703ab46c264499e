"""One TCP connection: bytes of the socket, through TLS if it is used, to frames and back.

It does not decode messages or keep them for the peer: it calls its owner after the handshake, for each frame and at the
end. Invariant: at most SEND_BYTES and one write wait to be sent here; `writable` tells whether there is room.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Protocol

from emulator.sdk.transport.frames import Frame, FrameReader
from emulator.sdk.transport.tls import Tls

__all__ = ["Connection"]

SEND_BYTES = 1 << 19
TURN_BYTES = 1 << 15  # read at once before other connections have their turn


class Owner(Protocol):
    """The owner of a connection, which is called for its events."""

    def secured(self, connection: Connection) -> None: ...
    def framed(self, connection: Connection, frame: Frame) -> None: ...
    def writable(self, connection: Connection) -> None: ...
    def lost(self, connection: Connection, reason: str) -> None: ...


class Connection(asyncio.Protocol):
    """`tls` None: unencrypted. `lost` gets the reason if this side ended it (stranger, refused, tls, …), else ""."""

    def __init__(self, owner: Owner, tls: Tls | None, limits: Mapping[int, int]) -> None:
        self.tls = tls
        self.address = ""  # of the other side
        self.writable = False  # connected, secured, and room for more
        self.closed = False
        self.sent_bytes = 0  # on the wire
        self.received_bytes = 0
        self._owner = owner
        self._reader = FrameReader(limits)
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.began_s = self._loop.time()
        self.received_s = self.began_s  # loop time of the last bytes from the other side
        self.wrote_s = self.began_s  # loop time of the last bytes that were sent
        self._transport: asyncio.Transport | None = None
        self._reason = ""

    @property
    def held_bytes(self) -> int:
        """Bytes of incomplete frames."""
        return self._reader.held

    def connection_made(
        self, transport: Any
    ) -> None:  # an asyncio.Transport, from which those of uvloop do not inherit
        self._transport = transport
        if self.closed:
            transport.abort()
            return
        transport.set_write_buffer_limits(SEND_BYTES)
        self.address = str((transport.get_extra_info("peername") or ("?",))[0])
        self.received_s = self._loop.time()
        if self.tls is None:
            self._secured()
        else:
            self._flush()

    def data_received(self, data: bytes) -> None:
        self._take(data)
        if len(data) >= TURN_BYTES and not self.closed and self._transport is not None:
            # libuv would read up to 8 MB from one socket before it serves another one, or a timer
            self._transport.pause_reading()
            self._loop.call_soon(self._resume_reading)

    def _resume_reading(self) -> None:
        if not self.closed and self._transport is not None:
            self._transport.resume_reading()

    def _take(self, data: bytes) -> None:
        self.received_s = self._loop.time()
        self.received_bytes += len(data)
        if self.tls is not None and not self.closed:
            shaken = self.tls.peer is not None
            try:
                data = self.tls.receive(data)
            except ssl.SSLError as error:
                self._flush()  # the TLS alert for the other side
                self.close(_reason_of(error))
                return
            self._flush()
            if not shaken and self.tls.peer is not None:
                self._secured()
        for frame in self._reader.feed(data):
            if self.closed:
                return
            self._owner.framed(self, frame)
        if self.tls is not None and self.tls.ended:
            self.close()

    def write(self, pieces: list[bytes]) -> None:
        """Send the pieces in one write. Check `writable` before the next call."""
        if self.closed:
            return
        data = b"".join(pieces)
        if self.tls is None:
            self._send(data)
            return
        try:
            self.tls.send(data)
        except ssl.SSLError:
            self.abort("tls")
        else:
            self._flush()

    def close(self, reason: str = "") -> None:
        """End the connection; bytes that have been written may still arrive."""
        if not self.closed:
            self.closed, self.writable, self._reason = True, False, reason
            if self._transport is not None:
                self._transport.close()

    def abort(self, reason: str = "") -> None:
        """End the connection at once."""
        self.close(reason)
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        if not self.closed:
            self.writable = True
            self._owner.writable(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed, self.writable = True, False
        if not self.ended.done():
            self.ended.set_result(None)
        self._owner.lost(self, self._reason)

    def _secured(self) -> None:
        self.writable = True
        self._owner.secured(self)

    def _flush(self) -> None:
        if self.tls is not None and (data := self.tls.outgoing()):
            self._send(data)

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self.wrote_s = self._loop.time()
            self.sent_bytes += len(data)
            self._transport.write(data)


def _reason_of(error: ssl.SSLError) -> str:
    """One word for the reason of a failed handshake."""
    if isinstance(error, ssl.SSLCertVerificationError) or "DID_NOT_RETURN_A_CERT" in (error.reason or ""):
        return "stranger"
    return "refused" if "ALERT" in (error.reason or "") else "tls"
