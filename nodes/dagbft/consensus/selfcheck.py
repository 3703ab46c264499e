"""The self-check: every early-final place is compared with the block's place in the committed order.

Invariant: `wrong` is 0 if the rules are right and at most f validators are faulty.
"""

from __future__ import annotations

from collections.abc import Iterable

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.consensus.early import Early


class SelfCheck:
    """Counts early places that equal the committed ones (`ok`), that differ (`wrong`), and open ones (`open`)."""

    def __init__(self, committee: Committee) -> None:
        self._shard = committee.shard
        self._length = [0] * committee.n  # by shard: blocks ordered so far
        self._promised: dict[Slot, int] = {}
        self.ok = 0
        self.wrong = 0

    @property
    def open(self) -> int:
        return len(self._promised)

    def resume(self, lengths: Iterable[int], blocks: Iterable[Slot]) -> None:
        """Begin after `lengths` ordered blocks of each shard, followed by `blocks`."""
        self._length = list(lengths)
        for round, author in blocks:
            self._length[self._shard(author, round)] += 1

    def early(self, events: Iterable[Early]) -> None:
        for event in events:
            self._promised[event.block] = event.position

    def ordered(self, blocks: Iterable[Slot]) -> None:
        for slot in blocks:
            shard = self._shard(slot[1], slot[0])
            position = self._length[shard]
            self._length[shard] = position + 1
            promised = self._promised.pop(slot, None)
            if promised == position:
                self.ok += 1
            elif promised is not None:
                self.wrong += 1

    def lost(self, floor: int) -> None:
        """Blocks up to round `floor` will not be ordered any more: count their early places as wrong."""
        gone = [slot for slot in self._promised if slot[0] <= floor]
        self.wrong += len(gone)
        for slot in gone:
            del self._promised[slot]
