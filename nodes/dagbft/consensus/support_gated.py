"""Support-gated inclusion: another order, which drops blocks with too few children. Not Lemonshark; off by default.

A leader orders the rounds above those of the leader before it and up to two below its own, and of those only blocks
with f + 1 children in its past. The order of all blocks is then plain (round, author), missing blocks are decided
within one round, and early finality needs no leader check; slow validators lose blocks, whose batches they must send
again.

Invariant: whether a block is ordered is decided once, by the first leader two rounds above it or more. q children in
any view are f + 1 in the past of each such leader; if q blocks of the next round do not reference it, at most f do.
"""

from __future__ import annotations

from nodes.dagbft.consensus.dag import Dag, Slot, members
from nodes.dagbft.consensus.early import Frontiers


class GatedOrder:
    """Each leader's batch is the supported blocks of the rounds that earlier leaders have not decided."""

    def __init__(self, dag: Dag) -> None:
        self._dag = dag
        self._support = dag.committee.faults + 1
        self.floor = 0  # all slots of this round and below are decided

    def resume(self, leader: int) -> None:
        """Continue after a last leader of this round."""
        self.floor = max(leader - 2, 0)

    def batch(self, leader: Slot) -> list[Slot]:
        found = []
        for round in range(self.floor + 1, leader[0] - 1):
            layer = self._dag.layers[round]
            children = self._dag.seen(leader, round + 1)
            for author in members(self._dag.seen(leader, round)):
                if (layer.kids[author] & children).bit_count() >= self._support:
                    layer.ordered |= 1 << author
                    found.append((round, author))
        self.floor = max(self.floor, leader[0] - 2)
        return found


class GatedEarlyRule(Frontiers):
    """A block is final with q children; a slot is settled when it is decided, or when q blocks do not reference it."""

    def resolved(self, round: int, author: int) -> bool:
        return round <= self._order.floor or self.is_dead(round, author)

    def is_dead(self, round: int, author: int) -> bool:
        """Whether q blocks of the round above do not reference the slot's block: then no leader finds f + 1 that do."""
        above = self._dag.layers.get(round + 1)
        return above is not None and (above.held & ~self._dag.kids(round, author)).bit_count() >= self._quorum

    def safe(self, round: int, author: int) -> bool:
        return self._dag.kids(round, author).bit_count() >= self._quorum
