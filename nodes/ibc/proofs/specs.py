"""Proof specs: the three of Cosmos chains, and what must hold of any for a proof to mean something.

Invariant: a `Rules` exists only of a spec under which a prefix's length tells the place of a child: the longest prefix
is shorter than the shortest one with a child in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from nodes.ibc.proofs.ops import DIGEST_BYTES, HASHES, ProofError
from nodes.ibc.proto.ics23 import HashOp, InnerSpec, LeafOp, LengthOp, ProofSpec

MAX_DEPTH = 128  # of a spec that says 0
_LEAF = LeafOp(HashOp.SHA256, HashOp.NO_HASH, HashOp.SHA256, LengthOp.VAR_PROTO, b"\0")

IAVL_SPEC = ProofSpec(_LEAF, InnerSpec((0, 1), 33, 4, 12, b"", HashOp.SHA256))
"""Proofs of cosmos/iavl. A child has 33 bytes: its length, 0x20, stands before its hash."""

TENDERMINT_SPEC = ProofSpec(_LEAF, InnerSpec((0, 1), 32, 1, 1, b"", HashOp.SHA256))
"""Proofs of CometBFT's simple map: the multistore, and `nodes.ibc.proofs.store`."""

SMT_SPEC = ProofSpec(
    LeafOp(HashOp.SHA256, HashOp.SHA256, HashOp.SHA256, LengthOp.NO_PREFIX, b"\0"),
    InnerSpec((0, 1), 32, 1, 1, bytes(32), HashOp.SHA256),
    max_depth=256,
    prehash_key_before_comparison=True,
)
"""Proofs of celestiaorg/smt, a sparse Merkle tree: leaves lie in the order of hashed keys."""


def _format_of(leaf: LeafOp, inner: InnerSpec) -> tuple[int, ...]:
    """What decides which format a spec describes. Depths, prefix and empty child may differ, as in cosmos/ics23."""
    return (leaf.hash, leaf.prehash_key, leaf.prehash_value, leaf.length, inner.hash, inner.min_prefix_length,
            inner.max_prefix_length, inner.child_size, len(inner.child_order))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """A spec that was checked, with what follows from it."""

    leaf: LeafOp
    inner: InnerSpec
    min_depth: int
    max_depth: int
    hashes_keys: bool  # keys are compared by their hashes
    is_iavl: bool
    is_tendermint: bool
    most_prefix_bytes: int  # with all children but one in it


@lru_cache(maxsize=64)
def rules_of(spec: ProofSpec) -> Rules:
    """The rules of a spec. ProofError where proofs that fit it would prove nothing."""
    leaf, inner = spec.leaf_spec, spec.inner_spec
    if leaf is None or inner is None:
        raise ProofError("a proof spec without a leaf spec or an inner spec", "both")
    children, size = len(inner.child_order), inner.child_size
    if sorted(inner.child_order) != list(range(children)) or children < 2:
        raise ProofError(f"child order {list(inner.child_order[:8])}", "each of 0 to n-1 once, of two children or more")
    if size <= 0:
        raise ProofError(f"children of {size} bytes", "at least one byte")
    if not 0 <= inner.min_prefix_length <= inner.max_prefix_length < inner.min_prefix_length + size:
        found = f"prefixes of {inner.min_prefix_length} to {inner.max_prefix_length} bytes and children of {size}"
        raise ProofError(found, "longest prefix < shortest prefix + child")
    if leaf.hash not in HASHES or inner.hash not in HASHES:
        raise ProofError(f"hash operations {leaf.hash} of leaves and {inner.hash} of inner nodes", "ones with a digest")
    if size >= 32 and DIGEST_BYTES[HashOp(inner.hash)] > size:
        raise ProofError(f"a hash of {DIGEST_BYTES[HashOp(inner.hash)]} bytes as child of {size}", "one that fits")
    if inner.empty_child and len(inner.empty_child) != size:
        raise ProofError(f"an empty child of {len(inner.empty_child)} bytes", f"{size}, as every child")
    if spec.prehash_key_before_comparison and leaf.prehash_key not in HASHES:
        raise ProofError("keys compared by hash, which leaves do not hash", "a hash operation of keys")
    if not 0 <= spec.min_depth <= (spec.max_depth or MAX_DEPTH):
        raise ProofError(f"paths of {spec.min_depth} to {spec.max_depth or MAX_DEPTH} steps", "0 ≤ least ≤ most")
    form = _format_of(leaf, inner)
    return Rules(
        leaf,
        inner,
        spec.min_depth,
        spec.max_depth or MAX_DEPTH,
        spec.prehash_key_before_comparison,
        is_iavl=form == _IAVL_FORM,
        is_tendermint=form == _TENDERMINT_FORM,
        most_prefix_bytes=inner.max_prefix_length + (children - 1) * size,
    )


_IAVL_FORM = _format_of(_LEAF, IAVL_SPEC.inner_spec or InnerSpec())
_TENDERMINT_FORM = _format_of(_LEAF, TENDERMINT_SPEC.inner_spec or InnerSpec())
