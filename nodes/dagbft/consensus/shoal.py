"""Shoal's pipeline: a leader in every round of the same certified DAG (Spiegelman et al., arXiv 2306.03058).

Bullshark for partially synchronous networks commits leaders of every second round. Shoal ends an instance of it with
its first ordered leader, and begins the next instance in the round above. So without faults each round's leader is
committed by the references of the next round, and no block waits for a leader two rounds away.

Invariant: an instance's first ordered leader, and so where the next one begins, is the same at all validators. f + 1
references commit a leader directly; they intersect the q parents of every block two rounds above it, so that the search
back from any later leader of the instance passes through it, and finds the same first one.

Leaders are in turn or drawn by hash, as for the other rules. Shoal's reputation, which skips slow leaders, is not
implemented.
"""

from __future__ import annotations

from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.consensus.rule import LeaderRule


class Shoal(LeaderRule):
    """The present instance begins in the round after the last ordered leader; its leaders are two rounds apart."""

    def leader(self, round: int) -> int | None:
        """The author in turn of any round: it may lead, in this instance or in a later one."""
        return self._schedule.author(round - 1) if round > 0 else None

    def add(self, block: Block) -> Slot | None:
        """The leader of the present instance that a block commits with its reference; None if there is none."""
        round = block.round - 1
        return self._slot(round) if self._leads(round) and self._is_committed(round) else None

    def chain(self, leader: Slot) -> list[Slot]:
        """The first leader of the instance, and those of following instances that the DAG already decides."""
        found = [self._first(leader)]
        self.last = found[0][0]
        while (more := self._committed_above()) is not None:
            found.append(self._first(more))
            self.last = found[-1][0]
        return found

    def _first(self, leader: Slot) -> Slot:
        """The first leader of the instance, found by the search back from a committed one."""
        current = leader
        for round in range(leader[0] - 2, self.last, -2):
            if self._dag.reaches(current, *self._slot(round)):
                current = self._slot(round)
        return current

    def _committed_above(self) -> Slot | None:
        """Any leader of the present instance that the DAG already commits directly; None if there is none."""
        top = max(self._dag.layers, default=0)
        return next((self._slot(r) for r in range(self.last + 1, top, 2) if self._is_committed(r)), None)

    def _leads(self, round: int) -> bool:
        """Whether a round has a leader in the present instance."""
        return round > self.last and (round - self.last) % 2 == 1

    def _is_committed(self, round: int) -> bool:
        return self._dag.kids(*self._slot(round)).bit_count() >= self.support

    def _slot(self, round: int) -> Slot:
        return round, self._schedule.author(round - 1)
