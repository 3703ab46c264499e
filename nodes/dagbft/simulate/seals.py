"""Cheap signatures: a keyed hash instead of Ed25519, for simulations without forgeries.

Invariant: a signature is accepted exactly if it is that of the digest by the key's owner. It gives no protection: the
"private" key is the public one.
"""

from __future__ import annotations

from hashlib import blake2b

from nodes.dagbft.identity import Verifier


class Seal:
    """Signs as a validator whose public key is `public`."""

    def __init__(self, public: bytes) -> None:
        self.public = public

    def sign(self, digest: bytes) -> bytes:
        return seal(self.public, digest)


def seal(public: bytes, digest: bytes) -> bytes:
    return blake2b(digest, key=public, digest_size=64).digest()


class SealVerifier(Verifier):
    """Verifies seals instead of signatures."""

    def verify(self, public: bytes, digest: bytes, signature: bytes) -> bool:
        self.checked += 1
        return signature == seal(public, digest)
