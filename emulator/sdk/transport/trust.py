"""TLS 1.3 with both sides known by their Ed25519 keys.

Each member has a self-signed certificate of its identity, and everybody has everybody's beforehand (in a real network
they come with the genesis file; a program may derive them from the seed). Invariant: only these are trusted, so who has
another key is refused in the handshake.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from emulator.sdk.transport.tls import Tls

__all__ = ["Identity", "Trust", "certificate_of"]

_FROM, _UNTIL = datetime(2000, 1, 1), datetime(9999, 12, 31, 23, 59, 59)  # UTC


class Identity(Protocol):
    """A member's name and its key pair."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> Ed25519PrivateKey: ...


def certificate_of(identity: Identity) -> bytes:
    """The self-signed certificate (DER) of an identity; the same every time."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, identity.name)])
    public = identity.key.public_key()
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=public,
        serial_number=int.from_bytes(public.public_bytes_raw()[:16], "big") | 1,
        not_valid_before=_FROM,
        not_valid_after=_UNTIL,
    )
    return builder.sign(identity.key, None).public_bytes(Encoding.DER)


class Trust:
    """The TLS settings of one identity that trusts the holders of some certificates, for either side."""

    def __init__(self, identity: Identity, trusted: Iterable[bytes], key_log: Path | None = None) -> None:
        self._server = self._context(ssl.PROTOCOL_TLS_SERVER, identity, trusted, key_log)
        self._server.num_tickets = 0  # nobody resumes a session
        self._client = self._context(ssl.PROTOCOL_TLS_CLIENT, identity, trusted, key_log)

    @staticmethod
    def _context(side: int, identity: Identity, trusted: Iterable[bytes], key_log: Path | None) -> ssl.SSLContext:
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
