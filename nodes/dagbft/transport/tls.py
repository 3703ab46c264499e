"""TLS 1.3 with both sides known by their Ed25519 keys, as a filter of bytes: no sockets here.

Each validator has a self-signed certificate of its identity, and everybody has everybody's beforehand (in a real
network they come with the genesis file; here they are derived from the seed). Only these are trusted, so who has
another key is refused in the handshake. Invariant: `Tls.peer` is the certificate whose private key the other side has
shown to hold.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from nodes.dagbft.identity import Identity

_FROM, _UNTIL = datetime(2000, 1, 1), datetime(9999, 12, 31, 23, 59, 59)  # UTC
_READ_BYTES = 1 << 16


def certificate_of(identity: Identity) -> bytes:
    """The self-signed certificate (DER) of an identity; the same every time."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity.name)])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=identity.key.public_key(),
        serial_number=int.from_bytes(identity.public[:16], "big") | 1,
        not_valid_before=_FROM,
        not_valid_after=_UNTIL,
    )
    return builder.sign(identity.key, None).public_bytes(Encoding.DER)


class Trust:
    """The TLS settings of one identity that trusts the holders of some certificates, for either side."""

    def __init__(self, identity: Identity, trusted: Sequence[bytes], key_log: Path | None = None) -> None:
        self._server = self._context(ssl.PROTOCOL_TLS_SERVER, identity, trusted, key_log)
        self._server.num_tickets = 0  # nobody resumes a session
        self._client = self._context(ssl.PROTOCOL_TLS_CLIENT, identity, trusted, key_log)

    @staticmethod
    def _context(side: int, identity: Identity, trusted: Sequence[bytes], key_log: Path | None) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # keys are pinned, names mean nothing
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=b"".join(trusted))
        with NamedTemporaryFile(suffix=".pem") as file:  # the module ssl takes keys from files only
            file.write(identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            file.write(ssl.DER_cert_to_PEM_cert(certificate_of(identity)).encode())
            file.flush()
            context.load_cert_chain(file.name)
        if key_log is not None:
            context.keylog_filename = str(key_log)
        return context

    def accept(self) -> Tls:
        return Tls(self._server, server_side=True)

    def dial(self) -> Tls:
        return Tls(self._client, server_side=False)


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
