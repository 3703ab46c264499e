"""Routes between all chains at once, for policies that prefer sums: what a relayer keeps, and what is measured.

A row of the table is a destination. Level k has the least cost of a route of at most k hops from the destination to
each chain; it is made of level k - 1 by all arcs in one step. Invariant: costs are those of `search.best_routes`, in
one integer (keys in order of preference). After a change, rows are computed again where the changed arc was, or
becomes, part of a cheapest route; the others stand.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from emulator.model.errors import Unfit
from nodes.xroute.policy.clauses import Condition, LimitKind, Policy
from nodes.xroute.policy.terms import PROVABLE, Attribute, Key, Kind, Scope
from nodes.xroute.routes.costs import Cost, Costs, Shares
from nodes.xroute.routes.graph import Edge, Graph, TransitRule
from nodes.xroute.routes.pruned import Judge, lengths

NEVER = np.int64(1 << 61)  # more than any cost; two of them do not overflow
_MOST_COST = 1 << 60
Costly = NDArray[np.int64]


class Table:
    """The routes of one policy between all chains of a graph."""

    def __init__(self, graph: Graph, policy: Policy, shares: Shares | None = None) -> None:
        """Unfit where a policy needs the search pair by pair.

        That is for: `any hop`, `via`, limits of fee or time, a least number of hops, preferences that are no sums,
        conditions on the source's client, and transit rules that ask who sends or receives.
        """
        self._policy = policy
        self._shares = shares or {}
        self._most_hops = max(lengths(policy), default=0)
        if lengths(policy) != frozenset(range(1, self._most_hops + 1)):
            raise Unfit("a least number of hops", "a greatest one alone")
        self._build(graph)

    def _build(self, graph: Graph) -> None:
        self.graph = graph
        self._judge = judge = Judge(graph, self._policy)
        self._radix = _radix(judge.costs, self._shares)
        self._check(judge)
        size = len(graph.edges)
        number = graph.number
        self._order = sorted(range(size), key=lambda at: number[graph.edges[at].tracked])
        edges = [graph.edges[at] for at in self._order]
        self._place = {edge.key: place for place, edge in enumerate(edges)}
        # Arcs, in the order of their heads.
        self.tail = np.array([number[edge.verifier] for edge in edges], np.intp)
        self.head = np.array([number[edge.tracked] for edge in edges], np.intp)
        self.on = np.full(size, NEVER)  # cost of an arc on the way to a transit
        self.last = np.full(size, NEVER)  # cost of an arc to the source
        for place, edge in enumerate(edges):
            self.on[place], self.last[place] = self._weights(edge)
        shares = [self._shares.get(chain.identity, 0) for chain in graph.chains]
        self.through = np.array([self._packed_share(share) for share in shares], np.int64)
        chains = len(graph.chains)
        self.levels = np.full((self._most_hops + 1, chains, chains), NEVER)  # of parts of routes
        self.costs = np.full((self._most_hops + 1, chains, chains), NEVER)  # of routes, by level, row and source
        self._compute(np.arange(chains))

    def _check(self, judge: Judge) -> None:
        limited = [kind for kind in (LimitKind.FEE, LimitKind.TIME) if self._policy.limit(kind) is not None]
        if judge.bits or limited or not judge.costs.are_sums:
            raise Unfit("`any hop`, `via`, a limit of fee or time, or a preference that is no sum", "another policy")
        if any(each.scope is Scope.SOURCE and _is_of_client(each) for each in self._policy.conditions):
            raise Unfit("a condition on the client that tracks the source", "conditions on chains, or on each hop")
        asks = any(each.attribute is Attribute.TRANSIT_OK for each in self._policy.conditions)
        pairwise = (TransitRule.ONLY_TO, TransitRule.ONLY_FROM)
        if asks and any(chain.transit and chain.transit.rule in pairwise for chain in self.graph.chains):
            raise Unfit("`transit_ok` where a chain asks who sends or receives", "the search pair by pair")

    def _weights(self, edge: Edge) -> tuple[int, int]:
        """The cost of an edge to a transit and to a source; NEVER where it does not serve."""
        transit = self.graph.chains[self.graph.number[edge.tracked]].transit
        arc, _ = self._judge.judged(edge, None if transit is None else transit.rule is TransitRule.ALLOW)
        if arc is None:
            return int(NEVER), int(NEVER)
        cost = self.packed(arc.weights)
        return (cost if arc.serves_transit else int(NEVER)), (cost if arc.serves_source else int(NEVER))

    def packed(self, cost: Cost) -> int:
        """A cost by key as one integer."""
        return sum(value * scale for value, scale in zip(cost, self._radix, strict=True))

    def _packed_share(self, share: int) -> int:
        keys = self._judge.costs.keys
        return share * self._radix[keys.index(Key.SPREAD)] if Key.SPREAD in keys else 0

    def _compute(self, rows: NDArray[np.intp]) -> None:
        """Compute rows anew, level by level. Here each row is a column: what arcs gather lies side by side then."""
        columns = np.arange(len(rows))
        ends_alike = np.array_equal(self.on, self.last)  # then a part of a route is a route
        parts = np.full((len(self.graph.chains), len(rows)), NEVER)
        routes = parts.copy()
        parts[rows, columns] = 0
        is_new = np.isin(np.arange(len(parts)), rows)  # chains whose cost the last level changed
        self.levels[0, rows] = parts.T
        for level in range(1, self._most_hops + 1):
            onward, parts_before = self._onward(parts, rows), parts
            arcs = np.flatnonzero(is_new[self.tail])  # after the others nothing is new
            parts = self._relaxed(arcs, onward, self.on, parts_before)
            routes = parts.copy() if ends_alike else self._relaxed(arcs, onward, self.last, routes)
            routes[rows, columns] = NEVER
            is_new = (parts != parts_before).any(axis=1)
            self.levels[level, rows], self.costs[level, rows] = parts.T, routes.T

    def _onward(self, parts: Costly, rows: NDArray[np.intp]) -> Costly:
        onward: Costly = np.minimum(parts + self.through[:, None], NEVER)
        onward[rows, np.arange(len(rows))] = 0
        return onward

    def onward(self, level: int) -> Costly:
        """By row: the cost of going on from each chain, which becomes a transit, unless it is the destination."""
        return self._onward(self.levels[level].T, np.arange(len(self.graph.chains))).T

    def _relaxed(self, arcs: NDArray[np.intp], onward: Costly, weights: Costly, known: Costly) -> Costly:
        """The least of what is known and of some arcs, in the order of their heads, after what is known."""
        better: Costly = known.copy()
        if len(arcs):
            heads, begins = np.unique(self.head[arcs], return_index=True)
            reached = onward.take(self.tail[arcs], axis=0)
            reached += weights[arcs, None]
            least = np.minimum.reduceat(reached, begins, axis=0)
            better[heads] = np.minimum(known[heads], np.minimum(least, NEVER))
        return better

    def update(self, changed: Iterable[Edge]) -> int:
        """Take edges in place of those of the same clients, and say how many rows were computed again."""
        edges = list(changed)
        graph = self.graph.with_edges(edges)
        rebuilt = any(edge.key not in self._place for edge in edges)
        judge = Judge(graph, self._policy)
        if rebuilt or judge.costs != self._judge.costs or _radix(judge.costs, self._shares) != self._radix:
            self._build(graph)
            return len(graph.chains)
        self.graph, self._judge = graph, judge
        affected = np.zeros(len(graph.chains), bool)
        both = [each for edge in edges for each in (edge, graph.reverse(edge)) if each is not None]
        for edge in both:
            place = self._place[edge.key]
            before = int(self.on[place]), int(self.last[place])
            after = self._weights(edge)
            if before != after:
                affected |= self._uses(place, *before) | self._uses(place, *after)
                self.on[place], self.last[place] = after
        rows = np.flatnonzero(affected)
        if len(rows):
            self._compute(rows)
        return len(rows)

    def _uses(self, place: int, on: int, last: int) -> NDArray[np.bool_]:
        """Rows in which an arc, with such costs, is part of a cheapest route of some level, or would be."""
        tail, head = self.tail[place], self.head[place]
        rows = np.arange(len(self.graph.chains))
        onward = self.levels[:-1, :, tail] + np.where(rows == tail, 0, self.through[tail])
        passes = (onward + on <= self.levels[1:, :, head]) & (on < NEVER)
        ending = (onward + last <= self.costs[1:, :, head]) & (last < NEVER)
        found: NDArray[np.bool_] = np.logical_or.reduce((passes | ending) & (onward < NEVER), axis=0)
        return found

    def reachable(self, most_hops: int) -> NDArray[np.bool_]:
        """Whether a complying route of at most so many hops leads to a destination (row) from a source (column)."""
        reached: NDArray[np.bool_] = self.costs[min(most_hops, self._most_hops)] < NEVER
        return reached

    def hops(self) -> NDArray[np.int64]:
        """Hops of the cheapest routes, row by row; 0 where there is none."""
        place = self._judge.costs.keys.index(Key.HOPS)
        larger = self._radix[place - 1] if place else None
        left = self.costs[-1] % larger if larger else self.costs[-1]
        return np.where(self.reachable(self._most_hops), left // self._radix[place], 0)


def _is_of_client(condition: Condition) -> bool:
    return condition.kind is Kind.CLIENT_TYPE or (
        condition.attribute in PROVABLE and PROVABLE[condition.attribute].of_client
    )


def _radix(costs: Costs, shares: Shares) -> tuple[int, ...]:
    """What one unit of each key counts in a packed cost. Unfit where a sum would not fit."""
    most = {**costs.worst, Key.HOPS: 1, Key.SPREAD: max(shares.values(), default=0)}
    scales, scale = [], 1
    for key in reversed(costs.keys):
        scales.append(scale)
        scale *= 8 * most.get(key, 0) + 1
    if scale > _MOST_COST:
        raise Unfit("fees and times whose sums do not fit in 60 bits together", "fewer preferences, or the search")
    return tuple(reversed(scales))
