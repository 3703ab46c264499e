"""Which edges are present in which step: footprints, and schedules that were fixed before the agent set out.

Invariant: every generator is a function of its arguments and of the `random.Random` given, and every schedule has
only edges of its footprint. Block trees with block length T are T-interval connected: the tree of a block is there in
the next block too, so T consecutive steps, which touch two blocks at most, share the tree of the first.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from emulator.model.errors import Unfit
from nodes.explorer.core import KT1, View
from nodes.explorer.interval import Edge, Snapshot, edge


@dataclass(frozen=True)
class Footprint:
    """All edges that may ever be present, on the nodes 0 … `nodes`-1. ValueError unless they join all nodes."""

    nodes: int
    edges: Snapshot
    neighbours: tuple[tuple[int, ...], ...] = field(init=False)  # of each node, in rising order

    def __post_init__(self) -> None:
        around: list[list[int]] = [[] for _ in range(self.nodes)]
        for a, b in self.edges:
            if not 0 <= a < b < self.nodes:
                raise Unfit(f"edge {a}-{b}", f"two nodes of 0 … {self.nodes - 1}, the smaller first")
            around[a].append(b)
            around[b].append(a)
        object.__setattr__(self, "neighbours", tuple(tuple(sorted(each)) for each in around))
        reached, queue = {0}, [0]
        while queue:
            fresh = [node for node in self.neighbours[queue.pop()] if node not in reached]
            reached.update(fresh)
            queue += fresh
        if len(reached) != self.nodes:
            lost = next(node for node in range(self.nodes) if node not in reached)
            raise Unfit(f"a footprint in which {lost} cannot be reached from 0", "a connected graph")

    @classmethod
    def of(cls, nodes: int, pairs: Iterable[tuple[int, int]]) -> Footprint:
        return cls(nodes, frozenset(edge(a, b) for a, b in pairs))

    @property
    def is_ring(self) -> bool:
        """Whether edges join i and i+1 for all i, round the circle: what the ring adversary wants."""
        return self.nodes >= 3 and self.edges == ring_edges(self.nodes)

    def door(self, node: int, neighbour: int, visibility: str) -> int:
        """Name of the door of `node` that leads to `neighbour`: its number for KT1, else the port's number."""
        return neighbour if visibility == KT1 else self.neighbours[node].index(neighbour)

    def behind(self, node: int, door: int, visibility: str) -> int:
        """The neighbour behind a door: the other way round."""
        return door if visibility == KT1 else self.neighbours[node][door]

    def view(self, node: int, present: Iterable[int], came_from: int, visibility: str) -> View:
        """What an agent sees at `node` while the edges to the nodes `present` are there; `came_from` -1: stayed."""
        doors = sorted(self.door(node, neighbour, visibility) for neighbour in present)
        came_by = -1 if came_from < 0 else self.door(node, came_from, visibility)
        return View(node, tuple(doors), came_by)


@dataclass(frozen=True)
class Schedule:
    """Snapshots by step. After the last one the last `period` repeat for ever; with period 0 the last one stays."""

    nodes: int
    snapshots: tuple[Snapshot, ...]
    period: int = 0

    def __post_init__(self) -> None:
        if not self.snapshots:
            raise Unfit("no snapshots", "at least one")
        if not 0 <= self.period <= len(self.snapshots):
            raise Unfit(f"period {self.period}", f"0 to {len(self.snapshots)}, the number of snapshots")

    def present(self, step: int, position: int = -1) -> Snapshot:
        """Edges of a step, wherever the agent is."""
        count, period = len(self.snapshots), max(1, self.period)
        return self.snapshots[step if step < count else count - period + (step - count) % period]


def static(footprint: Footprint) -> Schedule:
    """Every edge, always."""
    return Schedule(footprint.nodes, (footprint.edges,))


class Unfolding:
    """Snapshots that come out of an endless iterator when they are first asked for, and are then kept."""

    def __init__(self, snapshots: Iterator[Snapshot]) -> None:
        self._coming = snapshots
        self._known: list[Snapshot] = []

    def present(self, step: int, position: int = -1) -> Snapshot:
        """Edges of a step, wherever the agent is."""
        while len(self._known) <= step:
            self._known.append(next(self._coming))
        return self._known[step]


def block_trees(footprint: Footprint, interval: int, rng: random.Random, extra: float = 0.0) -> Unfolding:
    """A fresh uniform random spanning tree every `interval` steps, the one before it kept for one block more.

    Each other edge of the footprint is there with chance `extra` in each block.
    """
    if interval < 1:
        raise Unfit(f"interval {interval}", "at least 1")
    return Unfolding(_blocks(footprint, interval, rng, extra))


def _blocks(footprint: Footprint, interval: int, rng: random.Random, extra: float) -> Iterator[Snapshot]:
    before: Snapshot = frozenset()
    while True:
        tree = spanning_tree(footprint, rng)
        others = frozenset(each for each in sorted(footprint.edges) if rng.random() < extra) if extra else frozenset()
        yield from repeat(tree | before | others, interval)
        before = tree


def spanning_tree(footprint: Footprint, rng: random.Random) -> Snapshot:
    """A spanning tree, each with the same chance: loop-erased random walks (D. B. Wilson, STOC 1996)."""
    towards = {0: -1}
    for start in range(1, footprint.nodes):
        step: dict[int, int] = {}
        node = start
        while node not in towards:
            around = footprint.neighbours[node]
            step[node] = around[int(rng.random() * len(around))]
            node = step[node]
        node = start
        while node not in towards:
            towards[node] = step[node]
            node = step[node]
    return frozenset(edge(node, parent) for node, parent in towards.items() if parent >= 0)


def ring_edges(nodes: int) -> Snapshot:
    return frozenset(edge(node, (node + 1) % nodes) for node in range(nodes))


def ring_gap(nodes: int, gaps: Sequence[int | None]) -> Schedule:
    """A ring of which in step k the edge between gaps[k] and gaps[k]+1 is missing; None: none is.

    `worst.worst_ring` finds the gaps that keep even an agent that knows them busy for longest.
    """
    whole = ring_edges(nodes)
    missing = (frozenset[Edge]() if gap is None else frozenset([edge(gap, (gap + 1) % nodes)]) for gap in gaps)
    return Schedule(nodes, tuple(whole - each for each in missing))
