"""The consensus of one validator without certificates: from signed blocks it derives commits.

A committed leader orders its past, in the order (round, author), down to a floor that is computed from the previous
leader, as with certificates. Of several blocks of one slot the first in that order is ordered.

Invariant: of the commit sequences of any two validators one is a prefix of the other. The batch of a leader depends
only on its past and on the slots that earlier leaders have ordered.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodes.dagbft.consensus.committee import Committee, Schedule
from nodes.dagbft.consensus.core import Commit
from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.consensus.selfcheck import SelfCheck
from nodes.dagbft.uncertified.dag import BlockDag, Vertex
from nodes.dagbft.uncertified.rule import DecisionRule


class Order:
    """Which slots are ordered, and by which of their blocks."""

    def __init__(self, dag: BlockDag, look_back: int) -> None:
        self.digests: dict[Slot, bytes] = {}  # of ordered blocks above the floor of the DAG
        self._dag = dag
        self._look_back = look_back
        self._previous = 0  # round of the last leader; 0 before the first

    @property
    def floor(self) -> int:
        """Blocks of this round and below that are not ordered yet never will be."""
        return self._previous - self._look_back

    def resume(self, leader: int, digests: dict[Slot, bytes]) -> None:
        """The last leader was of this round, and these have been ordered."""
        self._previous = leader
        self.digests = dict(digests)

    def batch(self, leader: Vertex) -> list[Slot]:
        """The batch of the next committed leader. The search stops at slots that are ordered already."""
        floor = max(self.floor, self._dag.floor)
        found, seen, level = [leader], {leader}, [leader]
        while level:
            parents = {parent for each in level for parent in self._dag.parents(each) if parent not in seen}
            level = [each for each in parents if each.round > floor and each.slot not in self.digests]
            found += level
            seen.update(level)
        batch: list[Slot] = []
        for vertex in sorted(found, key=lambda each: each[:3]):
            if vertex.slot not in self.digests:
                self.digests[vertex.slot] = vertex.digest
                batch.append(vertex.slot)
        self._previous = leader.round
        return batch

    def collect(self, floor: int) -> None:
        for slot in [slot for slot in self.digests if slot[0] <= floor]:
            del self.digests[slot]


class UncertifiedConsensus:
    """One validator's uncertified DAG, with the commits that follow from it."""

    def __init__(self, committee: Committee, schedule: Schedule, leaders: int, look_back: int, keep: int) -> None:
        self.committee = committee
        self.dag = BlockDag(committee)
        self.rule = DecisionRule(self.dag, schedule, leaders)
        self.order = Order(self.dag, look_back)
        self.check = SelfCheck(committee)  # stays empty, as there are no early events
        self.commits = 0
        self.skipped = 0  # leader slots
        self.indirect = 0  # decisions by an anchor
        self.last = 0  # round of the last committed leader
        self._keep = max(keep, look_back + 8)

    @property
    def events_emitted(self) -> int:
        """The number of events emitted so far."""
        return self.commits

    def add(self, vertex: Vertex) -> list[Commit]:
        """Add a block whose ancestors were added. A repeated block changes nothing. Raises dag.Refused."""
        if not self.dag.add(vertex):
            return []
        commits: list[Commit] = []
        for decision in self.rule.add(vertex):
            self.indirect += not decision.direct
            if decision.block is None:
                self.skipped += 1
                continue
            blocks = tuple(self.order.batch(decision.block))
            commits.append(Commit(self.commits, decision.block.slot, "steady", blocks))
            self.commits += 1
            self.last = decision.round
        return commits

    def floor_after(self, commit: Commit) -> int:
        """The floor of the DAG after this commit, without later ones."""
        return max(commit.leader[0] - self._keep, 0)

    def resume(self, commits: Sequence[Commit], floor: int, digests: dict[Slot, bytes]) -> None:
        """Continue after a restart, after these commits, all from number 0 on, and with this floor.

        `digests` are those of the ordered blocks above the floor. Blocks above it are then to be added.
        """
        leader = commits[-1].leader
        self.dag.collect(floor)
        self.rule.resume(*leader)
        self.order.resume(leader[0], digests)
        self.commits, self.last = len(commits), leader[0]

    def collect(self) -> list[Vertex]:
        """Drop rounds too far below the last leader; returns the dropped blocks."""
        floor = self.last - self._keep
        if floor <= self.dag.floor:
            return []
        gone = self.dag.collect(floor)
        self.rule.forget(gone)
        self.order.collect(floor)
        return gone
