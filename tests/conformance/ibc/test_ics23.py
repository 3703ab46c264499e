"""ICS-23 against the vectors of cosmos/ics23, named one by one; and each proof with every one of its bits flipped."""

from __future__ import annotations

from typing import Any

import pytest
from ics23_vectors import PROOFS, SPECS, existence_proof, inner_op, leaf_op, needs_vectors, octets, proof_spec, vectors

from nodes.ibc.proofs.checks import check_leaf, check_steps
from nodes.ibc.proofs.neighbours import place_of, siblings_are_empty
from nodes.ibc.proofs.ops import ProofError, hashed, inner_hash, leaf_hash
from nodes.ibc.proofs.specs import rules_of
from nodes.ibc.proofs.verify import verify_membership, verify_non_membership
from nodes.ibc.proto.ics23 import CommitmentProof, LeafOp
from nodes.ibc.proto.scalars import WireError

pytestmark = needs_vectors


def by_name(name: str) -> Any:
    """The rows of a file as parameters, each with its own name."""
    found = vectors(name)
    rows = found if isinstance(found, dict) else {f"row {at}": row for at, row in enumerate(found)}
    return pytest.mark.parametrize("row", list(rows.values()), ids=list(rows))


def lower(row: dict[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in row.items()}


def verify(tree: str, root: bytes, proof: bytes, key: bytes, value: bytes) -> None:
    """ProofError or WireError where the bytes are no proof; no value means absence."""
    decoded = CommitmentProof.decode(proof)
    if value:
        verify_membership([decoded], [SPECS[tree]], root, [key], value)
    else:
        verify_non_membership([decoded], [SPECS[tree]], root, [key])


def parts_of(name: str) -> dict[str, bytes]:
    return {part: bytes.fromhex(text) for part, text in vectors(name).items()}


@pytest.mark.parametrize("name", PROOFS)
def test_proof_is_verified(name: str) -> None:
    verify(name.split("/")[0], **parts_of(name))


@pytest.mark.parametrize("name", PROOFS)
def test_proof_with_any_bit_flipped_is_refused(name: str) -> None:
    """All bits of existence proofs, every ninth of proofs of absence: all of those take some 15 seconds more."""
    stride = 9 if "nonexist" in name else 1
    tree, parts = name.split("/")[0], parts_of(name)
    taken = []
    for part, data in parts.items():
        for bit in range(0, 8 * len(data), stride):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            try:
                verify(tree, **{**parts, part: bytes(flipped)})
                taken.append((part, bit))
            except (ProofError, WireError):
                pass
    assert taken == []


@pytest.mark.parametrize("name", PROOFS)
def test_proof_is_refused_by_the_spec_of_another_tree_and_as_the_other_kind(name: str) -> None:
    tree, parts = name.split("/")[0], parts_of(name)
    for other in SPECS.keys() - {tree}:
        with pytest.raises(ProofError):
            verify(other, **parts)
    with pytest.raises(ProofError):
        verify(tree, **{**parts, "value": b"" if parts["value"] else b"value"})


@pytest.mark.parametrize("name", PROOFS)
def test_proof_that_ends_early_is_refused(name: str) -> None:
    tree, parts = name.split("/")[0], parts_of(name)
    for end in range(0, len(parts["proof"]), 7):
        with pytest.raises((ProofError, WireError)):
            verify(tree, **{**parts, "proof": parts["proof"][:end]})


@by_name("TestDoHashData")
def test_hash(row: dict[str, Any]) -> None:
    row = lower(row)
    assert hashed(row["hashop"], row["preimage"].encode()).hex() == row["expectedhash"]


@by_name("TestLeafOpData")
def test_leaf_op(row: dict[str, Any]) -> None:
    op = leaf_op(row["Op"])
    assert op
    if row["IsErr"]:
        with pytest.raises(ProofError):
            leaf_hash(op, octets(row["Key"]), octets(row["Value"]))
    else:
        assert leaf_hash(op, octets(row["Key"]), octets(row["Value"])) == octets(row["Expected"])


@by_name("TestInnerOpData")
def test_inner_op(row: dict[str, Any]) -> None:
    if row["IsErr"]:
        with pytest.raises(ProofError):
            inner_hash(inner_op(row["Op"]), octets(row["Child"]))
    else:
        assert inner_hash(inner_op(row["Op"]), octets(row["Child"])) == octets(row["Expected"])


@by_name("TestExistenceProofData")
def test_existence_calculation(row: dict[str, Any]) -> None:
    proof = existence_proof(row["Proof"])
    if row["IsErr"]:
        with pytest.raises(ProofError, match="without a leaf"):
            check_steps(proof, rules_of(SPECS["iavl"]))
        return
    assert proof.leaf
    node = leaf_hash(proof.leaf, proof.key, proof.value)
    for step in proof.path:
        node = inner_hash(step, node)
    assert node == octets(row["Expected"])


@by_name("TestCheckLeafData")
def test_leaf_against_spec(row: dict[str, Any]) -> None:
    leaf, spec = leaf_op(row["Leaf"]) or LeafOp(), leaf_op(row["Spec"]) or LeafOp()
    if row["IsErr"]:
        with pytest.raises(ProofError):
            check_leaf(leaf, spec)
    else:
        check_leaf(leaf, spec)


@by_name("TestCheckAgainstSpecData")
def test_steps_against_spec(row: dict[str, Any]) -> None:
    proof, rules = existence_proof(row["Proof"]), rules_of(proof_spec(row["Spec"]))
    if row["Err"]:
        with pytest.raises(ProofError):
            check_steps(proof, rules)
    else:
        check_steps(proof, rules)


@by_name("TestEmptyBranchData")
def test_empty_branches(row: dict[str, Any]) -> None:
    spec = proof_spec(row["Spec"]).inner_spec
    assert spec
    step, children = inner_op(row["Op"]), len(spec.child_order)
    place = place_of(spec, step)
    assert (place > 0 and siblings_are_empty(spec, step, range(place))) == row["IsLeft"]
    assert (place < children - 1 and siblings_are_empty(spec, step, range(place + 1, children))) == row["IsRight"]
