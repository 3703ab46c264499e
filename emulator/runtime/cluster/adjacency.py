"""Which nodes a network's links join during a run, and the shortest delay between them.

Invariant: a pair of nodes between which a packet may travel by some link at some time of the rows is in the table, and
no packet travels it in less than `shortest_s`. Jitter only adds to a delay, so it plays no part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from emulator.link.partition import shortest_of_knots_s, shortest_of_row_s
from emulator.model.network import Floats, Ints, Network, ScheduleRow


class Adjacency(NamedTuple):
    """An entry for each fixed link, and one for each far node that a moving link has in the rows."""

    link: Ints
    a: Ints
    b: Ints
    shortest_s: Floats  # of both directions; inf where the link is never up


def adjacency(network: Network, rows: Iterable[ScheduleRow], set_s: Mapping[int, float] | None = None) -> Adjacency:
    """The pairs that `rows`, those of the whole run, join. `set_s`: delays that actions give to link ends."""
    count, nodes = len(network.links), len(network.nodes)
    moving = np.array([link.moving for link in network.links], dtype=np.bool_)
    by_knots = shortest_of_knots_s(network)
    given = np.isfinite(by_knots)
    fixed_s = np.where(np.repeat(moving, 2), np.inf, by_knots)
    mobile = np.flatnonzero(moving)
    keys, delays_s = [np.empty(0, np.int64)], [np.empty(0)]  # of moving links: link · nodes + far node
    for row in rows:
        delay_s = np.where(given, by_knots, shortest_of_row_s(network, row))
        delay_s[~(row.up & (row.peer >= 0))] = np.inf
        np.minimum(fixed_s, np.where(given, np.inf, delay_s), out=fixed_s)
        far = row.peer[2 * mobile]
        met = mobile[far >= 0]
        keys.append(met.astype(np.int64) * nodes + far[far >= 0])
        delays_s.append(np.minimum(delay_s[2 * met], delay_s[2 * met + 1]))
    key, place = np.unique(np.concatenate(keys), return_inverse=True)
    moving_s = np.full(len(key), np.inf)
    np.minimum.at(moving_s, place, np.concatenate(delays_s))
    fixed = np.flatnonzero(~moving)
    ends = np.array([(link.a, link.b) for link in network.links], dtype=np.int32).reshape(-1, 2)
    link = np.concatenate([fixed, key // nodes]).astype(np.int32)
    shortest_s = np.concatenate([np.minimum(fixed_s[2 * fixed], fixed_s[2 * fixed + 1]), moving_s])
    if set_s:
        set_of_link = np.full(count, np.inf)
        for end, delay_s_set in set_s.items():
            set_of_link[end // 2] = min(set_of_link[end // 2], delay_s_set)
        shortest_s = np.minimum(shortest_s, set_of_link[link])
    return Adjacency(link, ends[link, 0], np.concatenate([ends[fixed, 1], key % nodes]).astype(np.int32), shortest_s)
