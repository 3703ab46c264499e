"""Messages of ICS-23 (`cosmos.ics23.v1`): proofs that a key is, or is not, in a tree, and the shapes of trees."""

from __future__ import annotations

from enum import IntEnum

from nodes.ibc.proto.wire import Message, boolean, enum, int32, message, octets, optional, repeated


class HashOp(IntEnum):
    """Hash functions by their numbers."""

    NO_HASH = 0
    SHA256 = 1
    SHA512 = 2
    KECCAK256 = 3
    RIPEMD160 = 4
    BITCOIN = 5  # ripemd160 of sha256
    SHA512_256 = 6
    BLAKE2B_512 = 7
    BLAKE2S_256 = 8
    BLAKE3 = 9


class LengthOp(IntEnum):
    """How the length of a value is written before it."""

    NO_PREFIX = 0
    VAR_PROTO = 1
    VAR_RLP = 2
    FIXED32_BIG = 3
    FIXED32_LITTLE = 4
    FIXED64_BIG = 5
    FIXED64_LITTLE = 6
    REQUIRE_32_BYTES = 7
    REQUIRE_64_BYTES = 8


@message("cosmos.ics23.v1.LeafOp")
class LeafOp(Message):
    """How key and value become the hash of a leaf."""

    hash: HashOp = enum(1, HashOp)
    prehash_key: HashOp = enum(2, HashOp)
    prehash_value: HashOp = enum(3, HashOp)
    length: LengthOp = enum(4, LengthOp)
    prefix: bytes = octets(5)


@message("cosmos.ics23.v1.InnerOp")
class InnerOp(Message):
    """How the hash of a child becomes that of its parent."""

    hash: HashOp = enum(1, HashOp)
    prefix: bytes = octets(2)
    suffix: bytes = octets(3)


@message("cosmos.ics23.v1.ExistenceProof")
class ExistenceProof(Message):
    """A key, its value, and the way from its leaf to the root."""

    key: bytes = octets(1)
    value: bytes = octets(2)
    leaf: LeafOp | None = optional(3, LeafOp)
    path: tuple[InnerOp, ...] = repeated(4, InnerOp)


@message("cosmos.ics23.v1.NonExistenceProof")
class NonExistenceProof(Message):
    """A key that is not there: its neighbours are, and nothing is between them."""

    key: bytes = octets(1)
    left: ExistenceProof | None = optional(2, ExistenceProof)
    right: ExistenceProof | None = optional(3, ExistenceProof)


@message("cosmos.ics23.v1.BatchEntry", oneof=("exist", "nonexist"))
class BatchEntry(Message):
    """One proof of a batch."""

    exist: ExistenceProof | None = optional(1, ExistenceProof)
    nonexist: NonExistenceProof | None = optional(2, NonExistenceProof)


@message("cosmos.ics23.v1.BatchProof")
class BatchProof(Message):
    """Proofs of several keys."""

    entries: tuple[BatchEntry, ...] = repeated(1, BatchEntry)


@message("cosmos.ics23.v1.CompressedExistenceProof")
class CompressedExistenceProof(Message):
    """An existence proof whose steps are indices into a table."""

    key: bytes = octets(1)
    value: bytes = octets(2)
    leaf: LeafOp | None = optional(3, LeafOp)
    path: tuple[int, ...] = repeated(4, int)


@message("cosmos.ics23.v1.CompressedNonExistenceProof")
class CompressedNonExistenceProof(Message):
    """A non-existence proof whose neighbours are compressed."""

    key: bytes = octets(1)
    left: CompressedExistenceProof | None = optional(2, CompressedExistenceProof)
    right: CompressedExistenceProof | None = optional(3, CompressedExistenceProof)


@message("cosmos.ics23.v1.CompressedBatchEntry", oneof=("exist", "nonexist"))
class CompressedBatchEntry(Message):
    """One proof of a compressed batch."""

    exist: CompressedExistenceProof | None = optional(1, CompressedExistenceProof)
    nonexist: CompressedNonExistenceProof | None = optional(2, CompressedNonExistenceProof)


@message("cosmos.ics23.v1.CompressedBatchProof")
class CompressedBatchProof(Message):
    """Proofs of several keys and the table of their steps."""

    entries: tuple[CompressedBatchEntry, ...] = repeated(1, CompressedBatchEntry)
    lookup_inners: tuple[InnerOp, ...] = repeated(2, InnerOp)


@message("cosmos.ics23.v1.CommitmentProof", oneof=("exist", "nonexist", "batch", "compressed"))
class CommitmentProof(Message):
    """A proof of any of four forms."""

    exist: ExistenceProof | None = optional(1, ExistenceProof)
    nonexist: NonExistenceProof | None = optional(2, NonExistenceProof)
    batch: BatchProof | None = optional(3, BatchProof)
    compressed: CompressedBatchProof | None = optional(4, CompressedBatchProof)


@message("cosmos.ics23.v1.InnerSpec")
class InnerSpec(Message):
    """What inner steps of a kind of tree look like."""

    child_order: tuple[int, ...] = repeated(1, int)
    child_size: int = int32(2)
    min_prefix_length: int = int32(3)
    max_prefix_length: int = int32(4)
    empty_child: bytes = octets(5)
    hash: HashOp = enum(6, HashOp)


@message("cosmos.ics23.v1.ProofSpec")
class ProofSpec(Message):
    """A kind of tree. Depths are numbers of inner steps; 0 means no limit of its own."""

    leaf_spec: LeafOp | None = optional(1, LeafOp)
    inner_spec: InnerSpec | None = optional(2, InnerSpec)
    max_depth: int = int32(3)
    min_depth: int = int32(4)
    prehash_key_before_comparison: bool = boolean(5)
