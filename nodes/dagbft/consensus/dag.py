"""The certified DAG of one validator: references between blocks, and the past of each block.

Invariant: a block is in the DAG only with all its parents (those above the floor), and its past never changes.

Sets of authors are masks: bit a is author a. The past of a block of round r is one integer in fields of n bits: field
k is the mask of the authors whose blocks of round r-1-k are in its past. So the past of a child is the union of its
parents' pasts, moved up by one field, with its parents in field 0; a path is a shift and an AND.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from nodes.dagbft.consensus.committee import Committee

Slot = tuple[int, int]  # (round, author)


NONE, STEADY, FALLBACK = range(3)  # modes: how a block votes (asynchronous.py)


class Block(NamedTuple):
    """A certified header: `parents` are the authors, as a mask, whose blocks of the previous round it references."""

    round: int
    author: int
    parents: int
    digest: bytes = b""  # of the header, if there is one: distinguishes two blocks of one slot
    mode: int | None = None  # of its header, checked by its voters; None: derive it from its past

    @property
    def slot(self) -> Slot:
        return self.round, self.author


class Refused(ValueError):
    """A block that cannot go into the DAG; `reason` is one word, for counters."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@lru_cache(maxsize=1 << 13)
def members(mask: int) -> tuple[int, ...]:
    """The authors of a mask, ascending."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return tuple(found)


class Layer:
    """The blocks of one round, by author."""

    __slots__ = ("blocks", "held", "kids", "ordered", "past")

    def __init__(self, n: int) -> None:
        self.held = 0  # authors whose block is held
        self.ordered = 0  # authors whose block has been emitted in a batch
        self.blocks: list[Block | None] = [None] * n
        self.kids = [0] * n  # authors whose block of the next round references this author's
        self.past = [0] * n


class Dag:
    """The blocks above a floor. `least_parents` is q, except for old test vectors without that rule."""

    def __init__(self, committee: Committee, least_parents: int | None = None) -> None:
        self.committee = committee
        self.layers: dict[int, Layer] = {}
        self.floor = 0  # blocks of this round and below have been dropped
        self._n = committee.n
        self._all = (1 << committee.n) - 1
        self._least_parents = committee.quorum if least_parents is None else least_parents

    def add(self, block: Block) -> bool:
        """Add a block; returns False if it was added before.

        Raises Refused: "shape" (no such author, impossible parents), "stale" (at the floor or below), "conflict"
        (another block has its slot: which quorums of correct validators prevent), "missing" (a parent is not held).
        """
        round, author, parents = block.round, block.author, block.parents
        if round < 1 or not 0 <= author < self._n or not 0 <= parents <= self._all:
            raise Refused("shape", f"block {block[:3]}; expected round >= 1 and authors in 0..{self._n - 1}")
        layer = self.layers.get(round)
        if layer is not None and (held := layer.blocks[author]) is not None:
            if held == block:
                return False
            raise Refused("conflict", f"a second block {block.slot}; expected the one that is held, {held}")
        past = self._past(block)
        if layer is None:
            layer = self.layers[round] = Layer(self._n)
        layer.held |= 1 << author
        layer.blocks[author] = block
        layer.past[author] = past
        return True

    def _past(self, block: Block) -> int:
        """Check a new block's parents and make it their child; returns its past."""
        round, author, parents = block.round, block.author, block.parents
        if round <= self.floor:
            raise Refused("stale", f"block {block.slot}; expected a round above {self.floor}")
        if round == 1:
            if parents:
                raise Refused("shape", f"block {block.slot} with parents; expected none in round 1")
            return 0
        if parents.bit_count() < self._least_parents:
            raise Refused(
                "shape",
                f"block {block.slot} with {parents.bit_count()} parents; expected {self._least_parents} or more",
            )
        if round - 1 == self.floor:
            return 0  # its parents have been collected
        below = self.layers.get(round - 1)
        if below is None or parents & ~below.held:
            lacking = members(parents & ~(below.held if below else 0))
            raise Refused(
                "missing", f"block {block.slot} without its parents {lacking} of round {round - 1}; expected all"
            )
        mine, kids, pasts, past = 1 << author, below.kids, below.past, 0
        for parent in members(parents):
            kids[parent] |= mine
            past |= pasts[parent]
        past = past << self._n | parents
        if self.floor:
            past &= (1 << (round - 1 - self.floor) * self._n) - 1
        return past

    def resume(self, floor: int, ordered: Iterable[Slot]) -> None:
        """Begin with a floor: rounds up to it have been dropped, and these blocks above it have been ordered."""
        self.floor = floor
        for round, author in ordered:
            if round > floor:
                self.layers.setdefault(round, Layer(self._n)).ordered |= 1 << author

    def holds(self, round: int, author: int) -> bool:
        layer = self.layers.get(round)
        return layer is not None and layer.blocks[author] is not None

    def held(self, round: int) -> int:
        """The authors whose blocks of a round are held."""
        layer = self.layers.get(round)
        return layer.held if layer is not None else 0

    def kids(self, round: int, author: int) -> int:
        """The authors whose held block of the next round references this block; 0 if it is not held."""
        layer = self.layers.get(round)
        return layer.kids[author] if layer is not None else 0

    def seen(self, slot: Slot, round: int) -> int:
        """The authors whose blocks of a round are in the past of a held block."""
        above = slot[0] - 1 - round
        return self.layers[slot[0]].past[slot[1]] >> above * self._n & self._all if above >= 0 else 0

    def reaches(self, slot: Slot, round: int, author: int) -> bool:
        """Whether the block (round, author) is in the past of a held block."""
        return bool(self.seen(slot, round) >> author & 1)

    def has_in_past(self, block: Block, round: int, author: int) -> bool:
        """Whether (round, author) is in the past of a block whose parents are held; the block itself need not be."""
        below = block.round - 1
        if round >= below:
            return round == below and bool(block.parents >> author & 1)
        if block.parents >> block.author & 1 and self.reaches((below, block.author), round, author):
            return True
        return any(self.reaches((below, parent), round, author) for parent in members(block.parents))

    def ordered(self, round: int, author: int) -> bool:
        """Whether the block has been emitted in a batch."""
        layer = self.layers.get(round)
        return layer is not None and bool(layer.ordered >> author & 1)

    def collect(self, floor: int) -> None:
        """Drop all rounds up to and with `floor`."""
        for round in range(self.floor + 1, floor + 1):
            self.layers.pop(round, None)
        self.floor = max(self.floor, floor)
