"""T-interval connectivity: in every T consecutive steps the edges present throughout join all nodes. The largest T.

One pass, a step at a time: each edge has an age (for how many steps it has been there without a break), and the only
figure of a step that matters is its *hold*, the largest age such that the edges at least that old still join all
nodes. Invariant: after every step `Interval.largest` is the answer for the steps given so far. T-interval
connectivity is that of Kuhn, Lynch and Oshman (STOC 2010); Casteigts and others (arXiv 1502.00089) show that an
online test with few graph operations is possible; the one here is simpler, and sorts the edges of each step by age.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import inf

from emulator.model.errors import Unfit

Edge = tuple[int, int]  # the smaller node first
Snapshot = frozenset[Edge]  # the edges present in one step


def edge(a: int, b: int) -> Edge:
    """The edge between two nodes, whichever is named first."""
    return (a, b) if a < b else (b, a)


class Interval:
    """Streaming checker for a graph on the nodes 0 … `nodes`-1. Feed it snapshots in the order of steps.

    A sequence of L steps has no windows longer than L, so `largest` is at most L; it is 0 where some snapshot by
    itself does not join all nodes. A graph of one node is joined by no edges.
    """

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self.steps = 0
        self.largest = 0
        self._present: Snapshot = frozenset()
        self._since: dict[Edge, int] = {}  # first step of an edge's present life
        self._hold = 0

    def step(self, present: Iterable[Edge], times: int = 1) -> int:
        """Take the next snapshot, `times` in a row; the hold of the last step: how long the windows that end there
        may be."""
        before, since, now = self._present, self._since, self.steps
        self._present = frozenset(present)
        self.steps += 1
        if self._present == before and now:
            self._hold += self._hold > 0  # every edge is a step older, and nothing else is different
        else:
            self._since = {each: since.get(each, now) for each in self._present}
            self._hold = self._age_that_joins()
        hold = self._hold
        # Windows that end here are fine up to the hold, those that ended before up to the old answer. Only a window
        # over all steps is new, and no earlier window speaks against it.
        self.largest = self.steps if hold == self.steps else min(self.largest, hold)
        if times > 1 and hold:  # further equal steps only let every edge grow older
            self._hold += times - 1
            self.largest += (times - 1) * (hold == self.steps)
        self.steps += times - 1
        return self._hold

    def _age_that_joins(self) -> int:
        """Oldest edges first, until all nodes are joined (Kruskal): the age of the edge that joined the last ones."""
        root = list(range(self.nodes))
        parts = self.nodes
        if parts <= 1:
            return self.steps
        if len(self._since) < parts - 1:
            return 0
        for (a, b), since in sorted(self._since.items(), key=lambda item: item[1]):
            a, b = _find(root, a), _find(root, b)
            if a != b:
                root[a] = b
                parts -= 1
                if parts == 1:
                    return self.steps - since
        return 0


def _find(root: list[int], node: int) -> int:
    while root[node] != node:
        root[node] = root[root[node]]
        node = root[node]
    return node


def largest_finite(nodes: int, snapshots: Sequence[Iterable[Edge]]) -> int:
    """Largest T of a finite sequence: only windows inside it count, so at most its length; 0 where T = 1 fails."""
    checker = Interval(nodes)
    for snapshot, alike in groupby(snapshots):
        checker.step(snapshot, sum(1 for _ in alike))
    return checker.largest


def largest_periodic(nodes: int, snapshots: Sequence[Iterable[Edge]], period: int | None = None) -> float:
    """Largest T when the last `period` snapshots (all by default) are repeated for ever after the first pass.

    `inf` where some edges are there always and join all nodes. May be less than the finite T, as windows reach from
    the end of a period into the next. ValueError where there is nothing to repeat.
    """
    if period is None:
        period = len(snapshots)
    if not 1 <= period <= len(snapshots):
        raise Unfit(f"period of {period} steps", f"1 to {len(snapshots)}, the number of snapshots")
    steps = [frozenset(snapshot) for snapshot in snapshots]
    always = Interval(nodes)
    if always.step(frozenset.intersection(*dict.fromkeys(steps))):
        return inf
    # Whatever has no such edges has a window that fails. The shortest ones end with the first pass, or are at most a
    # period long and begin in its last period: one more period shows them all.
    return largest_finite(nodes, steps + steps[-period:])
