"""The TLS of connections between machines: both sides hold one identity, and accept nothing but it.

An identity is a self-signed certificate (P-256) and its key, in one PEM text. Dates do not bound it: machines may
disagree on the date, and what bounds an identity is who has its key.

Invariant: TLS 1.3, mutual; whoever completes a handshake has the key.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from datetime import datetime

from emulator.runtime.control.remote import READ_BYTES, Connection

FIRST, LAST = datetime(2000, 1, 1), datetime(9999, 12, 31, 23, 59, 59)  # the latter: "no end" (RFC 5280, 4.1.2.5)


def new_identity() -> bytes:
    """A new one, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "skyloom")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), FIRST, LAST)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return certificate.public_bytes(pem) + key.private_bytes(pem, *plain)


def context(identity: bytes, *, listens: bool) -> ssl.SSLContext:
    """What the side that listens, or the one that connects, speaks TLS with. ssl.SSLError for what is no identity."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if listens else ssl.PROTOCOL_TLS_CLIENT)
    found.minimum_version = ssl.TLSVersion.TLSv1_3
    found.check_hostname = False  # the key says who it is, wherever it is
    found.verify_mode = ssl.CERT_REQUIRED
    if listens:
        found.num_tickets = 0  # nobody resumes
    fd = os.memfd_create("identity")  # the module reads keys from files alone
    try:
        os.write(fd, identity)
        path = f"/proc/self/fd/{fd}"
        found.load_cert_chain(path)
        found.load_verify_locations(path)
    finally:
        os.close(fd)
    return found


class TlsConnection(Connection):
    """A connection in TLS. Its state is in this object: after a fork, one process alone may use it.

    The side that connects calls `shake_hands` before anything else; for the one that listens, `receive` does it.
    """

    def __init__(self, end: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(end)
        self._sealed, self._sealing = ssl.MemoryBIO(), ssl.MemoryBIO()  # come, and to go
        listens = context.protocol is ssl.PROTOCOL_TLS_SERVER
        self._tls = context.wrap_bio(self._sealed, self._sealing, server_side=listens)

    def shake_hands(self, timeout_s: float) -> None:
        """Find out who answers, outside of an event loop. OSError where it has gone or has another identity,
        TimeoutError among them. Whether it accepts ours is known once it says something."""
        deadline = time.monotonic() + timeout_s
        while not self._shaken():
            try:
                self._take()
            except BlockingIOError:
                self._wait(deadline, timeout_s)

    def _shaken(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._answer()
        return True

    def _put(self, head: bytes, data: bytes | bytearray) -> None:
        self._tls.write(head + data)
        self._outgoing += self._sealing.read()

    def _read(self) -> bytes:
        """What the peer has sent, as far as it is here; empty where it has closed. BlockingIOError, OSError."""
        while True:
            try:
                return self._tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                pass
            finally:
                self._answer()
            self._take()

    def _take(self) -> None:
        """Hand what has come to TLS. BlockingIOError where nothing has, OSError."""
        read = self.socket.recv(READ_BYTES)
        if not read:
            raise ConnectionResetError("the peer has closed the connection")
        self._sealed.write(read)

    def _answer(self) -> None:
        """Send what TLS itself has to say."""
        self._outgoing += self._sealing.read()
        if self._outgoing:
            self._flush()
