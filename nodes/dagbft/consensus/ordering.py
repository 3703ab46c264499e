"""What a committed leader orders: its past, as far as no leader before it has, in the order (round, author).

Invariant: the floor of a batch hangs on the leader before it, never on the leader itself. A block that was reported
final early can then not fall below the floor when two leaders are far apart.
"""

from __future__ import annotations

from nodes.dagbft.consensus.dag import Dag, Slot, members


class CausalOrder:
    """Each leader's batch is everything in its past that is above the floor and was not in a batch before."""

    def __init__(self, dag: Dag, look_back: int) -> None:
        self._dag = dag
        self._look_back = look_back
        self._previous = 0  # round of the last leader; 0 before the first

    @property
    def floor(self) -> int:
        """Blocks of this round and below that are not ordered yet never will be."""
        return self._previous - self._look_back

    def resume(self, leader: int) -> None:
        """The last leader was of this round."""
        self._previous = leader

    def anchor(self, previous: int, leader: int) -> int:
        """The round that the floor of a leader's batch hangs on: that of the leader before it."""
        return previous

    def batch(self, leader: Slot) -> list[Slot]:
        """The next leader's batch; leaders come in the order in which they are committed."""
        first = max(self.anchor(self._previous, leader[0]) - self._look_back, self._dag.floor, 0) + 1
        layers, found = self._dag.layers, []
        for round in range(first, leader[0]):
            if fresh := self._dag.seen(leader, round) & ~layers[round].ordered:
                layers[round].ordered |= fresh
                found += [(round, author) for author in members(fresh)]
        layers[leader[0]].ordered |= 1 << leader[1]
        found.append(leader)
        self._previous = leader[0]
        return found
