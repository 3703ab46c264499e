"""Verification of ICS-23 proofs: that a key has a value, or no value, under a root.

Invariant: what returns has been proved; everything else raises ProofError. Batches and compressed proofs are not taken
as they are: cosmos/ics23 has deleted these forms. `nodes.ibc.proofs.batch` expands them.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodes.ibc.proofs.checks import check_steps
from nodes.ibc.proofs.neighbours import are_neighbours, is_left_most, is_right_most
from nodes.ibc.proofs.ops import ProofError, hashed, inner_hash, leaf_hash
from nodes.ibc.proofs.specs import Rules, rules_of
from nodes.ibc.proto.ics23 import CommitmentProof, ExistenceProof, NonExistenceProof, ProofSpec


def verify_existence(proof: ExistenceProof, spec: ProofSpec, root: bytes, key: bytes, value: bytes) -> None:
    """ProofError where the proof does not show that `key` has `value` under `root`."""
    _check_root(existence_root(proof, rules_of(spec), key, value), root)


def verify_non_existence(proof: NonExistenceProof, spec: ProofSpec, root: bytes, key: bytes) -> None:
    """ProofError where the proof does not show that `key` has no value under `root`."""
    _check_root(non_existence_root(proof, rules_of(spec), key), root)


def existence_root(proof: ExistenceProof, rules: Rules, key: bytes, value: bytes) -> bytes:
    """The root under which the proof shows that `key` has `value`."""
    leaf = check_steps(proof, rules)
    if proof.key != key:
        raise ProofError(f"a proof of key {shown(proof.key)}", shown(key))
    if proof.value != value:
        raise ProofError(f"a proof of value {shown(proof.value)}", shown(value))
    node = leaf_hash(leaf, key, value)
    for step in proof.path:
        node = inner_hash(step, node)
    return node


def non_existence_root(proof: NonExistenceProof, rules: Rules, key: bytes) -> bytes:
    """The root under which the proof shows that `key` has no value: it lies between two neighbours, or past an end."""
    if not key:
        raise ProofError("an empty key", "at least one byte")
    place = _place(rules, key)
    if proof.key != key and proof.key != place:  # sparse trees write the hash of a key
        raise ProofError(f"a proof that key {shown(proof.key)} is absent", shown(key))
    left, right, inner = proof.left, proof.right, rules.inner
    roots = [existence_root(side, rules, side.key, side.value) for side in (left, right) if side is not None]
    if not roots:
        raise ProofError("a proof of absence without a neighbour", "one on the left, on the right, or both")
    if roots[0] != roots[-1]:
        raise ProofError("neighbours under different roots", "one root")
    if left is not None and not _place(rules, left.key) < place:
        raise ProofError(f"left neighbour {shown(left.key)}", f"one before {shown(key)}")
    if right is not None and not place < _place(rules, right.key):
        raise ProofError(f"right neighbour {shown(right.key)}", f"one after {shown(key)}")
    if left is None:
        if right is None or not is_left_most(inner, right.path):
            raise ProofError("no left neighbour, and leaves left of the right one", "the left-most leaf")
    elif right is None:
        if not is_right_most(inner, left.path):
            raise ProofError("no right neighbour, and leaves right of the left one", "the right-most leaf")
    elif not are_neighbours(inner, left.path, right.path):
        raise ProofError("two leaves that are not next to each other", "neighbours")
    return roots[0]


def verify_membership(
    proofs: Sequence[CommitmentProof], specs: Sequence[ProofSpec], root: bytes, path: Sequence[bytes], value: bytes
) -> None:
    """ProofError where a chain of proofs does not show that the last key of `path` has `value`.

    Proofs and specs run from the innermost tree outwards, keys of `path` from the root inwards; what a tree proves is
    the root of the tree inside it.
    """
    _check_lengths(proofs, specs, path)
    _check_root(_outer_root(proofs, specs, path, value), root)


def verify_non_membership(
    proofs: Sequence[CommitmentProof], specs: Sequence[ProofSpec], root: bytes, path: Sequence[bytes]
) -> None:
    """ProofError where a chain of proofs does not show that the last key of `path` has no value in its tree.

    The trees around it are shown to hold it: a tree that is not there has no proof of this kind.
    """
    _check_lengths(proofs, specs, path)
    innermost = proofs[0].nonexist
    if innermost is None:
        raise ProofError("no proof of absence in the innermost tree", "one")
    inside = non_existence_root(innermost, rules_of(specs[0]), path[-1])
    _check_root(_outer_root(proofs[1:], specs[1:], path[:-1], inside), root)


def _outer_root(
    proofs: Sequence[CommitmentProof], specs: Sequence[ProofSpec], path: Sequence[bytes], value: bytes
) -> bytes:
    for proof, spec, key in zip(proofs, specs, reversed(path), strict=True):
        if proof.exist is None:
            raise ProofError(f"no proof of existence of {shown(key)}", "one")
        value = existence_root(proof.exist, rules_of(spec), key, value)
    return value


def _check_lengths(proofs: Sequence[object], specs: Sequence[object], path: Sequence[object]) -> None:
    if not len(proofs) == len(specs) == len(path) > 0:
        raise ProofError(f"{len(proofs)} proofs, {len(specs)} specs and {len(path)} keys", "as many of each, and one")


def _check_root(found: bytes, expected: bytes) -> None:
    if found != expected:
        raise ProofError(f"root {found.hex()}", expected.hex())


def _place(rules: Rules, key: bytes) -> bytes:
    """What decides the order of leaves: the key, or its hash in a sparse tree."""
    return hashed(rules.leaf.prehash_key, key) if rules.hashes_keys else key


def shown(data: bytes) -> str:
    """Bytes in an error: as text where they are, in hexadecimal otherwise, and not all of many."""
    text = repr(data[:48])[1:] if data.isascii() else data[:48].hex()
    return text if len(data) <= 48 else f"{text}… ({len(data)} bytes)"
