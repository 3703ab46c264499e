"""Several routes between two chains: the next best ones, and routes that share no transit.

Invariant: both answers are exact unless they say `capped`. Costs of routes together are their sums, key by key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from nodes.xroute.routes.costs import Cost
from nodes.xroute.routes.pruned import Pruned
from nodes.xroute.routes.search import Answer, Parts, Route, routes_of

MOST_PARTS = 50_000  # of routes, that are looked at
MOST_TRIES = 200_000  # of routes for a set


class InOrder:
    """Complying routes, the cheapest first. `capped` says that there may be more than came."""

    def __init__(self, pruned: Pruned, most_parts: int = MOST_PARTS) -> None:
        self._pruned = pruned
        self._most_parts = most_parts
        self.capped = False

    def __iter__(self) -> Iterator[Route]:
        parts, looked_at = Parts(self._pruned), 0
        while parts:
            label = parts.take()
            if label.at == self._pruned.goal:
                yield from routes_of([label])
                continue
            looked_at += 1
            if looked_at > self._most_parts:
                self.capped = True
                return
            parts.grow(label)


def next_routes(pruned: Pruned, most: int, most_parts: int = MOST_PARTS) -> Answer:
    """So many of the cheapest routes, in order of cost; fewer where there are no more."""
    source, found = InOrder(pruned, most_parts), []
    for route in source:
        found.append(route)
        if len(found) == most:
            break
    return Answer(tuple(found), source.capped)


def disjoint_routes(pruned: Pruned, count: int, most_parts: int = MOST_PARTS) -> Answer:
    """The `count` routes that cost the least together, no two of which share a transit; none where there are none.

    At most one of them is direct. Whether the graph has so many is asked first, without limits; then sets of routes are
    tried in order of cost, and a set is left as soon as it must cost more than the best one.
    """
    if ways(pruned, count) < count:
        return Answer(())
    source = InOrder(pruned, most_parts)
    choice = _Choice(count, iter(source))
    choice.extend((), 0, frozenset())
    return Answer(choice.best, source.capped or choice.capped)


class _Choice:
    """The best set of routes without common transits, by branch and bound over routes in order of cost."""

    def __init__(self, count: int, source: Iterator[Route]) -> None:
        self._count = count
        self._source = source
        self._known: list[Route] = []
        self._tries = 0
        self.best: tuple[Route, ...] = ()

    @property
    def capped(self) -> bool:
        return self._tries > MOST_TRIES

    def extend(self, chosen: tuple[Route, ...], begin: int, taken: frozenset[int]) -> None:
        """Try all sets that begin with the chosen routes and go on with routes from number `begin` on."""
        missing = self._count - len(chosen)
        if not missing:
            self.best = chosen
            return
        number = begin
        while (route := self._route(number)) is not None and self._may_win(chosen, route, missing):
            self._tries += 1
            if self.capped:
                return
            marks = frozenset(route.transits) or frozenset([-1])  # a direct route shares with other direct ones
            if taken.isdisjoint(marks):
                self.extend((*chosen, route), number + 1, taken | marks)
            number += 1

    def _route(self, number: int) -> Route | None:
        while len(self._known) <= number:
            route = next(self._source, None)
            if route is None:
                return None
            self._known.append(route)
        return self._known[number]

    def _may_win(self, chosen: Sequence[Route], route: Route, missing: int) -> bool:
        """Whether a set with this route, and routes that cost no less, may cost less than the best one."""
        return not self.best or together([*chosen, *[route] * missing]) < together(self.best)


def together(routes: Sequence[Route]) -> Cost:
    """What routes cost together."""
    return tuple(map(sum, zip(*(route.cost for route in routes), strict=True)))


def ways(pruned: Pruned, most: int) -> int:
    """How many routes without common transits the arcs allow, counted up to `most`: a flow, one through each chain."""
    after: list[set[int]] = [
        {arc.head for arc in arcs if (arc.serves_source if arc.head == pruned.goal else arc.serves_transit)}
        for arcs in pruned.arcs
    ]
    for chains in after:
        chains.discard(pruned.start)
    flow: set[tuple[int, int]] = set()  # arcs in use
    count = 0
    while count < most and _augment(after, flow, pruned.start, pruned.goal):
        count += 1
    return count


def _augment(after: Sequence[set[int]], flow: set[tuple[int, int]], start: int, goal: int) -> bool:
    """Bring one more route into the flow, and say whether there is one.

    Every chain is two places: where routes come in (0) and where they go on (1); one route passes between the two.
    """
    used = {head: tail for tail, head in flow if head != goal}  # chains that a route passes, and the chain before
    came: dict[tuple[int, int], tuple[int, int] | None] = {(start, 1): None}
    waiting = deque([(start, 1)])
    while waiting and (goal, 0) not in came:
        chain, side = place = waiting.popleft()
        if side:
            steps = [(head, 0) for head in after[chain] if (chain, head) not in flow]
            if chain in used:
                steps.append((chain, 0))  # back through the chain
        else:
            steps = [(used[chain], 1)] if chain in used else [(chain, 1)]
        for step in steps:
            if step not in came:
                came[step] = place
                waiting.append(step)
    if (goal, 0) not in came:
        return False
    place = (goal, 0)
    while (before := came[place]) is not None:
        if before[0] != place[0]:
            flow.symmetric_difference_update({(before[0], place[0]) if before[1] else (place[0], before[0])})
        place = before
    return True
