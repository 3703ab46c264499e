"""Partially synchronous Bullshark: which leaders are committed (Spiegelman et al., arXiv 2201.05677 and 2209.05633).

Invariant: f + 1 references commit a leader; they meet the q parents of every block two rounds above it, so every later
leader has a path to it, and the walk back from any later leader finds it.
"""

from __future__ import annotations

from nodes.dagbft.consensus.committee import Schedule
from nodes.dagbft.consensus.dag import NONE, Block, Dag, Slot


class Bullshark:
    """Leaders in even rounds."""

    def __init__(self, dag: Dag, schedule: Schedule) -> None:
        self.last = 0  # round of the last committed leader
        self._dag = dag
        self._schedule = schedule
        self._support = dag.committee.faults + 1

    def leader(self, round: int) -> int | None:
        """The author that leads in a round; None where nobody does."""
        return self._schedule.author(round // 2 - 1) if round % 2 == 0 else None

    def mode_for(self, block: Block) -> int:
        """How a block votes: there are no modes here."""
        return NONE

    def admit(self, block: Block) -> None:
        """Any block may come at any time."""

    def kind(self, slot: Slot) -> str:
        return "steady"

    def add(self, block: Block) -> Slot | None:
        """The leader that a block, new in the DAG, commits directly."""
        round = block.round - 1
        if round <= self.last or (author := self.leader(round)) is None or not block.parents >> author & 1:
            return None
        return (round, author) if self._dag.kids(round, author).bit_count() >= self._support else None

    def chain(self, leader: Slot) -> list[Slot]:
        """The leaders to commit with this one, oldest first: those to which there is a path, from leader to leader."""
        found, current = [leader], leader
        for round in range(leader[0] - 2, self.last, -2):
            author = self._schedule.author(round // 2 - 1)
            if self._dag.reaches(current, round, author):
                current = (round, author)
                found.append(current)
        self.last = leader[0]
        found.reverse()
        return found

    def reveal(self, wave: int, author: int) -> None:
        raise ValueError(f"a coin value of wave {wave}; wanted none: partially synchronous Bullshark has no coin")

    def may_lead(self, round: int, author: int) -> bool:
        """Whether the block could be a leader that is committed later, for all that is known here."""
        return round > self.last and self.leader(round) == author

    def collect(self, floor: int) -> None:
        """There is nothing to forget."""
