"""What OSPF's routes must be: after each change of the topology, the next hops of every shortest path.

All costs are equal, so the shortest paths are those of the fewest hops; Skyloom's own routes (`least_delay`) count them
when each link is given the same delay. Invariant: an epoch lasts from one change of the topology to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from emulator.model.network import Network
from emulator.schedule.routes import least_delay

NOBODY = -1
NextHops = Mapping[tuple[int, int], frozenset[int]]  # by node and destination; neighbours on shortest paths


class CarrierChange(NamedTuple):
    """A fixed link came up or went down."""

    t_s: float
    link: int
    up: bool


@dataclass(frozen=True, slots=True)
class Epoch:
    """A topology and the time that it held. `causes`: what changed as it began."""

    begin_s: float
    end_s: float
    causes: tuple[str, ...]
    next_hops: NextHops = field(repr=False)


def epochs(network: Network, end_s: float, changes: Iterable[CarrierChange]) -> list[Epoch]:
    """The epochs of a run: access links as the schedule moves them, fixed links as their interfaces showed carrier."""
    assert network.timeline is not None
    step_s, fixed = network.timeline.step_s, sorted(changes)
    far: dict[int, int] = {}
    down: set[int] = set()
    found: list[tuple[float, tuple[str, ...], NextHops]] = []

    def begin(t_s: float, causes: list[str]) -> None:
        found.append((t_s, tuple(causes), next_hops(network, far, down)))

    def play(until_s: float) -> None:
        while fixed and fixed[0].t_s < until_s:
            t_s, link, up = fixed.pop(0)
            if up == (link in down):
                (down.discard if up else down.add)(link)
                if found:
                    begin(t_s, [f"{network.links[link].name} {'up' if up else 'down'}"])

    for row in network.timeline.rows(0, round(end_s / step_s)):
        play(row.step * step_s)
        now = {
            number: int(row.peer[2 * number]) if row.up[2 * number] else NOBODY
            for number, link in enumerate(network.links)
            if link.moving
        }
        if row.step == 0:
            far = now
            play(np.nextafter(0.0, 1.0))
            begin(0.0, ["start"])
        elif now != far:
            names = [network.nodes[network.links[link].a].name for link in now if now[link] != far[link]]
            far = now
            begin(row.step * step_s, [f"handover {name}" for name in names])
    play(end_s)
    ends = [*(t_s for t_s, _, _ in found[1:]), end_s]
    return [Epoch(t_s, until_s, causes, hops) for (t_s, causes, hops), until_s in zip(found, ends, strict=True)]


def next_hops(network: Network, far: Mapping[int, int], down: set[int]) -> dict[tuple[int, int], frozenset[int]]:
    """Neighbours of each node on paths of the fewest hops to each other live node; nobody where there is no path.

    `far`: the satellite of each moving link. Nodes that do not forward lie on no path.
    """
    joined = []
    for number, link in enumerate(network.links):
        b = far.get(number, NOBODY) if link.moving else link.b
        if b != NOBODY and number not in down:
            joined += [(link.a, b), (b, link.a)]
    tail, head = (np.array(side, np.int32) for side in zip(*joined, strict=True))
    closed = np.array([not node.forwards for node in network.nodes])
    live = np.array(network.live, np.int32)
    each = np.arange(len(tail), dtype=np.int32)
    _, hops = least_delay(tail, head, np.ones(len(tail)), each, len(network.nodes), live, closed)
    found: dict[tuple[int, int], set[int]] = {(int(n), int(d)): set() for d in live for n in live if n != d}
    for place, goal in enumerate(live):
        nearer = np.isfinite(hops[place, tail]) & (hops[place, head] + 1 == hops[place, tail])
        for n, h in zip(tail[nearer].tolist(), head[nearer].tolist(), strict=True):
            if (n, int(goal)) in found and (h == goal or not closed[h]):
                found[n, int(goal)].add(h)
    return {pair: frozenset(neighbours) for pair, neighbours in found.items()}
