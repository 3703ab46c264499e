"""Properties of proofs: every field is under the signatures, and nothing but what enough validators signed is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from nodes.dagbft.client.files import committee_line, proof_line, proof_of, roster_of
from nodes.dagbft.client.merkle import Tree, climb
from nodes.dagbft.client.messages import Statement, leaf_of
from nodes.dagbft.client.proof import Branch, Proof, check_proof
from nodes.dagbft.field_types import digest_of
from nodes.dagbft.identity import Identity, Roster

NAMES = [f"v{number}" for number in range(7)]  # f = 2, q = 5
KEYS = [Identity.of(3, name) for name in NAMES]
RUN = b"this run"
ROSTER = Roster.of(3, NAMES, run=RUN, epoch=4)
REFUSALS = {"run", "epoch", "commits", "unknown", "repeated", "few", "path", "signature"}


def entry(number: int) -> tuple[bytes, bytes, int, int]:
    """A result: transaction, result, round, author."""
    return number.to_bytes(16, "big"), digest_of("test", number.to_bytes(8, "big")), 7, number % 7


def branch(count: int, index: int, voters: list[int], kind: int, commits: int, first: int) -> Branch:
    """A statement over `count` results, of which number `index` is entry(0), signed by these."""
    tree = Tree([leaf_of(*entry(0 if at == index else first + at)) for at in range(count)])
    statement = Statement(RUN, 4, kind, commits, count, tree.root)
    votes = tuple((voter, KEYS[voter].sign(statement.digest)) for voter in sorted(voters))
    return Branch(count, index, tree.path(index), votes)


@st.composite
def proofs(draw: st.DrawFn) -> Proof:
    """Good proofs of five signers: final ones of one branch, early ones of one or more."""
    kind = draw(st.sampled_from([1, 2]))
    commits = draw(st.integers(1, 1 << 40)) if kind == 2 else 0
    voters = draw(st.permutations(range(7)))[:5]
    split = draw(st.integers(1, 5)) if kind == 1 else 5
    branches = []
    for number, part in enumerate((voters[:split], voters[split:])):
        if part:
            count = draw(st.integers(1, 40))
            index = draw(st.integers(0, count - 1))
            branches.append(branch(count, index, list(part), kind, commits, 100 * (number + 1)))
    return Proof(RUN, 4, kind, commits, *entry(0), tuple(branches))


@given(proofs())
def test_good_proofs_hold_wherever_they_are_checked(proof: Proof) -> None:
    assert check_proof(proof, ROSTER) == ""
    assert Proof.decode(proof.encode()) == proof
    again, roster = proof_of(proof_line(proof)), roster_of(committee_line(ROSTER))
    assert (again, check_proof(again, roster)) == (proof, "")


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "run": st.binary(min_size=8, max_size=8),
    "epoch": st.integers(0, 9),
    "kind": st.sampled_from([1, 2]),
    "commits": st.integers(0, 1 << 41),
    "transaction": st.binary(min_size=16, max_size=16),
    "result": st.binary(min_size=32, max_size=32),
    "round": st.integers(0, 20),
    "author": st.integers(0, 20),
}
OF_BRANCH: dict[str, st.SearchStrategy[Any]] = {
    "count": st.integers(1, 50),
    "index": st.integers(0, 50),
    "path": st.lists(st.binary(min_size=32, max_size=32), max_size=6).map(tuple),
}


@given(proofs(), st.data())
def test_a_field_that_was_changed_is_refused(proof: Proof, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*FIELDS, *OF_BRANCH]))
    if name in FIELDS:
        changed = replace(proof, **{name: data.draw(FIELDS[name])})
    else:
        first = replace(proof.branches[0], **{name: data.draw(OF_BRANCH[name])})
        changed = replace(proof, branches=(first, *proof.branches[1:]))
    assume(changed != proof)
    assert check_proof(changed, ROSTER) in REFUSALS


@given(proofs(), st.data())
def test_a_byte_that_was_changed_is_refused(proof: Proof, data: st.DataObject) -> None:
    bad = bytearray(proof.encode())
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        changed = Proof.decode(bytes(bad))
    except ValueError:
        return
    assert check_proof(changed, ROSTER) in REFUSALS


@given(st.binary(max_size=600))
def test_other_bytes_are_a_value_error_or_a_refused_proof(data: bytes) -> None:
    try:
        proof = Proof.decode(data)
    except ValueError:
        return
    assert proof.encode() == data
    assert check_proof(proof, ROSTER) in REFUSALS


@given(proofs(), st.data())
def test_signatures_that_are_few_repeated_or_strange_are_refused(proof: Proof, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(proof.branches) - 1))
    votes = list(proof.branches[at].votes)
    number = data.draw(st.integers(0, len(votes) - 1))

    def with_votes(votes: list[tuple[int, bytes]]) -> str:
        changed = replace(proof.branches[at], votes=tuple(votes))
        return check_proof(replace(proof, branches=(*proof.branches[:at], changed, *proof.branches[at + 1 :])), ROSTER)

    voter, signature = votes[number]
    fewer = votes[:number] + votes[number + 1 :]
    assert with_votes(fewer) == ("few" if fewer else "repeated")
    assert with_votes([*fewer, (voter, bytes(64))]) in ("signature", "repeated")
    assert with_votes([*votes, (voter, signature)]) == "repeated"
    assert with_votes([*votes, (7, signature)]) == "unknown"
    absent = next(other for other in range(7) if other not in proof.voters)
    assert with_votes(sorted([*fewer, (absent, signature)])) == "signature", "somebody else's signature"
    twice = replace(proof, branches=(*proof.branches, proof.branches[at]))
    assert check_proof(twice, ROSTER) == "repeated"


@given(st.integers(1, 200), st.data())
def test_paths_hold_at_their_own_place_only(count: int, data: st.DataObject) -> None:
    leaves = [digest_of("leaf", bytes([number])) for number in range(count)]
    tree = Tree(leaves)
    index, other = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, count - 1))
    path = tree.path(index)
    assert climb(leaves[index], index, count, path) == tree.root
    assert len(path) <= (count - 1).bit_length()
    if other != index:
        assert climb(leaves[index], other, count, path) != tree.root
        assert climb(leaves[other], index, count, path) != tree.root
    assert climb(leaves[index], index, count, (*path, tree.root)) is None
    if path:
        assert climb(leaves[index], index, count, path[:-1]) is None
    assert climb(leaves[index], count, count, path) is None


def test_proofs_of_f_plus_1_prove_the_result_and_no_quorum() -> None:
    proof = Proof(RUN, 4, 2, 9, *entry(0), (branch(5, 2, [0, 3, 6], 2, 9, 100),))
    assert check_proof(proof, ROSTER) == "few"
    assert check_proof(proof, ROSTER, ROSTER.committee.faults + 1) == ""


def test_validators_that_signed_other_results_do_not_count() -> None:
    """Four sign one result and three another one: neither has a quorum, and they cannot be mixed."""
    one = branch(3, 0, [0, 1, 2, 3], 2, 9, 100)
    tree = Tree([leaf_of(entry(0)[0], entry(5)[1], 7, 0)])
    statement = Statement(RUN, 4, 2, 9, 1, tree.root)
    other = Branch(1, 0, (), tuple((voter, KEYS[voter].sign(statement.digest)) for voter in (4, 5, 6)))
    mixed = Proof(RUN, 4, 2, 9, *entry(0), (one, other))
    assert check_proof(mixed, ROSTER) == "signature"
    assert check_proof(replace(mixed, branches=(one,)), ROSTER) == "few"
