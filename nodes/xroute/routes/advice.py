"""Which new pairs of clients would lower the largest share of transit most.

The measure: each pair of chains uses its routes of fewest hops, all alike; a chain's share is the part of all
connected pairs whose routes pass through it. Advice is greedy: the best pair, then the best one after it, and so on;
each candidate is judged by computing the measure anew, not by an estimate. Greedy need not be best for several pairs
together.

Invariant: no pair that is not yet joined would lower the largest share further, at the step at which one is advised.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from nodes.xroute.routes.graph import Graph

_FAR = np.int32(1 << 20)  # hops between chains that no route joins; sums of four fit
_LEAST_GAIN = 1e-12  # shares that differ less are equal

Hops = NDArray[np.int32]
Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Advice:
    """A pair of clients to make, and the largest share of transit after it."""

    a: str
    b: str
    top: str
    share: float


@dataclass(frozen=True, slots=True)
class Shortest:
    """Fewest hops between all chains, and how many routes have so many."""

    hops: Hops
    counts: Counts

    @classmethod
    def of(cls, graph: Graph) -> Shortest:
        """Those of usable edges, whose number between two chains does not matter."""
        size = len(graph.chains)
        hops, counts = np.full((size, size), _FAR, np.int32), np.eye(size)
        np.fill_diagonal(hops, 0)
        joined = np.zeros((size, size), bool)
        for identity, others in graph.neighbours().items():
            joined[graph.number[identity], [graph.number[other] for other in others]] = True
        reached, level = np.eye(size), 0
        while reached.any():
            level += 1
            reached = np.where(hops == _FAR, reached @ joined, 0)
            hops = np.where(reached > 0, np.int32(level), hops)
            counts = np.where(reached > 0, reached, counts)
        return cls(hops, counts)

    def joined(self, a: int, b: int) -> Shortest:
        """After a new pair of clients between two chains. A shortest route uses it once at most."""
        there = self.hops[:, a, None] + self.hops[None, b, :] + np.int32(1)
        back = there.T
        hops = np.minimum(self.hops, np.minimum(there, back))
        over = self.counts[:, a, None] * self.counts[None, b, :]
        counts = self.counts * (hops == self.hops) + over * (hops == there) + over.T * (hops == back)
        return Shortest(hops, np.where(hops < _FAR, counts, 0))

    def share(self, chain: int) -> float:
        """The share of connected pairs whose routes pass through a chain."""
        hops, counts = self.hops, self.counts
        passing = (hops[:, chain, None] + hops[None, chain, :] == hops) & (hops < _FAR)
        passing[chain, :] = passing[:, chain] = False
        np.fill_diagonal(passing, False)
        through = np.where(passing, counts[:, chain, None] * counts[None, chain, :], 0)
        share = np.divide(through, counts, out=np.zeros_like(through), where=counts > 0).sum()
        return float(share / max(1, (hops < _FAR).sum() - len(hops)))

    def top(self) -> tuple[int, float]:
        """The chain with the largest share, and its share."""
        shares = [self.share(chain) for chain in range(len(self.hops))]
        chain = int(np.argmax(shares))
        return chain, shares[chain]


def advise(graph: Graph, most: int) -> Iterator[Advice]:
    """New pairs of clients, the best first; fewer where no further one lowers the largest share."""
    now, names = Shortest.of(graph), [chain.name for chain in graph.chains]
    for _ in range(most):
        best = _best(now)
        if best is None:
            return
        a, b = best
        now = now.joined(a, b)
        top, share = now.top()
        yield Advice(names[a], names[b], names[top], share)


def _best(now: Shortest) -> tuple[int, int] | None:
    """The pair after which the largest share is least, or None where none lowers it.

    The share of the chain that is on top now is a bound from below for what the largest share becomes, and is quick to
    compute: candidates are taken in order of that bound, until it says that no further one can be better.
    """
    top, least = now.top()
    least -= _LEAST_GAIN
    bounds = sorted((now.joined(a, b).share(top), a, b) for a, b in _candidates(now))
    best = None
    for bound, a, b in bounds:
        if bound >= least:
            break
        share = now.joined(a, b).top()[1]
        if share < least:
            best, least = (a, b), share
    return best


def _candidates(now: Shortest) -> Iterator[tuple[int, int]]:
    """Pairs that are not joined; of chains with the same neighbours, which change places without a difference, one."""
    neighbours = [tuple(np.flatnonzero(row == 1)) for row in now.hops]
    seen = set()
    for a, b in combinations(range(len(neighbours)), 2):
        kinds = tuple(sorted((neighbours[a], neighbours[b])))
        if now.hops[a, b] > 1 and kinds not in seen:
            seen.add(kinds)
            yield a, b
