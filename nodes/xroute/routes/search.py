"""The best route that complies with a policy: label-setting over the pruned graph.

Invariant: the answer is exact unless it says `capped`. A label is a part of a route from the destination on; it is
given up only where another one at the same chain dominates it: it costs less, keeps to the limits no worse, has
satisfied no fewer clauses, and can go on wherever this one can. Labels of equal cost are kept together, so the answer
has every route of the least cost, up to `MOST_TIED`; of these a message takes one by hash, so that equal routes share
the load. (Where a key that is no sum is preferred, one of equal cost in the end may have been given up on the way.)
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from nodes.xroute.policy.attributes import RouteAttributes
from nodes.xroute.policy.terms import Unit
from nodes.xroute.routes.costs import Cost
from nodes.xroute.routes.graph import Edge
from nodes.xroute.routes.pruned import Arc, Pruned

MOST_LABELS = 16  # kept at a chain for each set of clauses that are satisfied
MOST_TIED = 64
_FAR = Unit.HOPS.most + 1


@dataclass(frozen=True, slots=True)
class Route:
    """A route from the destination to the source, and what it costs."""

    arcs: tuple[Arc, ...]
    cost: Cost

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Its edges, from the destination on."""
        return tuple(arc.edge for arc in self.arcs)

    @property
    def transits(self) -> tuple[int, ...]:
        """Numbers of the chains strictly between."""
        return tuple(arc.head for arc in self.arcs[:-1])

    @property
    def route_id(self) -> bytes:
        """SHA-256 of the edges in order: identity of the verifying chain, and client, each after its length."""
        parts = (part for edge in self.edges for part in (edge.verifier, edge.client.encode()))
        return sha256(b"".join(len(part).to_bytes(2) + part for part in parts)).digest()

    def attributes(self, mode: str = "e2e", names_agree: bool | None = True) -> RouteAttributes:
        """What a policy judges."""
        return RouteAttributes(tuple(arc.hop for arc in self.arcs), mode, names_agree)


@dataclass(frozen=True, slots=True)
class Answer:
    """Routes of the least cost; none where no route complies."""

    routes: tuple[Route, ...]
    capped: bool = False  # labels were given up unseen, so a better route may have been missed
    tied_more: bool = False  # there are more routes of this cost

    def choose(self, message_id: bytes) -> Route | None:
        """The route that a message takes: of equal ones the least by hash of message and route."""
        return min(self.routes, key=lambda route: sha256(message_id + route.route_id).digest(), default=None)


@dataclass(slots=True, eq=False)
class Label:
    """Parts of routes that end at one chain, equal in all that matters for going on."""

    at: int
    cost: Cost
    hops: int
    bits: int
    transit_bits: int
    visited: int  # set of chains, a bit each
    before: list[tuple[Label, Arc]] = field(default_factory=list)


def best_routes(pruned: Pruned, most_labels: int = MOST_LABELS) -> Answer:
    """All routes of the least cost from destination to source."""
    return _Search(pruned, most_labels).answer()


class Parts:
    """Parts of routes by cost, the least first: a heap whose labels grow hop by hop into complying routes."""

    def __init__(self, pruned: Pruned) -> None:
        self._pruned = pruned
        self._costs = pruned.costs
        self._most_hops = max(pruned.lengths, default=0)
        self._left = hops_left(pruned)
        first = Label(pruned.start, self._costs.start(), 0, 0, 0, 1 << pruned.start)
        self._heap = [(first.cost, 0, first)]
        self._pushed = 0

    def __bool__(self) -> bool:
        return bool(self._heap)

    def take(self) -> Label:
        """The cheapest part."""
        return heapq.heappop(self._heap)[2]

    def grow(self, label: Label) -> None:
        """Put in what a part becomes after one more hop, as far as that may still become a route."""
        for after in self._extended(label):
            self._pushed += 1
            heapq.heappush(self._heap, (after.cost, self._pushed, after))

    def _extended(self, label: Label) -> Iterator[Label]:
        """The labels after one more hop that may still become a route."""
        pruned, hops = self._pruned, label.hops + 1
        share_ppm = pruned.shares_ppm[label.at] if label.hops else 0
        bits = label.bits | label.transit_bits
        for arc in pruned.arcs[label.at]:
            ends = arc.head == pruned.goal
            if label.visited >> arc.head & 1 or hops + self._left[arc.head] > self._most_hops:
                continue
            if not (arc.serves_source if ends else arc.serves_transit):
                continue
            cost = self._costs.extended(label.cost, arc.weights, share_ppm)
            gained = bits | arc.bits
            if not self._costs.within_limits(cost) or (ends and (gained != pruned.bits or hops not in pruned.lengths)):
                continue
            visited = label.visited | 1 << arc.head
            yield Label(arc.head, cost, hops, gained, arc.transit_bits, visited, [(label, arc)])


class _Search:
    def __init__(self, pruned: Pruned, most_labels: int) -> None:
        self._pruned = pruned
        self._parts = Parts(pruned)
        self._most_labels = most_labels
        # A detour helps only where it satisfies a clause or brings more hops: then chains visited are told apart.
        self._counts_hops = pruned.lengths != frozenset(range(1, max(pruned.lengths, default=0) + 1))
        self._tells_visited = bool(pruned.bits) or self._counts_hops
        self._settled: list[list[Label]] = [[] for _ in pruned.arcs]
        self._capped = False

    def answer(self) -> Answer:
        best: Cost | None = None
        while self._parts:
            label = self._parts.take()
            if best is not None and label.cost > best:
                break
            if not self._settle(label):
                continue
            if label.at == self._pruned.goal:
                best = label.cost
            else:
                self._parts.grow(label)
        found = [label for label in self._settled[self._pruned.goal] if label.cost == best]
        routes = list(routes_of(found))
        return Answer(tuple(routes[:MOST_TIED]), self._capped, len(routes) > MOST_TIED)

    def _settle(self, label: Label) -> bool:
        """Keep a label, unless it is dominated, over the cap, or joins one that it equals."""
        settled, alike = self._settled[label.at], 0
        for known in settled:
            if self._is_same(known, label):
                known.before += label.before
                return False
            if self._is_useless(label, known):
                return False
            alike += known.bits == label.bits
        if alike >= self._most_labels:
            self._capped = True
            return False
        settled.append(label)
        return True

    def _is_same(self, known: Label, label: Label) -> bool:
        if known.cost != label.cost or known.bits != label.bits:
            return False
        return label.at == self._pruned.goal or not self._tells_visited or known.visited == label.visited

    def _is_useless(self, label: Label, known: Label) -> bool:
        if label.bits & ~known.bits or not self._pruned.costs.dominates(known.cost, label.cost):
            return False
        if self._counts_hops and known.hops != label.hops:
            return False
        return not self._tells_visited or not known.visited & ~label.visited


def routes_of(labels: list[Label]) -> Iterator[Route]:
    """The routes that labels stand for, one more at most than are kept."""
    waiting: list[tuple[Label, tuple[Arc, ...], Cost]] = [(label, (), label.cost) for label in labels]
    count = 0
    while waiting and count <= MOST_TIED:
        label, arcs, cost = waiting.pop()
        if not label.before:
            count += 1
            yield Route(arcs, cost)
        waiting += [(before, (arc, *arcs), cost) for before, arc in label.before]


def hops_left(pruned: Pruned) -> list[int]:
    """For each chain the fewest hops from it to the source, over arcs that serve; one more than are allowed: none."""
    back: list[list[int]] = [[] for _ in pruned.arcs]
    for number, arcs in enumerate(pruned.arcs):
        for arc in arcs:
            if arc.serves_source if arc.head == pruned.goal else arc.serves_transit:
                back[arc.head].append(number)
    left = [_FAR] * len(back)
    left[pruned.goal] = 0
    waiting = [pruned.goal]
    for number in waiting:  # grows as it is read
        for before in back[number]:
            if left[before] == _FAR:
                left[before] = left[number] + 1
                waiting.append(before)
    return left
