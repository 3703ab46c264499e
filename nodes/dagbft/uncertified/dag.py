"""The uncertified DAG of one validator: signed blocks, of which a faulty author can have several in one slot.

Invariant: a block is held only with all its parents (those above the floor). Its parents are of the round before, at
least q of them, no two of one author: so a block supports at most one block of each slot, and a correct author, who has
one block a round, supports at most one in all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.dag import Refused, Slot


class Vertex(NamedTuple):
    """A signed block as the rule sees it; `parents` are digests."""

    round: int
    author: int
    digest: bytes
    parents: frozenset[bytes] = frozenset()

    @property
    def slot(self) -> Slot:
        return self.round, self.author


class BlockDag:
    """The held blocks, by digest and by slot."""

    def __init__(self, committee: Committee) -> None:
        self.committee = committee
        self.floor = 0  # blocks of this round and below have been dropped
        self._vertices: dict[bytes, Vertex] = {}
        self._rounds: dict[int, dict[int, list[Vertex]]] = {}  # by round and author

    def __contains__(self, digest: object) -> bool:
        return digest in self._vertices

    def __len__(self) -> int:
        return len(self._vertices)

    @property
    def top(self) -> int:
        """The highest round of which a block is held."""
        return max(self._rounds, default=self.floor)

    def add(self, vertex: Vertex) -> bool:
        """Add a block; returns False if it was added before.

        Raises Refused: "shape" (no such author, too few parents), "stale" (at the floor or below), "missing" (a parent
        is not held), "parents" (of another round, or two of one author).
        """
        if vertex.digest in self._vertices:
            return False
        round, quorum = vertex.round, self.committee.quorum
        if round < 1 or not 0 <= vertex.author < self.committee.n:
            raise Refused("shape", f"block {vertex.slot}; expected round >= 1 and an author below {self.committee.n}")
        if round <= self.floor:
            raise Refused("stale", f"block {vertex.slot}; expected a round above {self.floor}")
        if (round > 1 and len(vertex.parents) < quorum) or (round == 1 and vertex.parents):
            raise Refused("shape", f"block {vertex.slot} with {len(vertex.parents)} parents; expected {quorum} or more")
        if round > self.floor + 1:  # else its parents have been collected
            if lacking := self.missing(vertex.parents):
                raise Refused("missing", f"block {vertex.slot} without {len(lacking)} of its parents; expected all")
            parents = [self._vertices[parent] for parent in vertex.parents]
            if len({parent.author for parent in parents}) < len(parents) or any(p.round != round - 1 for p in parents):
                raise Refused("parents", f"block {vertex.slot}; expected parents of round {round - 1}, one an author")
        self._vertices[vertex.digest] = vertex
        self._rounds.setdefault(round, {}).setdefault(vertex.author, []).append(vertex)
        return True

    def missing(self, digests: Iterable[bytes]) -> list[bytes]:
        """The digests of these that are not held."""
        return [digest for digest in digests if digest not in self._vertices]

    def at(self, round: int, author: int) -> list[Vertex]:
        """The blocks of a slot, in order of arrival: one, unless the author is faulty."""
        return self._rounds.get(round, {}).get(author, [])

    def of_round(self, round: int) -> Iterator[Vertex]:
        """All blocks of a round."""
        for vertices in self._rounds.get(round, {}).values():
            yield from vertices

    def authors(self, round: int) -> int:
        """The number of authors with blocks in a round."""
        return len(self._rounds.get(round, {}))

    def parents(self, vertex: Vertex) -> list[Vertex]:
        """The parents of a held block that are above the floor."""
        return [self._vertices[digest] for digest in vertex.parents if digest in self._vertices]

    def past(self, vertex: Vertex, round: int) -> set[Vertex]:
        """The blocks of a round in the past of a held block; the block itself if it is of that round."""
        level = {vertex}
        for _ in range(vertex.round - round):
            level = {parent for each in level for parent in self.parents(each)}
        return level

    def collect(self, floor: int) -> list[Vertex]:
        """Drop all rounds up to and with `floor`; returns the dropped blocks."""
        gone: list[Vertex] = []
        for round in [round for round in self._rounds if round <= floor]:
            for vertices in self._rounds.pop(round).values():
                gone += vertices
        for vertex in gone:
            del self._vertices[vertex.digest]
        self.floor = max(self.floor, floor)
        return gone
