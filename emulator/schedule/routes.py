"""Least-delay routes of a whole network at one instant, as arrays.

Invariant: the routes towards one destination form a tree, so a packet that follows `next_end` under one table arrives
or meets a node without a route; it never circles. Every hop counts at least HOP_FLOOR_S, so that among links without
delay the path with the fewest hops is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from emulator.model.network import Bools, Floats, Ints, ScheduleRow

HOP_FLOOR_S = 1e-9
_AT_ONCE = 400  # destinations: bounds memory
_CACHED = 2**15  # elements of an array that the processor's cache keeps: halves the time of all pairs


def least_delay(
    tail: Ints,
    head: Ints,
    delay_s: Floats,
    end: Ints,
    nodes: int,
    destinations: Ints,
    no_transit: Bools | None = None,
) -> tuple[Ints, Floats]:
    """Least-delay routes from every node to each destination.

    `tail`, `head`, `delay_s`, `end` describe the usable directed edges: `end` is the link end on which `tail` sends
    to `head`. Edges that are down are left out by the caller; edges with infinite delay are left out here. Nodes
    marked in `no_transit` (N bools) may begin or end a path but not lie inside one.

    Returns `next_end` (D × N; -1 where unreachable, and at the destination itself) and `dist_s` (D × N; inf where
    unreachable, 0 at the destination). The answer depends on the arguments alone, ties included: of parallel edges
    with equal delay the lowest end is used. ValueError for negative or NaN delays.

    Dijkstra's algorithm from each destination over reversed edges, in scipy's compiled code.
    """
    next_end, dist_s = np.empty((len(destinations), nodes), np.int32), np.empty((len(destinations), nodes))
    for part, ends, seconds in _parts(tail, head, delay_s, end, nodes, destinations, no_transit):
        next_end[part], dist_s[part] = ends, seconds
    return next_end, dist_s


def least_delay_ends(
    tail: Ints,
    head: Ints,
    delay_s: Floats,
    end: Ints,
    nodes: int,
    destinations: Ints,
    no_transit: Bools | None = None,
) -> Ints:
    """`next_end` of `least_delay` alone: without the distances it takes a third of the memory."""
    next_end = np.empty((len(destinations), nodes), np.int32)
    for part, ends, _ in _parts(tail, head, delay_s, end, nodes, destinations, no_transit):
        next_end[part] = ends
    return next_end


def _parts(
    tail: Ints, head: Ints, delay_s: Floats, end: Ints, nodes: int, destinations: Ints, no_transit: Bools | None
) -> Iterator[tuple[slice, Ints, Floats]]:
    """`least_delay` for some destinations at a time, which the slice names."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    delay_s = np.asarray(delay_s, dtype=np.float64)
    if not np.all(delay_s >= 0):
        raise ValueError("a link delay is negative or NaN; routes need delays of 0 s or more")
    destinations = np.asarray(destinations, dtype=np.int64)
    column = _columns(nodes, no_transit)
    width = nodes if no_transit is None else nodes + int(np.count_nonzero(no_transit))
    edge = _best_edges(np.asarray(head, dtype=np.int64), column[tail], delay_s, np.asarray(end), width)
    reverse = csr_array(
        (
            np.maximum(delay_s[edge], HOP_FLOOR_S),
            column[tail[edge]].astype(np.int32),
            np.concatenate(([0], np.cumsum(np.bincount(head[edge], minlength=width)))).astype(np.int32),
        ),
        shape=(width, width),
    )
    used = np.asarray(head)[edge], column[tail[edge]], np.asarray(end)[edge], width
    for first in range(0, len(destinations), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        goals = destinations[part]
        dist_s, follower = dijkstra(reverse, directed=True, indices=goals, return_predecessors=True)
        if no_transit is not None:
            dist_s, follower = dist_s.take(column, axis=1), follower.take(column, axis=1)
        next_end = _ends_used(follower, column, *used)
        rows = np.arange(len(goals))
        dist_s[rows, goals] = 0.0
        next_end[rows, goals] = -1
        yield part, next_end, dist_s


def _columns(nodes: int, no_transit: Bools | None) -> NDArray[np.int64]:
    """The graph's vertex that sends for each node. A no-transit node is split: its own number only receives, and an
    extra vertex only sends, so that no path can go through it."""
    column = np.arange(nodes, dtype=np.int64)
    if no_transit is not None:
        closed = np.flatnonzero(no_transit)
        column[closed] = nodes + np.arange(len(closed))
    return column


def _best_edges(
    head: NDArray[np.int64], tail: NDArray[np.int64], delay_s: Floats, end: NDArray[np.integer], width: int
) -> NDArray[np.int64]:
    """Indices of the edges to keep, by head, then tail: the quickest of parallel edges, then the lowest end."""
    usable = np.flatnonzero(np.isfinite(delay_s) & (head != tail))
    key = head[usable] * width + tail[usable]
    order = np.argsort(key, kind="stable")
    if np.any(np.diff(key[order]) == 0):
        order = np.lexsort((end[usable], delay_s[usable], key))
    key = key[order]
    first = np.ones(len(key), dtype=bool)
    np.not_equal(key[1:], key[:-1], out=first[1:])
    return usable[order[first]]


def _ends_used(
    follower: Ints,
    column: NDArray[np.int64],
    head: NDArray[np.integer],
    tail: NDArray[np.int64],
    end: NDArray[np.integer],
    width: int,
) -> Ints:
    """Link ends behind `follower` (D × N, next vertex or negative), given the kept edges sorted by head, then tail."""
    next_end = np.full(follower.shape, -1, dtype=np.int32)
    if len(end):
        reached = follower >= 0
        wanted = (follower.astype(np.int64) * width + column)[reached]
        next_end[reached] = end[np.searchsorted(head.astype(np.int64) * width + tail, wanted)]
    return next_end


def neighbours(tail: Ints, head: Ints, nodes: int, destinations: Ints) -> Ints:
    """Routes over one link: `next_end` (D × N) is the lowest end by which a node sends straight to a destination.

    `tail` and `head` are the sender and the receiver of each link end; -1 if no link joins the two.
    """
    next_end = np.full((len(destinations), nodes), -1, dtype=np.int32)
    index = np.full(nodes, -1, dtype=np.int64)
    index[destinations] = np.arange(len(destinations))
    end = np.flatnonzero(index[head] >= 0)[::-1]  # backwards, so that the lowest is written last
    next_end[index[head[end]], tail[end]] = end
    return next_end


def route_delay_s(
    row: ScheduleRow,
    live: Ints | Sequence[int],
    share: float = 0.0,
    sources: Sequence[int] | None = None,
    destinations: Sequence[int] | None = None,
) -> NDArray[np.float64]:
    """Propagation delay along a row's routes, when `share` of its step (0 to 1) is over: S × D seconds from each source
    to each destination.

    Both are places in `live`, the network's live nodes; by default all of them. Within the step delays change linearly.
    inf if the route does not reach the destination (no route, a loop, or an end without a receiver); 0 if source and
    destination are the same node. `path` and `delay_along` give the same for one pair.
    """
    nodes = np.asarray(live, dtype=np.int32)
    everyone = slice(None)
    starts, goals = everyone if sources is None else sources, everyone if destinations is None else destinations
    delay_s = row.delay_start_s
    if share:
        delay_s = delay_s + (row.delay_end_s - delay_s) * share
    return path_delay(row.next_end[goals], row.peer, delay_s, nodes[goals], nodes[starts]).T


def delay_along(row: ScheduleRow, ends: list[int], share: float = 0.0) -> float:
    """Propagation delay along these link ends in seconds, when `share` of the row's step (0 to 1) is over."""
    if not ends:
        return 0.0
    start_s = float(sum(row.delay_start_s[ends].tolist()))
    return start_s + (float(sum(row.delay_end_s[ends].tolist())) - start_s) * share if share else start_s


def path_delay(
    next_end: Ints, head_of_end: Ints, delay_of_end: Floats, destinations: Ints, sources: Ints
) -> NDArray[np.float64]:
    """Delay from each source to each destination along given routes, with delays of any instant: D × S seconds.

    `head_of_end` and `delay_of_end` are indexed by end number (`ScheduleRow.peer`, `ScheduleRow.delay_end_s`). inf
    where the route does not reach the destination; 0 where source and destination are the same node.
    """
    goals, starts = np.asarray(destinations, dtype=np.int64), np.asarray(sources, dtype=np.int64)
    nodes = next_end.shape[1]
    if not next_end.size or not len(head_of_end):
        return np.where(goals[:, None] == starts, 0.0, np.inf)
    if 4 * len(starts) < nodes:
        return _walk(next_end, head_of_end, delay_of_end, goals, starts)
    few = 1 + _CACHED // nodes  # destinations at a time
    total = np.empty((len(goals), len(starts)))
    for first in range(0, len(goals), few):
        part = slice(first, first + few)
        total[part] = _double(next_end[part], head_of_end, delay_of_end, goals[part])[:, starts]
    return total


def _walk(
    next_end: Ints,
    head_of_end: Ints,
    delay_of_end: Floats,
    destinations: NDArray[np.int64],
    sources: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Follows all pairs hop by hop together: fast for few sources."""
    count, nodes = next_end.shape
    total = np.zeros(count * len(sources))
    flat = next_end.reshape(-1)
    at = np.tile(sources, count)
    offset = np.repeat(np.arange(count, dtype=np.int64) * nodes, len(sources))
    goal = np.repeat(destinations, len(sources))
    walking = np.flatnonzero(at != goal)
    for _ in range(nodes):
        if not len(walking):
            break
        used = flat[offset[walking] + at[walking]]
        lost = (used < 0) | (head_of_end[used] < 0)
        total[walking] += np.where(lost, np.inf, delay_of_end[used])
        at[walking] = np.where(lost, goal[walking], head_of_end[used])
        walking = walking[at[walking] != goal[walking]]
    total[walking] = np.inf  # not arrived after as many hops as there are nodes: the tables hold a loop
    return total.reshape(count, len(sources))


def _double(
    next_end: Ints, head_of_end: Ints, delay_of_end: Floats, destinations: NDArray[np.int64]
) -> NDArray[np.float64]:
    """From every node at once, doubling the hops looked ahead each round: 6 rounds for paths of up to 64 hops."""
    count, nodes = next_end.shape
    base = np.arange(count, dtype=np.int64)[:, None] * nodes
    lost = (next_end < 0) | (head_of_end[next_end] < 0)
    ahead = (np.where(lost, np.arange(nodes), head_of_end[next_end]) + base).reshape(-1)
    total = np.where(lost, np.inf, delay_of_end[next_end])
    rows = np.arange(count)
    total[rows, destinations] = 0.0
    flat = total.reshape(-1)
    goal = (base[:, 0] + destinations)[:, None]
    ahead[goal] = goal
    for _ in range(nodes.bit_length()):
        further = ahead[ahead]
        flat += flat[ahead]
        if np.array_equal(further, ahead):
            break
        ahead = further
    total[ahead.reshape(count, nodes) != goal] = np.inf  # circles
    return total


def path(next_end: Ints, head_of_end: Ints, place: int, destination: int, source: int) -> list[int]:
    """Link ends from the node `source` to the node `destination`, whose routes are row `place` of `next_end`.

    Empty where the route does not reach it, and where both are the same node.
    """
    ends: list[int] = []
    at = source
    while at != destination:
        end = int(next_end[place, at])
        if end < 0:
            return []
        ends.append(end)
        at = int(head_of_end[end])
        if at < 0 or len(ends) > next_end.shape[1]:
            return []
    return ends
