"""A constellation without geometry: a torus of transit nodes, some live nodes on it, and a ring of rows with routes.

Invariant: like the planner's rows, those of the torus have delays that change linearly within a step, and least-delay
routes for the delays at its begin; or routes that never arrive, for packets that only hop.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emulator.model.network import (
    Effects,
    EndSpec,
    Floats,
    Ints,
    LinkSpec,
    Network,
    NodeSpec,
    Rates,
    ScheduleRow,
    SubstepSpec,
)
from emulator.schedule.ring import RowRing
from emulator.schedule.routes import least_delay

ROWS = 16


class Torus:
    """`planes` of `each` nodes with four links a node, and `stations` live nodes with one link each.

    `circling`: packets for a live node go along a plane until they have seen each of its nodes, then on to the next
    plane, for ever."""

    step_s = 1.0
    rates: Rates | None = None
    substep: SubstepSpec | None = None

    def __init__(self, planes: int, each: int, stations: int, circling: bool = False) -> None:
        transit = planes * each
        self.nodes, self.live = transit + stations, np.arange(transit, transit + stations, dtype=np.int32)
        grid = np.arange(transit)
        plane, place = np.divmod(grid, each)
        along, across = plane * each + (place + 1) % each, (plane + 1) % planes * each + place
        served = np.random.default_rng(1).choice(transit, stations, replace=False)
        a = np.concatenate((grid, grid, self.live)).astype(np.int64)
        b = np.concatenate((along, across, served)).astype(np.int64)
        self.tail = np.stack((a, b), 1).reshape(-1).astype(np.int32)
        self.peer = np.stack((b, a), 1).reshape(-1).astype(np.int32)
        self._phase = np.concatenate((grid * 0.0, place / each, self.live * 0.0))
        self._mean_s = np.concatenate((grid * 0.0 + 6e-3, grid * 0.0 + 4.5e-3, self.live * 0.0 + 3e-3))
        self.circling = circling
        self._circles = _circles(planes, each, stations) if circling else None
        self.network = self._network(transit, a, b)
        self.ring = RowRing(len(self.tail), self.nodes, stations, ROWS)
        for row in self.rows(0, ROWS):
            self.ring.put(row)

    def _network(self, transit: int, a: NDArray[np.int64], b: NDArray[np.int64]) -> Network:
        nodes = [NodeSpec(f"t{n}", "satellite", False, forwards=True) for n in range(transit)]
        nodes += [NodeSpec(f"s{n}", "host", True, f"10.1.{n // 250}.{n % 250 + 1}") for n in range(len(self.live))]
        end = EndSpec(Effects(queue_s=0.05))
        pairs = zip(a.tolist(), b.tolist(), strict=True)
        links = [LinkSpec(f"l{n}", x, y, f"p{n}", f"q{n}", end, end) for n, (x, y) in enumerate(pairs)]
        return Network(tuple(nodes), tuple(links), self)

    @property
    def ends(self) -> int:
        return len(self.tail)

    def rows(self, first: int, count: int) -> Iterator[ScheduleRow]:
        for step in range(first, first + count):
            start_s, end_s = self._delays_s(step), self._delays_s(step + 1)
            if self._circles is not None:
                next_end = self._with_stations(self._circles)
            else:
                numbers = np.arange(self.ends, dtype=np.int32)
                next_end, _ = least_delay(self.tail, self.peer, start_s, numbers, self.nodes, self.live)
            rate = np.full(self.ends, 1e9)
            yield ScheduleRow(step, start_s, end_s, rate, rate * 0, rate > 0, self.peer, next_end)

    def _with_stations(self, circles: Ints) -> Ints:
        """Routes of transit nodes, and those of the live ones: all by their only link."""
        up = np.arange(self.ends - 2 * len(self.live), self.ends, 2, dtype=np.int32)
        return np.concatenate((circles, np.tile(up, (len(circles), 1))), axis=1).astype(np.int32)

    def _delays_s(self, step: int) -> Floats:
        moved = np.where(self._phase > 0, 1.5e-3 * np.sin(2 * np.pi * (self._phase + step / 5700)), 0.0)
        return np.repeat(self._mean_s + moved, 2)


def _circles(planes: int, each: int, stations: int) -> Ints:
    """Routes that circle: for each destination other places at which they change planes, in one of four directions."""
    transit = planes * each
    node = np.arange(transit)
    plane, place = np.divmod(node, each)
    # ends of links along the plane: 2 node leads onwards, 2 before + 1 backwards; behind them those across
    before, left = plane * each + (place - 1) % each, (plane - 1) % planes * each + place
    along, across = (2 * node, 2 * before + 1), (2 * (transit + node), 2 * (transit + left) + 1)
    routes = np.empty((stations, transit), np.int32)
    for dest in range(stations):
        forward, right = dest % 2 == 0, dest // 2 % 2 == 0
        passed = plane if right else -plane  # planes seen: in each the way ends one place before where it began
        leaves = (5 * dest - 1 - passed) % each if forward else (5 * dest + 1 + passed) % each
        routes[dest] = np.where(place == leaves, across[0 if right else 1], along[0 if forward else 1])
    return routes
