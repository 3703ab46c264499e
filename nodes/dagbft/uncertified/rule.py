"""The decision rule: which leader blocks of an uncertified DAG are committed, and which slots are skipped.

After Mysticeti-C (arXiv 2310.14821, section 3). A round has several leader slots, in an order that all know. A block of
round r + 1 supports the block of a slot of round r that is its parent. A block of round r + 2 is a certificate for a
block of round r if q of its parents support that. A slot is

- committed directly with q authors of certificates for one block of it;
- skipped directly if, for each block that it has or could have, q authors of round r + 1 do not support it;
- else decided by its anchor, the first slot of round r + 3 or above that is not skipped: while that one is undecided it
  waits; a certificate in the committed anchor's past commits it, and none skips it.

Invariant: what is decided is the same at all validators. q supporters and q others would share a correct author, who
has one block in round r + 1, so a slot with a certificate anywhere is never skipped directly, and has certificates for
one block only. q authors of certificates share a correct one with the q parents of every block of round r + 3, so an
anchor sees a certificate wherever somebody has committed directly.
"""

from __future__ import annotations

from typing import NamedTuple

from emulator.model.errors import Unfit
from nodes.dagbft.consensus.committee import Schedule
from nodes.dagbft.uncertified.dag import BlockDag, Vertex

SUPPORT, CERTIFY, ANCHOR = 1, 2, 3  # so many rounds above a leader


class Decision(NamedTuple):
    """What became of a leader slot: its committed block, or None where it is skipped."""

    round: int
    author: int
    block: Vertex | None
    direct: bool = True


class DecisionRule:
    """Decides leader slots in their order. `leaders` is how many slots a round has."""

    def __init__(self, dag: BlockDag, schedule: Schedule, leaders: int) -> None:
        if not 1 <= leaders <= dag.committee.n:
            raise Unfit(f"{leaders} leaders a round", f"1 to {dag.committee.n}")
        self.next = (1, 0)  # round and rank of the first slot that is not decided
        self._dag = dag
        self._schedule = schedule
        self._leaders = leaders
        self._certifiers: dict[bytes, int] = {}  # by leader block: the authors of certificates for it, as a mask
        self._certified: dict[bytes, set[bytes]] = {}  # by certificate: the leader blocks that it certifies
        self._decided: dict[tuple[int, int], Decision] = {}  # by round and rank; not yet given where others lack

    def leaders(self, round: int) -> list[int]:
        """The authors of a round's leader slots, in the order of their ranks."""
        first = self._schedule.author(round - 1)
        return [(first + rank) % self._dag.committee.n for rank in range(self._leaders)]

    def add(self, vertex: Vertex) -> list[Decision]:
        """A block is new in the DAG: the slots, in their order, that are decided now."""
        self._note_certificates(vertex)
        if vertex.round <= self.next[0]:
            return []  # no pattern for what is not decided
        return self._decide()

    def resume(self, round: int, author: int) -> None:
        """Begin after this committed slot."""
        rank = self.leaders(round).index(author)
        self.next = (round, rank + 1) if rank + 1 < self._leaders else (round + 1, 0)

    def _note_certificates(self, vertex: Vertex) -> None:
        round = vertex.round - CERTIFY
        if round <= self._dag.floor:
            return
        for author in self.leaders(round):
            for leader in self._dag.at(round, author):
                if self.is_certificate(vertex, leader):
                    mask = self._certifiers.get(leader.digest, 0)
                    self._certifiers[leader.digest] = mask | 1 << vertex.author
                    self._certified.setdefault(vertex.digest, set()).add(leader.digest)

    def is_certificate(self, vertex: Vertex, leader: Vertex) -> bool:
        """Whether q of a block's parents support a leader block two rounds below it."""
        support = sum(leader.digest in parent.parents for parent in self._dag.parents(vertex))
        return support >= self._dag.committee.quorum

    def is_committed(self, leader: Vertex) -> bool:
        """Direct commit: q authors have certificates for a leader block."""
        return self._certifiers.get(leader.digest, 0).bit_count() >= self._dag.committee.quorum

    def is_skipped(self, round: int, author: int) -> bool:
        """Direct skip: for each block that the slot has or could have, q authors of the round above do without it.

        Of an author with two blocks there, the one that does without counts: it is faulty, and not one of the correct
        authors on whom the argument rests.
        """
        quorum, above = self._dag.committee.quorum, round + SUPPORT
        if self._dag.authors(above) < quorum:
            return False
        return all(
            len({vertex.author for vertex in self._dag.of_round(above) if leader.digest not in vertex.parents})
            >= quorum
            for leader in self._dag.at(round, author)
        )

    def _decide(self) -> list[Decision]:
        """Decide from the highest round down, and give what is decided without a gap from `next` on."""
        first, rank = self.next
        for round in range(self._dag.top - SUPPORT, first - 1, -1):
            authors = self.leaders(round)
            for place in range(self._leaders - 1, rank - 1 if round == first else -1, -1):
                if (round, place) not in self._decided:
                    decision = self._directly(round, authors[place]) or self._by_anchor(round, authors[place])
                    if decision is not None:
                        self._decided[round, place] = decision
        found: list[Decision] = []
        while (decision := self._decided.pop(self.next, None)) is not None:
            found.append(decision)
            round, place = self.next
            self.next = (round, place + 1) if place + 1 < self._leaders else (round + 1, 0)
        return found

    def _directly(self, round: int, author: int) -> Decision | None:
        for leader in self._dag.at(round, author):
            if self.is_committed(leader):
                return Decision(round, author, leader)
        return Decision(round, author, None) if self.is_skipped(round, author) else None

    def _by_anchor(self, round: int, author: int) -> Decision | None:
        """Decide by the first slot of round + 3 or above that is not skipped, where that is committed."""
        for above in range(round + ANCHOR, self._dag.top):
            for place in range(self._leaders):
                anchor = self._decided.get((above, place))
                if anchor is None:
                    return None
                if anchor.block is not None:
                    return Decision(round, author, self._certified_in(anchor.block, round, author), direct=False)
        return None

    def _certified_in(self, anchor: Vertex, round: int, author: int) -> Vertex | None:
        """The block of a slot for which an anchor has a certificate in its past."""
        leaders = {leader.digest: leader for leader in self._dag.at(round, author)}
        for vertex in self._dag.past(anchor, round + CERTIFY):
            for digest in self._certified.get(vertex.digest, ()):
                if digest in leaders:
                    return leaders[digest]
        return None

    def forget(self, gone: list[Vertex]) -> None:
        """These blocks have been collected."""
        for vertex in gone:
            self._certifiers.pop(vertex.digest, None)
            self._certified.pop(vertex.digest, None)
