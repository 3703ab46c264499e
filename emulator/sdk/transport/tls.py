"""One side of a TLS connection as a filter of bytes: no sockets here.

Invariant: `Tls.peer` is the certificate whose private key the other side has shown to hold.
"""

from __future__ import annotations

import ssl

_READ_BYTES = 1 << 16


class Tls:
    """One side of one connection. What it wants to send is taken with `outgoing` after each call."""

    def __init__(self, context: ssl.SSLContext, *, server_side: bool) -> None:
        self.peer: bytes | None = None  # the other side's certificate, once the handshake is done
        self.ended = False  # the other side has said that nothing more comes
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        if not server_side:
            self._shake()

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the wire; what they say in clear. ssl.SSLError where they are not good."""
        self._incoming.write(data)
        if self.peer is None and not self._shake():
            return b""
        chunks = []
        try:
            while chunk := self._object.read(_READ_BYTES):
                chunks.append(chunk)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def send(self, data: bytes) -> None:
        """Say something, after the handshake."""
        self._object.write(data)

    def outgoing(self) -> bytes:
        """What is to go on the wire."""
        return self._outgoing.read()

    def _shake(self) -> bool:
        """Go on with the handshake; whether it is done."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.peer = self._object.getpeercert(binary_form=True)
        return True
