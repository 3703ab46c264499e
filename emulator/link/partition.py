"""The assignment of nodes to the lanes of the engine.

A packet is passed to the lane of its receiver when it leaves, and the delay of the link is the time for that. So nodes
joined by a link with a short delay share a lane. Moving links are an exception: their delay is that of a path to space.
Invariant: nodes joined by a fixed link whose delay is ever below NEAR_S, in its knots or the given rows, share a lane;
and the result depends on the arguments alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from emulator.model.network import Floats, Ints, Network, ScheduleRow

NEAR_S = 1e-3


def partition(network: Network, lanes: int, rows: Iterable[ScheduleRow] = ()) -> Ints:
    """A lane from 0 to lanes - 1 for each node. `rows`: some rows of the timeline, for the delays of links that follow
    it; the first one also names the satellites that serve the stations of moving links (without it: the link's own far
    node).

    Nodes are divided in their order into blocks of equal weight, so that planes of satellites stay together; the weight
    of a node is the number of link ends on which it sends. A group with a station of a moving link is assigned last: to
    the lane of the satellite that serves it or, if that lane has its share already, to the lane with the least weight.
    """
    if lanes < 1:
        raise ValueError(f"the engine needs 1 lane or more, not {lanes}")
    rows = list(rows)
    lane_of_node = np.zeros(len(network.nodes), np.int32)
    if lanes == 1:
        return lane_of_node
    weight = np.zeros(len(network.nodes))
    served: dict[int, int] = {}  # first serving node of each station
    for number, link in enumerate(network.links):
        weight[link.a] += 1
        if link.moving:
            served.setdefault(link.a, int(rows[0].peer[2 * number]) if rows else link.b)
        else:
            weight[link.b] += 1
    groups = _groups(network, shortest_s(network, rows))
    mobile = [group for group in groups if any(node in served for node in group)]
    fixed = [group for group in groups if not any(node in served for node in group)]
    weights = np.array([weight[group].sum() for group in fixed])
    load = np.zeros(lanes)
    for group, lane, heavy in zip(fixed, _blocks(weights, lanes), weights.tolist(), strict=True):
        lane_of_node[group] = lane
        load[lane] += heavy
    share = weight.sum() / lanes
    for group in mobile:
        satellite = next((served[node] for node in group if served.get(node, -1) >= 0), -1)
        lane = int(lane_of_node[satellite]) if satellite >= 0 and satellite not in served else int(load.argmin())
        if load[lane] >= share:
            lane = int(load.argmin())
        lane_of_node[group] = lane
        load[lane] += weight[group].sum()
    return lane_of_node


def shortest_s(network: Network, rows: Sequence[ScheduleRow] = ()) -> Floats:
    """The shortest delay of each link end in its knots or the rows; inf if neither has one."""
    shortest = np.full(2 * len(network.links), np.inf)
    for row in rows:
        np.minimum(shortest, shortest_of_row_s(network, row), out=shortest)
    by_knots = shortest_of_knots_s(network)
    return np.where(np.isfinite(by_knots), by_knots, shortest)


def shortest_of_row_s(network: Network, row: ScheduleRow) -> Floats:
    """The shortest delay of each link end within the row's step, if it has no knots."""
    shortest = np.minimum(row.delay_start_s, row.delay_end_s)
    if row.substep is not None and network.substep is not None:
        used = np.arange(row.substep.t_s.shape[1]) < row.substep.count[:, None]
        finest = row.substep.delay_s.min(axis=1, where=used, initial=np.inf)
        np.minimum.at(shortest, network.substep.ends, finest)
    return shortest


def shortest_of_knots_s(network: Network) -> Floats:
    """The shortest delay in the knots of each link end; inf for ends without."""
    shortest = np.full(2 * len(network.links), np.inf)
    known: dict[int, float] = {}  # by knots
    for end in range(len(shortest)):
        knots = network.end_spec(end).schedule
        if knots is not None:
            least = known.get(id(knots))
            if least is None:
                least = known[id(knots)] = float(knots.delay_s.min())
            shortest[end] = least
    return shortest


def _groups(network: Network, delay_s: Floats) -> list[NDArray[np.int64]]:
    """Groups of nodes that must share a lane, in the order of their first nodes."""
    root = list(range(len(network.nodes)))

    def find(node: int) -> int:
        while root[node] != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    for number, link in enumerate(network.links):
        if not link.moving and min(delay_s[2 * number], delay_s[2 * number + 1]) < NEAR_S:
            first, second = sorted((find(link.a), find(link.b)))
            root[second] = first
    members: defaultdict[int, list[int]] = defaultdict(list)
    for node in range(len(root)):
        members[find(node)].append(node)
    return [np.array(group, np.int64) for group in members.values()]


def _blocks(weights: Floats, lanes: int) -> list[int]:
    """The lane of each group, if lanes are blocks of their order: the lane in which the middle of its weight lies. So a
    lane has at most its share plus the heaviest group."""
    total = float(weights.sum())
    if not total:
        return [place * lanes // len(weights) for place in range(len(weights))]
    middle = np.cumsum(weights) - weights / 2
    lane: list[int] = np.minimum(middle * lanes / total, lanes - 1).astype(int).tolist()
    return lane
