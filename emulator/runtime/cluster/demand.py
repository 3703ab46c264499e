"""What a run is expected to cost: packets over its links, and the processor time of each node.

Invariant: pure; the same rows give the same demand. Costs are those of one machine of ours, and only their proportions
matter to a partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.network import Floats, Ints, Network, ScheduleRow

HOP_S = 0.25e-6  # processor time of the engine for a packet over a link
PORT_S = 2e-6  # for a packet through the port of a live node
NODE_SHARE = 0.05  # of all: what nodes cost alike, such as their part of each row
IDLE_CPU = 1e-6  # cores of a node in a run that is expected to do nothing
PAIR_PACKETS_PER_S = 100.0  # from each end point to each other one, where nobody has measured
MOST_DESTINATIONS = 256  # end points to which routes are followed; of more, so many are taken


class Traffic(NamedTuple):
    """Packets over link ends, as means over the run: an entry for each pair of nodes that an end joins at some time."""

    end: Ints
    tail: Ints
    head: Ints
    packets_per_s: Floats


class Demand(NamedTuple):
    """Expected processor time of each node in cores, by what takes it."""

    traffic: Traffic
    engine: Floats  # N
    programs: Floats  # N

    @property
    def cpu(self) -> Floats:
        """All of it, with each node's part of what nodes cost alike."""
        busy = self.engine + self.programs
        cpu: Floats = busy + NODE_SHARE * busy.sum() / max(1, len(busy)) + IDLE_CPU
        return cpu


def sums(index: NDArray[np.integer], value: Floats, count: int) -> Floats:
    """The sum of the values at each index from 0 to count - 1."""
    return np.bincount(index, value, count).astype(np.float64)


def demand(network: Network, traffic: Traffic, programs: Floats) -> Demand:
    """The demand of `traffic` and of programs that take `programs` cores on each node."""
    nodes = len(network.nodes)
    sent = sums(traffic.tail, traffic.packets_per_s, nodes)
    received = sums(traffic.head, traffic.packets_per_s, nodes)
    live = np.array([node.live for node in network.nodes], dtype=np.float64)
    return Demand(traffic, sent * HOP_S + (sent + received) * live * PORT_S, programs)


Load = Mapping[int, Mapping[int, float]]  # packets a second to each node from each other one


def expected_traffic(network: Network, rows: Iterable[ScheduleRow], load: Load | None = None) -> Traffic:
    """The traffic of `load` along the routes of `rows`, which are a few of the run, with routes; without one each end
    point sends PAIR_PACKETS_PER_S to each other one. Where nobody routes packets go to neighbours alone, and without a
    load each link end carries so many."""
    every = load if load is not None else _of_all_pairs(network.end_points)

    def packets(row: ScheduleRow) -> Floats:
        if network.routing != "none":
            return _along_routes(network, row, every)
        return _on_all(row) if load is None else _to_neighbours(row, load)

    return mean_traffic(len(network.nodes), ((row.peer, packets(row)) for row in rows))


def _of_all_pairs(ends: list[int]) -> Load:
    """Of many end points some receive what all do."""
    goals = ends[:: -(-len(ends) // MOST_DESTINATIONS)] if ends else []
    each = PAIR_PACKETS_PER_S * len(ends) / max(1, len(goals))
    return {goal: {start: each for start in ends if start != goal} for goal in goals}


def mean_traffic(nodes: int, instants: Iterable[tuple[Ints, Floats]]) -> Traffic:
    """The mean of several instants, of each the receiver (-1: none) and the packets a second of every link end."""
    keys, packets_per_s = np.empty(0, np.int64), np.empty(0)  # (end · nodes + tail) · nodes + head
    count = 0
    for peer, packets in instants:
        count += 1
        end = np.flatnonzero((packets > 0) & (peer >= 0))
        here = (end * nodes + peer[end ^ 1]) * nodes + peer[end]
        keys, place = np.unique(np.concatenate([keys, here]), return_inverse=True)
        packets_per_s = sums(place, np.concatenate([packets_per_s, packets[end]]), len(keys))
    rest, head = np.divmod(keys, nodes)
    end, tail = np.divmod(rest, nodes)
    return Traffic(end.astype(np.int32), tail.astype(np.int32), head.astype(np.int32), packets_per_s / max(1, count))


def _on_all(row: ScheduleRow) -> Floats:
    return np.where(row.up & (row.peer >= 0), PAIR_PACKETS_PER_S, 0.0)


def _to_neighbours(row: ScheduleRow, load: Load) -> Floats:
    packets = np.zeros(len(row.peer))
    for end in np.flatnonzero(row.up & (row.peer >= 0)).tolist():
        packets[end] = load.get(int(row.peer[end]), {}).get(int(row.peer[end ^ 1]), 0.0)
    return packets


def _along_routes(network: Network, row: ScheduleRow, load: Load) -> Floats:
    """Packets a second of each link end."""
    index = {node: place for place, node in enumerate(network.live)}
    packets = np.zeros(len(row.peer))
    for goal, senders in load.items():
        next_end = row.next_end[index[goal]]
        at, sent = np.array(list(senders), np.int64), np.array(list(senders.values()), np.float64)
        walking = np.arange(len(at))
        passed, passing = [np.empty(0, np.int64)], [np.empty(0)]
        for _ in range(len(network.nodes)):  # the most hops without a circle
            if not len(walking):
                break
            used = next_end[at[walking]].astype(np.int64)
            ahead = np.where(used >= 0, row.peer[used], -1)
            walking, used, ahead = walking[ahead >= 0], used[ahead >= 0], ahead[ahead >= 0]
            passed.append(used)
            passing.append(sent[walking])
            at[walking] = ahead
            walking = walking[ahead != goal]
        packets += sums(np.concatenate(passed), np.concatenate(passing), len(packets))
    return packets
