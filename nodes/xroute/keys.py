"""Ed25519 keys of those who sign something beside transactions: owners of names, relayers.

Keys of a run are made from names, so that it can be repeated; they guard nothing. Invariant: what is signed begins with
a tag of its kind, so no signature of one kind serves as one of another.
"""

from __future__ import annotations

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

__all__ = ["PUBLIC_BYTES", "Key", "is_signed"]

PUBLIC_BYTES, SIGNATURE_BYTES = 32, 64


class Key:
    """A private key; `public` is what others know it by."""

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public = self._key.public_key().public_bytes_raw()

    @classmethod
    def named(cls, name: str) -> Key:
        """The key of a name: its secret is SHA-256 of the name."""
        return cls(sha256(name.encode()).digest())

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes; the same every time."""
        return self._key.sign(message)


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `message` by the key `public`; False, too, where one of them is malformed."""
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public)
    except BadSignatureError:
        return False
    return True
