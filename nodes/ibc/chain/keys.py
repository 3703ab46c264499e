"""Keys of accounts (secp256k1) and of validators (Ed25519), made from names, and the addresses that follow from them.

Invariant: a key follows from its seed alone. Such keys guard nothing: whoever knows the scenario knows them, as is
wanted of an emulated chain.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

__all__ = ["AccountKey", "ValidatorKey", "account_address", "module_address", "validator_address", "verified"]

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of the group secp256k1
ADDRESS_BYTES = 20
_COORDINATE_BYTES = 32
_PUBLIC_BYTES = 1 + _COORDINATE_BYTES  # a compressed point
_SIGNATURE_BYTES = 2 * _COORDINATE_BYTES
REMEMBERED = 1 << 13  # verdicts: of more transactions than a mempool holds by default
_SHA256 = ec.ECDSA(hashes.SHA256())
_DIGEST = ec.ECDSA(Prehashed(hashes.SHA256()))


class AccountKey:
    """A secp256k1 key that signs transactions; its secret is a number of 32 bytes below the order of the group."""

    def __init__(self, secret: bytes) -> None:
        self._key = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256K1())
        self.public = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.address = account_address(self.public)

    @property
    def secret(self) -> bytes:
        return self._key.private_numbers().private_value.to_bytes(_COORDINATE_BYTES, "big")

    @classmethod
    def named(cls, name: str) -> AccountKey:
        """The key of a name: its secret is SHA-256 of the name."""
        return cls(hashlib.sha256(name.encode()).digest())

    def sign(self, message: bytes) -> bytes:
        """r and s of an ECDSA signature over SHA-256, s in the lower half as verifiers demand."""
        r, s = decode_dss_signature(self._key.sign(message, _SHA256))
        return b"".join(each.to_bytes(_COORDINATE_BYTES, "big") for each in (r, min(s, ORDER - s)))


class ValidatorKey:
    """An Ed25519 key that signs votes."""

    def __init__(self, name: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        self.public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.address = validator_address(self.public)

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def verified(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an account's signature is right. Signatures with s in the upper half are refused, as the SDK does.

    Verdicts are remembered: a transaction that the mempool has let in is verified again in its block.
    """
    if len(public) != _PUBLIC_BYTES or len(signature) != _SIGNATURE_BYTES:
        return False  # nor are such remembered, which may be as long as a transaction
    return _verified(public, signature, hashlib.sha256(message).digest())


@lru_cache(REMEMBERED)
def _verified(public: bytes, signature: bytes, digest: bytes) -> bool:
    r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]))
    if not 0 < r < ORDER or not 0 < s <= ORDER // 2:
        return False
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), public)
        key.verify(encode_dss_signature(r, s), digest, _DIGEST)
    except (ValueError, InvalidSignature):
        return False
    return True


def account_address(public: bytes) -> bytes:
    """Address of a secp256k1 key: RIPEMD-160 of SHA-256 of the compressed point."""
    return hashlib.new("ripemd160", hashlib.sha256(public).digest()).digest()


def validator_address(public: bytes) -> bytes:
    """Address of an Ed25519 key: the first 20 bytes of SHA-256."""
    return hashlib.sha256(public).digest()[:ADDRESS_BYTES]


def module_address(name: str) -> bytes:
    """Address of an account that no key owns, such as "fee_collector"."""
    return hashlib.sha256(name.encode()).digest()[:ADDRESS_BYTES]
