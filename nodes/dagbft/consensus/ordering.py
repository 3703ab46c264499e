"""The batch of a committed leader: its past without the batches of earlier leaders, in the order (round, author).

Invariant: the floor of a batch is computed from the previous leader, never from the leader itself. So a block that was
reported early-final cannot fall below the floor if two leaders are far apart.
"""

from __future__ import annotations

from nodes.dagbft.consensus.dag import Dag, Slot, members


class CausalOrder:
    """Each leader's batch is every block in its past that is above the floor and was in no earlier batch."""

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
        """The round from which the floor of a leader's batch is computed: that of the previous leader."""
        return previous

    def batch(self, leader: Slot) -> list[Slot]:
        """The next leader's batch; call it for leaders in the order of their commits."""
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
