"""Batches of proofs, plain and compressed: forms 3 and 4 of ICS-23, which old chains still send.

Invariant: what comes out is single proofs, none of them verified. How many entries or steps a batch may have is bounded
by the size of its message.
"""

from __future__ import annotations

from nodes.ibc.proofs.ops import ProofError, hashed
from nodes.ibc.proofs.specs import rules_of
from nodes.ibc.proofs.verify import shown
from nodes.ibc.proto.ics23 import (
    CommitmentProof,
    CompressedExistenceProof,
    CompressedNonExistenceProof,
    ExistenceProof,
    InnerOp,
    NonExistenceProof,
    ProofSpec,
)


def expanded(proof: CommitmentProof) -> tuple[CommitmentProof, ...]:
    """The single proofs of a proof of any form. ProofError where an entry, or a step of its table, is missing."""
    if proof.batch is not None:
        return tuple(_single(entry.exist, entry.nonexist) for entry in proof.batch.entries)
    if proof.compressed is not None:
        table = proof.compressed.lookup_inners
        return tuple(
            _single(_existence(entry.exist, table), _non_existence(entry.nonexist, table))
            for entry in proof.compressed.entries
        )
    return (_single(proof.exist, proof.nonexist),)


def proof_of(proof: CommitmentProof, spec: ProofSpec, key: bytes) -> CommitmentProof:
    """The single proof of a key. ProofError where a batch has none; what is no batch is given back as it is."""
    if proof.batch is None and proof.compressed is None:
        return proof
    rules = rules_of(spec)
    names = {key, hashed(rules.leaf.prehash_key, key)} if rules.hashes_keys else {key}  # absence names the hash
    every = expanded(proof)
    for each in every:
        found = each.exist or each.nonexist
        if found is not None and found.key in names:
            return each
    raise ProofError(f"a batch of {len(every)} proofs, none of them of {shown(key)}", "one of this key")


def _single(exist: ExistenceProof | None, nonexist: NonExistenceProof | None) -> CommitmentProof:
    if (exist is None) == (nonexist is None):
        raise ProofError("an entry with no proof, or with two", "a proof of existence or of absence")
    return CommitmentProof(exist=exist, nonexist=nonexist)


def _existence(proof: CompressedExistenceProof | None, table: tuple[InnerOp, ...]) -> ExistenceProof | None:
    if proof is None:
        return None
    for step in proof.path:
        if not 0 <= step < len(table):
            raise ProofError(f"step {step} of a compressed proof", f"one of the {len(table)} steps of its table")
    return ExistenceProof(proof.key, proof.value, proof.leaf, tuple(table[step] for step in proof.path))


def _non_existence(proof: CompressedNonExistenceProof | None, table: tuple[InnerOp, ...]) -> NonExistenceProof | None:
    if proof is None:
        return None
    return NonExistenceProof(proof.key, _existence(proof.left, table), _existence(proof.right, table))
