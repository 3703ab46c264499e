"""Proofs of finality: a result with the signatures of validators, checkable with the committee's keys alone.

Invariant: `check_proof` depends on a proof and a roster only: not on time, state or the network. A proof that it
accepts was signed, over every field, by at least the required number of distinct validators.

A proof has one result and one or more branches. A branch holds the validators that signed the same statement. Early
results may become known in different groups at different validators; then their trees differ, and there are several
branches.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from emulator.model.errors import Unfit
from emulator.sdk.wire import U16, U32, U64, Many, Nested, Octets, Unsigned, layout_of
from nodes.dagbft.client.merkle import climb
from nodes.dagbft.client.messages import Final, Path, Run, Statement, leaf_of
from nodes.dagbft.field_types import MOST_VALIDATORS, TRANSACTION_ID_BYTES, Cause, Digest
from nodes.dagbft.identity import Roster, Verifier
from nodes.dagbft.messages import Votes

MOST_PROOF_BYTES = 200_000


@dataclass(frozen=True, slots=True)
class Branch:
    """Validators that signed one statement, and the place of the result in its tree."""

    count: Annotated[int, Unsigned(4, least=1)]  # results of the statement
    index: U32
    path: Path
    votes: Votes

    def root(self, leaf: bytes) -> bytes | None:
        """The root of the tree; None if the path does not fit."""
        return climb(leaf, self.index, self.count, self.path)


@dataclass(frozen=True, slots=True)
class Proof:
    """States that a transaction has this result, and that no order that is still possible changes it."""

    run: Run
    epoch: U32
    kind: Final
    commits: Annotated[U64, "with which the result became final; early: 0"]
    transaction: Annotated[bytes, Octets(TRANSACTION_ID_BYTES)]
    result: Digest
    round: Annotated[U64, "of the block that carried the transaction"]
    author: U16
    branches: Annotated[tuple[Branch, ...], Many(Nested(Branch), MOST_VALIDATORS)]

    @property
    def leaf(self) -> bytes:
        """The entry of the trees."""
        return leaf_of(self.transaction, self.result, self.round, self.author)

    @property
    def voters(self) -> tuple[int, ...]:
        """The validators that signed, by branch."""
        return tuple(voter for branch in self.branches for voter, _ in branch.votes)

    def encode(self) -> bytes:
        """The proof as bytes. ValueError if a field is past its limit."""
        pieces: list[bytes] = []
        layout_of(Proof).write(self, pieces)
        return b"".join(pieces)

    @classmethod
    def decode(cls, data: bytes) -> Proof:
        """The proof of these bytes. ValueError if `encode` cannot have written them."""
        if len(data) > MOST_PROOF_BYTES:
            raise Unfit(f"proof of {len(data)} bytes", f"at most {MOST_PROOF_BYTES}")
        proof, end = layout_of(cls).read(data, 0)
        if end != len(data):
            raise Unfit(f"proof: {len(data) - end} bytes left over", "none")
        assert isinstance(proof, Proof)
        return proof


def check_proof(proof: Proof, roster: Roster, need: int = 0, verifier: Verifier | None = None) -> str:
    """The reason for which a proof is refused, one word; "" if it is accepted.

    `need` is how many validators must have signed; 0: a quorum, n - f. f + 1 signatures prove the result, but not that
    a quorum has it. Words: `run`, `epoch`, `commits` (early and after a commit, or neither), `unknown` (a signer that
    is not in the committee), `repeated` (a signer twice, or not in rising order), `few`, `path`, `signature` (of
    another statement, another result, or another key).
    """
    verifier, n = verifier or Verifier(), roster.committee.n
    if proof.run != roster.run:
        return "run"
    if proof.epoch != roster.epoch:
        return "epoch"
    if (proof.kind == Cause.EARLY) != (proof.commits == 0):
        return "commits"
    voters = proof.voters
    if any(voter >= n for voter in voters):
        return "unknown"
    if len(set(voters)) < len(voters) or any(not _rising(branch) for branch in proof.branches):
        return "repeated"
    if len(voters) < (need or roster.committee.quorum):
        return "few"
    leaf = proof.leaf
    for branch in proof.branches:
        root = branch.root(leaf)
        if root is None:
            return "path"
        digest = Statement(proof.run, proof.epoch, proof.kind, proof.commits, branch.count, root).digest
        if not all(verifier.verify(roster.publics[voter], digest, signature) for voter, signature in branch.votes):
            return "signature"
    return ""


def _rising(branch: Branch) -> bool:
    """Whether the branch has voters and these are in rising order."""
    return bool(branch.votes) and all(before[0] < after[0] for before, after in pairwise(branch.votes))
