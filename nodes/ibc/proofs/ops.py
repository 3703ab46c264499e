"""Operations of ICS-23: what a leaf and an inner step hash. Nothing here knows a spec.

Source: cosmos/ics23, proto/cosmos/ics23/v1/proofs.proto.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from emulator.model.errors import Stated
from nodes.ibc.proto.ics23 import HashOp, InnerOp, LeafOp, LengthOp
from nodes.ibc.proto.wire import delimited


class ProofError(Stated):
    """A proof, or the spec that it is checked against, that does not hold: what was found, and what was expected."""


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _by_name(name: str) -> Callable[[bytes], bytes]:
    return lambda data: hashlib.new(name, data).digest()


HASHES: dict[int, Callable[[bytes], bytes]] = {
    HashOp.SHA256: _sha256,
    HashOp.SHA512: lambda data: hashlib.sha512(data).digest(),
    HashOp.RIPEMD160: _by_name("ripemd160"),
    HashOp.BITCOIN: lambda data: hashlib.new("ripemd160", _sha256(data)).digest(),
    HashOp.SHA512_256: _by_name("sha512_256"),
    HashOp.BLAKE2B_512: lambda data: hashlib.blake2b(data).digest(),
    HashOp.BLAKE2S_256: lambda data: hashlib.blake2s(data).digest(),
}
DIGEST_BYTES = {
    HashOp.SHA256: 32, HashOp.SHA512: 64, HashOp.RIPEMD160: 20, HashOp.BITCOIN: 20, HashOp.SHA512_256: 32,
    HashOp.BLAKE2B_512: 64, HashOp.BLAKE2S_256: 32,
}  # fmt: skip


def hashed(op: int, data: bytes) -> bytes:
    """The digest. ProofError where the operation is no hash, or one that nobody implements."""
    try:
        return HASHES[op](data)
    except KeyError:
        raise ProofError(f"hash operation {op}", f"one of {', '.join(str(int(each)) for each in HASHES)}") from None


def with_length(op: int, data: bytes) -> bytes:
    """The data after its length, in the form that `op` names. ProofError where the length is not what it demands."""
    match op:
        case LengthOp.NO_PREFIX:
            return data
        case LengthOp.VAR_PROTO:
            return delimited(data)
        case LengthOp.FIXED32_BIG:
            return len(data).to_bytes(4, "big") + data
        case LengthOp.FIXED32_LITTLE:
            return len(data).to_bytes(4, "little") + data
        case LengthOp.FIXED64_BIG:
            return len(data).to_bytes(8, "big") + data
        case LengthOp.FIXED64_LITTLE:
            return len(data).to_bytes(8, "little") + data
        case LengthOp.REQUIRE_32_BYTES | LengthOp.REQUIRE_64_BYTES:
            demanded = 32 if op == LengthOp.REQUIRE_32_BYTES else 64
            if len(data) != demanded:
                raise ProofError(f"{len(data)} bytes in a leaf", f"{demanded}")
            return data
    raise ProofError(f"length operation {op}", "0, 1 or 3 to 8")


def leaf_hash(op: LeafOp, key: bytes, value: bytes) -> bytes:
    """The hash of a leaf. ProofError for an empty key or value: no tree has one, and its hash could be another's."""
    if not key or not value:
        raise ProofError(f"an empty {'value' if key else 'key'} in a leaf", "at least one byte")
    if op.prehash_key:
        key = hashed(op.prehash_key, key)
    if op.prehash_value:
        value = hashed(op.prehash_value, value)
    return hashed(op.hash, op.prefix + with_length(op.length, key) + with_length(op.length, value))


def inner_hash(op: InnerOp, child: bytes) -> bytes:
    """The hash of an inner node, given that of the child on the path."""
    if not child:
        raise ProofError("an inner step without a child", "the hash of one")
    return hashed(op.hash, op.prefix + child + op.suffix)
