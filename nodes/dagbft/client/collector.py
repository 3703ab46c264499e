"""The collector of proofs: it takes signed results of validators and returns proofs of finality.

Invariant: each validator counts once for a result, and only if its signature, path and run are right; so a proof rests
on distinct validators that signed the same result. The number of pending transactions is bounded.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from nodes.dagbft.client.merkle import climb
from nodes.dagbft.client.messages import Included, SignedResults, Statement
from nodes.dagbft.client.proof import Branch, Proof
from nodes.dagbft.field_types import Cause
from nodes.dagbft.identity import Roster, Verifier

MOST_CLAIMS = 16  # different claims of one validator on one transaction


class Milestone(NamedTuple):
    """A number of validators has, for the first time, signed the same result of a transaction."""

    name: str  # "early" or "final": a quorum, so there is a proof; "correct": f + 1, final
    transaction: bytes
    waited_s: float
    proof: Proof | None


Claim = tuple[int, int, bytes, int, int]  # kind, commits, result, round and author of the block
_Place = tuple[int, int, tuple[bytes, ...]]  # count, index and path: the key of a branch


@dataclass(slots=True)
class _PendingProof:
    """A transaction for which proofs are being collected."""

    since_s: float
    claims: dict[Claim, dict[int, tuple[_Place, bytes]]] = field(default_factory=dict)  # by voter, with its signature
    made: set[str] = field(default_factory=set)  # milestones that have been reached
    proved: dict[tuple[int, int], bytes] = field(default_factory=dict)  # proved result by block

    @property
    def disputed(self) -> bool:
        """Whether validators have signed different results of it in one block. (In two blocks it may have two: parts
        of a gamma transaction that is given up, or an identifier that was used twice.)"""
        return len({claim[2:] for claim in self.claims}) > len({claim[3:] for claim in self.claims})


class Collector:
    """Call `want` for a transaction and `on_results` for each message of a validator; `take` returns milestones."""

    def __init__(self, roster: Roster, most: int = 20_000, timeout_s: float = 60.0) -> None:
        self.counts: Counter[str] = Counter()
        self.rejected: Counter[tuple[str, int]] = Counter()  # by reason and validator
        self._roster = roster
        self._most = most
        self._timeout_s = timeout_s
        self._verifier = Verifier()
        self._pending: dict[bytes, _PendingProof] = {}  # in the order of `want`
        self._made: list[Milestone] = []

    @property
    def due_s(self) -> float:
        """When `tick` gives up the next transaction."""
        first = next(iter(self._pending.values()), None)
        return float("inf") if first is None else first.since_s + self._timeout_s

    @property
    def pending(self) -> int:
        """Transactions without a final proof yet."""
        return len(self._pending)

    def want(self, transaction: bytes, now_s: float) -> None:
        """Collect proofs of this transaction. If too many are pending, the oldest is given up."""
        if transaction in self._pending:
            return
        self._pending[transaction] = _PendingProof(now_s)
        if len(self._pending) > self._most:
            self._give_up()

    def tick(self, now_s: float) -> None:
        """Give up transactions whose timeout has passed."""
        while self.due_s <= now_s:
            self._give_up()

    def take(self) -> list[Milestone]:
        """The milestones since the last call."""
        made, self._made = self._made, []
        return made

    def on_results(self, peer: int, message: SignedResults, now_s: float) -> None:
        """Signed results from validator `peer`."""
        statement = message.statement
        if reason := self._wrong(peer, message):
            self.rejected[reason, peer] += 1
            return
        for included in message.results:
            pending = self._pending.get(included.transaction)
            if pending is None:
                self.counts["proofs late"] += 1  # proved already, or given up
            elif climb(included.leaf, included.index, statement.count, included.path) != statement.root:
                self.rejected["path", peer] += 1
            else:
                self._claim(pending, peer, statement, included, message.signature, now_s)

    def _wrong(self, peer: int, message: SignedResults) -> str:
        statement, roster = message.statement, self._roster
        if message.voter != peer or peer >= roster.committee.n:
            return "voter"
        if statement.run != roster.run:
            return "run"
        if statement.epoch != roster.epoch:
            return "epoch"
        if (statement.kind == Cause.EARLY) != (statement.commits == 0):
            return "commits"
        good = self._verifier.verify(roster.publics[peer], statement.digest, message.signature)
        return "" if good else "signature"

    def _claim(
        self,
        pending: _PendingProof,
        peer: int,
        statement: Statement,
        included: Included,
        signature: bytes,
        now_s: float,
    ) -> None:
        claim: Claim = (statement.kind, statement.commits, included.result, included.round, included.author)
        if claim not in pending.claims and sum(peer in votes for votes in pending.claims.values()) >= MOST_CLAIMS:
            self.rejected["claims", peer] += 1
            return
        votes = pending.claims.setdefault(claim, {})
        if peer in votes:
            self.counts["proofs repeated"] += 1
            return
        votes[peer] = (statement.count, included.index, included.path), signature
        committee = self._roster.committee
        final = statement.kind == Cause.COMMITTED
        if final and len(votes) == committee.faults + 1:
            self._reach(pending, "correct", included, None, now_s)
        if len(votes) == committee.quorum:
            self._reach(pending, "final" if final else "early", included, self._proof(claim, included, votes), now_s)
            if final:
                self._pending.pop(included.transaction)
                self.counts["proofs disputed"] += pending.disputed

    def _reach(self, pending: _PendingProof, name: str, included: Included, proof: Proof | None, now_s: float) -> None:
        if name in pending.made:
            return
        pending.made.add(name)
        self.counts[f"proofs {name}"] += 1
        if proof is not None:
            known = pending.proved.setdefault((proof.round, proof.author), proof.result)
            self.counts["proofs contradicted"] += known != proof.result
        self._made.append(Milestone(name, included.transaction, now_s - pending.since_s, proof))

    def _proof(self, claim: Claim, included: Included, votes: dict[int, tuple[_Place, bytes]]) -> Proof:
        branches: dict[_Place, list[tuple[int, bytes]]] = {}
        for voter, (place, signature) in sorted(votes.items()):
            branches.setdefault(place, []).append((voter, signature))
        kind, commits, result, round, author = claim
        return Proof(
            self._roster.run, self._roster.epoch, kind, commits, included.transaction, result, round, author,
            tuple(Branch(*place, tuple(voters)) for place, voters in branches.items()),
        )  # fmt: skip

    def _give_up(self) -> None:
        del self._pending[next(iter(self._pending))]
        self.counts["proofs given up"] += 1
