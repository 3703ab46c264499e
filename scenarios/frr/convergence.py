"""When the routes of all nodes were those of the oracle, from the changes that each node's kernel told.

Invariant: a node's table at an instant is made of all changes until then, so what an epoch finds wrong is what a packet
would have met. A table is right where each destination has next hops, all on shortest paths, or none where there is no
path.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scenarios.frr.oracle import Epoch, NextHops


class RouteChange(NamedTuple):
    """From this time on a node's route to a destination has these next hops; none: it has no route."""

    t_s: float
    destination: int
    next_hops: frozenset[int]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a change of the topology. `after_s`: from the change until all tables were right and stayed so;
    None: they were not, at the end of the epoch, in `wrong` routes."""

    epoch: Epoch
    after_s: float | None
    wrong: int


def settle(epochs: Iterable[Epoch], changes: Mapping[int, Sequence[RouteChange]]) -> list[Settled]:
    """What became of each epoch. `changes`: by node, in the order of time, of every live node."""
    return [_settle(epoch, changes) for epoch in epochs]


def _settle(epoch: Epoch, changes: Mapping[int, Sequence[RouteChange]]) -> Settled:
    last_s, wrong = epoch.begin_s, 0
    for node, told in changes.items():
        first = bisect_right(told, epoch.begin_s, key=lambda change: change.t_s)
        after = bisect_right(told, epoch.end_s, key=lambda change: change.t_s)
        table = {change.destination: change.next_hops for change in told[:first]}
        bad = {goal for (n, goal) in epoch.next_hops if n == node and not _right(epoch.next_hops, n, goal, table)}
        for change in told[first:after]:
            table[change.destination] = change.next_hops
            if (node, change.destination) not in epoch.next_hops:
                continue
            was_bad = bool(bad)
            if _right(epoch.next_hops, node, change.destination, table):
                bad.discard(change.destination)
            else:
                bad.add(change.destination)
            if was_bad and not bad:
                last_s = max(last_s, change.t_s)
        wrong += len(bad)
    return Settled(epoch, None if wrong else last_s - epoch.begin_s, wrong)


def _right(expected: NextHops, node: int, goal: int, table: Mapping[int, frozenset[int]]) -> bool:
    asked, found = expected[node, goal], table.get(goal, frozenset())
    return found <= asked and bool(found) == bool(asked)
