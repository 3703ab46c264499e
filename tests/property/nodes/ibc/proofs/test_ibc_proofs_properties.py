"""Proofs from anywhere: no bytes break the verifier, and places follow from lengths whatever the spec."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from nodes.ibc.proofs.batch import expanded
from nodes.ibc.proofs.checks import iavl_prefix
from nodes.ibc.proofs.neighbours import is_left_most, is_right_most, place_of
from nodes.ibc.proofs.ops import ProofError
from nodes.ibc.proofs.specs import IAVL_SPEC, SMT_SPEC, TENDERMINT_SPEC
from nodes.ibc.proofs.verify import verify_membership, verify_non_membership
from nodes.ibc.proto.ics23 import (
    BatchEntry,
    BatchProof,
    CommitmentProof,
    ExistenceProof,
    HashOp,
    InnerOp,
    InnerSpec,
    LeafOp,
    LengthOp,
    NonExistenceProof,
    ProofSpec,
)
from nodes.ibc.proto.scalars import varint

HASHES, LENGTHS = st.sampled_from(HashOp), st.sampled_from(LengthOp)
DATA = st.binary(max_size=4) | st.sampled_from(
    [b"\1", b"\2\4\2\x20", b"\1" + bytes(32), b"\x20" + bytes(32), bytes(32)]
)
LEAVES = st.none() | st.just(IAVL_SPEC.leaf_spec) | st.builds(LeafOp, HASHES, HASHES, HASHES, LENGTHS, DATA)
STEPS = st.lists(st.builds(InnerOp, HASHES | st.just(HashOp.SHA256), DATA, DATA), max_size=4).map(tuple)
EXISTS = st.builds(ExistenceProof, DATA, DATA, LEAVES, STEPS)
ABSENCES = st.builds(NonExistenceProof, DATA, st.none() | EXISTS, st.none() | EXISTS)
PROOFS = st.builds(CommitmentProof, exist=EXISTS) | st.builds(CommitmentProof, nonexist=ABSENCES)
INNER_SPECS = st.builds(
    InnerSpec,
    st.permutations(range(3)).map(tuple),
    st.integers(-1, 40),
    st.integers(-1, 9),
    st.integers(-1, 60),
    DATA,
    HASHES,
)
SPECS = st.sampled_from([IAVL_SPEC, TENDERMINT_SPEC, SMT_SPEC]) | st.builds(
    ProofSpec, LEAVES, st.none() | INNER_SPECS, st.integers(-1, 3), st.integers(-1, 3), st.booleans()
)


@given(st.lists(PROOFS, max_size=3), st.lists(SPECS, max_size=3), st.lists(DATA, max_size=3), DATA)
def test_the_verifier_refuses_or_accepts_and_nothing_else(
    proofs: list[CommitmentProof], specs: list[ProofSpec], path: list[bytes], value: bytes
) -> None:
    with suppress(ProofError):
        verify_membership(proofs, specs, bytes(32), path, value)
    with suppress(ProofError):
        verify_non_membership(proofs, specs, bytes(32), path)


@given(EXISTS, SPECS)
def test_a_proof_of_a_root_that_it_was_not_made_for_is_refused(proof: ExistenceProof, spec: ProofSpec) -> None:
    try:
        verify_membership([CommitmentProof(exist=proof)], [spec], b"\xaa" * 32, [proof.key], proof.value)
    except ProofError:
        return
    raise AssertionError("accepted")


@given(st.lists(EXISTS | ABSENCES, max_size=4))
def test_batches_are_expanded_in_order(proofs: list[ExistenceProof | NonExistenceProof]) -> None:
    entries = tuple(
        BatchEntry(exist=each) if isinstance(each, ExistenceProof) else BatchEntry(nonexist=each) for each in proofs
    )
    single = expanded(CommitmentProof(batch=BatchProof(entries)))
    assert [each.exist or each.nonexist for each in single] == proofs


@given(st.lists(st.integers(0, 2**63 - 1), min_size=3, max_size=3), st.binary(max_size=40))
def test_iavl_prefixes_are_read_as_they_are_written(numbers: list[int], rest: bytes) -> None:
    prefix = b"".join(varint(number << 1) for number in numbers) + rest
    assert iavl_prefix(prefix) == (numbers[0], numbers[1], len(rest))


@given(st.binary(max_size=40))
def test_iavl_prefixes_that_are_none_are_refused(data: bytes) -> None:
    try:
        height, size, rest = iavl_prefix(data)
    except ProofError:
        return
    assert height >= 0
    assert size >= 0
    assert rest <= len(data) - 3


@given(st.data(), st.integers(2, 5), st.integers(1, 40), st.integers(0, 9))
def test_every_child_has_one_place(data: st.DataObject, children: int, size: int, least: int) -> None:
    order = tuple(data.draw(st.permutations(range(children))))
    most = data.draw(st.integers(least, least + size - 1))
    spec = InnerSpec(order, size, least, most, b"\xee" * size, HashOp.SHA256)
    slot, own = data.draw(st.integers(0, children - 1)), data.draw(st.integers(least, most))
    step = InnerOp(HashOp.SHA256, bytes(own + slot * size), bytes((children - 1 - slot) * size))
    place = place_of(spec, step)
    assert place == order[slot]
    assert is_left_most(spec, [step]) == (place == 0)
    assert is_right_most(spec, [step]) == (place == children - 1)
    empty = InnerOp(HashOp.SHA256, bytes(own) + spec.empty_child * slot, spec.empty_child * (children - 1 - slot))
    assert is_left_most(spec, [empty])
    assert is_right_most(spec, [empty])
