"""Which chains have clients of each other: a mesh, or a hub; and ways over it.

Invariant: chains are numbers from 0 on; each pair is there once, the lower number first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

__all__ = ["hub", "mesh", "way"]

Pair = tuple[int, int]


def mesh(chains: int, neighbours: int) -> list[Pair]:
    """A ring; with four neighbours also chords, a third of the ring long."""
    steps = (1,) if neighbours < 4 else (1, max(2, chains // 3))
    pairs = {(place, (place + step) % chains) for step in steps for place in range(chains)}
    return sorted({(min(pair), max(pair)) for pair in pairs})


def hub(chains: int) -> list[Pair]:
    """The first chain and each other one."""
    return [(0, place) for place in range(1, chains)]


def way(pairs: Sequence[Pair], source: int, destination: int, avoided: Iterable[int] = ()) -> list[int] | None:
    """The transits of a shortest way, from the source on; None where only avoided transits lead there."""
    closed = {*avoided} - {source, destination}
    before: dict[int, int] = {source: source}
    queue = deque([source])
    while queue and destination not in before:
        place = queue.popleft()
        for following in sorted({*_beside(pairs, place)} - before.keys() - closed):
            before[following] = place
            queue.append(following)
    if destination not in before:
        return None
    transits: list[int] = []
    place = before[destination]
    while place != source:
        transits.insert(0, place)
        place = before[place]
    return transits


def _beside(pairs: Sequence[Pair], place: int) -> list[int]:
    return [b if a == place else a for a, b in pairs if place in (a, b)]
