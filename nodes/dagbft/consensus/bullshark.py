"""Partially synchronous Bullshark: which leaders are committed (Spiegelman et al., arXiv 2201.05677 and 2209.05633).

Invariant: f + 1 references commit a leader; they meet the q parents of every block two rounds above it, so every later
leader has a path to it, and the search back from any later leader finds it.
"""

from __future__ import annotations

from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.consensus.rule import LeaderRule


class Bullshark(LeaderRule):
    """Leaders in even rounds."""

    def leader(self, round: int) -> int | None:
        """The author that leads in a round; None if the round has no leader."""
        return self._schedule.author(round // 2 - 1) if round % 2 == 0 else None

    def add(self, block: Block) -> Slot | None:
        """The leader that a block, new in the DAG, commits directly."""
        round = block.round - 1
        if round <= self.last or (author := self.leader(round)) is None or not block.parents >> author & 1:
            return None
        return (round, author) if self._dag.kids(round, author).bit_count() >= self.support else None

    def chain(self, leader: Slot) -> list[Slot]:
        """The leaders to commit with this one, oldest first: those with a path from leader to leader."""
        found, current = [leader], leader
        for round in range(leader[0] - 2, self.last, -2):
            author = self._schedule.author(round // 2 - 1)
            if self._dag.reaches(current, round, author):
                current = (round, author)
                found.append(current)
        self.last = leader[0]
        found.reverse()
        return found
