"""The verdict: what all honest validators say, put together, and what may not be.

Invariant: nothing is believed. A commit, a place or a result that one validator tells is compared with what the others
told, and with what it turns out to be.
"""

from __future__ import annotations

from collections import Counter

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Commit
from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.consensus.early import Early

Result = tuple[Slot, bytes]  # the block that carries a transaction, and the transaction's id


class Fault(AssertionError):
    """Something that must never be; `kind` is a word to count it by."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Verdict:
    """One committee's. The order is that of the validator that is furthest."""

    def __init__(self, committee: Committee) -> None:
        self.commits: list[Commit] = []
        self.counts: Counter[str] = Counter()
        self._committee = committee
        self._position: dict[Slot, int] = {}  # of ordered blocks, in their shards
        self._shards = [0] * committee.n  # blocks ordered so far
        self._places: dict[Slot, int] = {}  # that were told early
        self._final: dict[Result, bytes] = {}
        self._early: dict[Result, bytes] = {}
        self._digests: dict[int, bytes] = {}

    def commit(self, who: int, commit: Commit) -> None:
        """A validator commits."""
        if commit.number < len(self.commits):
            if commit != self.commits[commit.number]:
                raise Fault("fork", f"validator {who} has {commit}, another {self.commits[commit.number]}")
            return
        if commit.number > len(self.commits):
            raise Fault("fork", f"validator {who} tells commit {commit.number} after {len(self.commits)}")
        self.commits.append(commit)
        for slot in commit.blocks:
            shard = self._committee.shard(slot[1], slot[0])
            if slot in self._position:
                raise Fault("fork", f"{slot} is ordered twice")
            self._position[slot] = self._shards[shard]
            self._shards[shard] += 1
            self._compare_place(slot)

    def place(self, who: int, event: Early) -> None:
        """A validator says that a block's place in its shard is final."""
        self.counts["places"] += 1
        told = self._places.setdefault(event.block, event.position)
        if told != event.position:
            raise Fault("place", f"validator {who} puts {event.block} at {event.position}, another at {told}")
        self._compare_place(event.block)

    def _compare_place(self, slot: Slot) -> None:
        place, told = self._position.get(slot), self._places.get(slot)
        if place is not None and told is not None and place != told:
            raise Fault("place", f"{slot} was to be at {told} of its shard, and is at {place}")

    def result(self, who: int, result: Result, hash: bytes, *, early: bool) -> None:
        """A validator tells a client a result."""
        self.counts["early results" if early else "results"] += 1
        mine, others = (self._early, self._final) if early else (self._final, self._early)
        if mine.setdefault(result, hash) != hash:
            raise Fault("result", f"validator {who} has another {'early ' * early}result of {result} than others")
        if others.get(result, hash) != hash:
            raise Fault("early result", f"{result} at validator {who}")

    def digest(self, who: int, commits: int, digest: bytes) -> None:
        """What a validator's ledger has come to after so many commits."""
        if self._digests.setdefault(commits, digest) != digest:
            raise Fault("result", f"validator {who} has another ledger after {commits} commits than others")

    def end(self, floor: int) -> None:
        """What is at this floor or below, and not ordered, never will be: its place must not have been told."""
        lost = [slot for slot in self._places if slot[0] <= floor and slot not in self._position]
        if lost:
            raise Fault("place", f"{lost[:5]} were final and are lost")
        self.counts["commits"] += len(self.commits)
