"""The timeline of a satellite network: geometry, access selection and routes of each step, as rows.

Invariant: a row depends on its step number alone. The geometry does anyway; access selection, which has a memory, is
replayed from the nearest checkpoint (from step 0 in a fresh process) where a window does not continue the last one.
Nodes: satellites 0…N-1, then stations. Links: ISLs 0…L-1, then one access link per station.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isclose

import numpy as np

from emulator.network import Bools, Floats, Handover, Ints, Rates, Row
from emulator.orbit.access import Held, Policy, Sight, choose
from emulator.orbit.frames import SPEED_OF_LIGHT_M_S
from emulator.orbit.grid import Grid
from emulator.orbit.propagate import Propagator
from emulator.orbit.visibility import Stations, can_follow, distance, line_of_sight, look, near

CHUNK = 8  # steps propagated together: 8 × 7,000 satellites are 1.3 MB, which stays in the cache
FASTEST_RAD_S = 1.4e-3  # no satellite moves faster than this, seen from the centre of the turning Earth
CHECKPOINT = 64  # steps between remembered access selections
KEPT = 4  # selections at the ends of the latest windows, remembered beside the checkpoints
PASS_STEP_S = 10.0  # grid on which remaining passes are looked for, refined by interpolation
PASS_HORIZON_S = 1800.0  # passes longer than this all count the same
MANY_LIVE = 200  # destinations above which routes are recomputed every 15 s instead of every step
MANY_LIVE_STEP_S = 15.0


@dataclass(frozen=True, slots=True)
class Instant:
    """A step before routing: positions at both ends, and the selection that holds."""

    step: int
    start: Floats  # (N, 3)
    end: Floats
    held: Held
    handovers: tuple[Handover, ...]


@dataclass(frozen=True, slots=True)
class _Routes:
    next_end: Ints
    usable: Bools  # per end
    peer: Ints


class LeoTimeline:
    """Rows of a constellation with ground stations."""

    def __init__(
        self,
        propagator: Propagator,
        grid: Grid,
        stations: Stations,
        satellites: int,
        policy: Policy,
        min_dwell_s: float,
        rate_bps: Floats,
        loss: Floats,
        live: Ints,
        step_s: float,
        routing: str = "least-delay",
        routing_step_s: float | None = None,
        preferred: Bools | None = None,
    ) -> None:
        """`rate_bps`, `loss`: per link end. `live`: nodes with routes towards them. `preferred`: satellites
        (N) that stations use wherever they see one; None: all alike."""
        self.step_s = step_s
        self.propagator = propagator
        self.grid = grid
        self.stations = stations
        self.satellites = satellites
        self.routing = routing
        self.preferred = preferred
        self.live = np.asarray(live, dtype=np.int32)
        self._policy = policy
        self._min_dwell_s = min_dwell_s
        self.rates = Rates(rate_bps, loss)
        if routing_step_s is None:
            routing_step_s = step_s if len(live) <= MANY_LIVE else max(step_s, MANY_LIVE_STEP_S)
        self._routing_steps = max(1, round(routing_step_s / step_s))
        if routing_step_s > step_s and not isclose(self._routing_steps * step_s, routing_step_s):
            self._routing_steps = int(routing_step_s // step_s)
        isls, count = len(grid), len(stations)
        self.station_nodes = np.arange(satellites, satellites + count, dtype=np.int32)
        self.up_ends = np.arange(2 * isls, 2 * (isls + count), 2, dtype=np.int32)
        self._isl_peer = np.stack([grid.b, grid.a], axis=1).reshape(-1)
        self._closed = np.zeros(satellites + count, dtype=bool)
        self._closed[satellites:] = True
        self._index = np.full(satellites + count, -1, dtype=np.int64)  # destination index of a node
        self._index[self.live] = np.arange(len(self.live))
        self._checkpoints: dict[int, Held] = {}

    @property
    def nodes(self) -> int:
        return self.satellites + len(self.stations)

    # -- selection ---------------------------------------------------------------------------------------------------

    def instants(self, first: int, count: int) -> Iterator[Instant]:
        """Geometry and access selection of `count` steps, without routes."""
        begin = max((step for step in self._checkpoints if step < first), default=-1)
        held = self._checkpoints.get(begin, Held.nothing(len(self.stations)))
        for step, start, end, nearby in self._geometry(begin + 1, first + count):
            before, held = held, self._select(step * self.step_s, start, nearby, held)
            if step % CHECKPOINT == 0 or step == first + count - 1:
                self._remember(step, held)
            if step >= first:
                yield Instant(step, start, end, held, self._handovers(step, before, held))

    def handovers(self, first: int, count: int) -> Iterator[Handover]:
        """Handovers of a window, without the cost of its routes."""
        for instant in self.instants(first, count):
            yield from instant.handovers

    def _remember(self, step: int, held: Held) -> None:
        self._checkpoints[step] = held
        for old in [old for old in self._checkpoints if old % CHECKPOINT][:-KEPT]:
            del self._checkpoints[old]

    def _geometry(self, first: int, stop: int) -> Iterator[tuple[int, Floats, Floats, Ints]]:
        """(step, positions at its start and at its end, satellites near each station).

        The end of a step is the start of the next, computed once.
        """
        margin_rad = FASTEST_RAD_S * CHUNK * self.step_s
        start: Floats | None = None
        for chunk in range(first, stop, CHUNK):
            steps = np.arange(chunk, min(chunk + CHUNK, stop))
            wanted = np.append(steps, steps[-1] + 1)[start is not None :]
            positions = self.propagator.ecef(wanted * self.step_s)
            if start is None:
                start, positions = positions[0], positions[1:]
            nearby = near(self.stations, start, margin_rad)
            for step, end in zip(steps, positions, strict=True):
                yield int(step), start, end, nearby
                start = end

    def sight(self, t_s: float, positions: Floats, nearby: Ints | None = None) -> Sight:
        """What the stations see at an instant. Whoever sees a preferred satellite does not see the others."""
        nearby = near(self.stations, positions) if nearby is None else nearby
        range_m, sin_elevation = look(self.stations, positions, nearby)
        with np.errstate(invalid="ignore"):
            visible = sin_elevation >= np.sin(self.stations.min_elevation_rad)
        if self.preferred is not None:
            better = visible & self.preferred[nearby]
            visible = np.where(better.any(axis=1, keepdims=True), better, visible)
        return Sight(
            t_s, nearby, range_m, sin_elevation, visible, lambda station, few: self._remaining(t_s, station, few)
        )

    def _select(self, t_s: float, positions: Floats, nearby: Ints, held: Held) -> Held:
        return choose(self._policy, self.sight(t_s, positions, nearby), held, self._min_dwell_s)

    def _remaining(self, t_s: float, station: int, few: Ints) -> Floats:
        """How long each satellite stays above the station's mask from `t_s` on, at most PASS_HORIZON_S."""
        times = np.arange(0.0, PASS_HORIZON_S + PASS_STEP_S, PASS_STEP_S)
        positions = self.propagator.some(few.tolist()).ecef(t_s + times)
        along = positions - self.stations.position[station]
        height = along @ self.stations.up[station] / np.linalg.norm(along, axis=2)
        above = height - np.sin(self.stations.min_elevation_rad)  # (T, few)
        below = ~(above >= 0)
        below[0] = False
        after = np.where(below.any(axis=0), below.argmax(axis=0), len(times) - 1)
        column = np.arange(len(few))
        high, low = above[after - 1, column], above[after, column]
        share = np.where(below.any(axis=0), high / np.maximum(high - low, 1e-12), 1.0)
        left: Floats = times[after - 1] + PASS_STEP_S * np.nan_to_num(share)
        return left

    def _handovers(self, step: int, before: Held, held: Held) -> tuple[Handover, ...]:
        if step == 0:
            return ()
        changed = np.flatnonzero(before.satellite != held.satellite)
        return tuple(
            Handover(step * self.step_s, len(self.grid) + int(station), int(before.satellite[station]),
                     int(held.satellite[station]))
            for station in changed
        )  # fmt: skip

    # -- rows --------------------------------------------------------------------------------------------------------

    def rows(self, first: int, count: int) -> Iterator[Row]:
        """Rows of the steps first … first+count-1."""
        # Routes may be older than their step: of the last routing step, or of step 0 where they are static.
        begin = first - first % self._routing_steps if self.routing == "least-delay" else first
        routes: _Routes | None = None
        if self.routing == "static" and first > 0:
            routes = self._routes(self._links(next(self.instants(0, 1))), None)
        last: Row | None = None
        for instant in self.instants(begin, first + count - begin):
            links = self._links(instant)
            if self.routing == "least-delay":
                routes = self._routes(links, routes if instant.step % self._routing_steps else None)
            elif routes is None:
                routes = self._routes(links, None)
            if instant.step >= first:
                last = self._row(instant, links, routes, last)
                yield last

    def _links(self, instant: Instant) -> tuple[Floats, Floats, Bools, Ints]:
        """Delays at both ends of the step, up, and peer, per link end."""
        a, b = self.grid.a, self.grid.b
        serving = instant.held.satellite
        served = serving >= 0
        far = np.where(served, serving, 0)
        delays = []
        for positions in (instant.start, instant.end):
            isl = distance(positions[a], positions[b])
            access = distance(self.stations.position, positions[far])
            metres = np.concatenate([isl, np.where(served, access, 0.0)])
            delays.append(np.repeat(np.nan_to_num(metres) / SPEED_OF_LIGHT_M_S, 2))
        up = np.repeat(np.concatenate([self.isls_up(instant), served]), 2)
        access_peer = np.stack([serving, np.where(served, self.station_nodes, -1)], axis=1).reshape(-1)
        return delays[0], delays[1], up, np.concatenate([self._isl_peer, access_peer]).astype(np.int32)

    def isls_up(self, instant: Instant) -> Bools:
        """ISLs that hold through a step: in sight at both ends of it, and turning slowly enough."""
        a, b = self.grid.a, self.grid.b
        start, end = instant.start, instant.end
        seen = line_of_sight(start[a], start[b]) & line_of_sight(end[a], end[b])
        return seen & can_follow(start[b] - start[a], end[b] - end[a], self.step_s)

    def _tails(self, peer: Ints) -> Ints:
        """Node that sends on each end: who receives on the other end of the link."""
        return peer.reshape(-1, 2)[:, ::-1].reshape(-1)

    def _routes(self, links: tuple[Floats, Floats, Bools, Ints], old: _Routes | None) -> _Routes:
        """All routes anew, or `old` brought up to date where access links moved.

        No path goes through a station, so a handover changes the routes towards that station and those from it, and no
        others; a change of ISLs changes all.
        """
        delay_s, _, up, peer = links
        if self.routing == "none":
            return _Routes(np.full((len(self.live), self.nodes), -1, dtype=np.int32), up, peer)
        isl_ends = 2 * len(self.grid)
        if old is None or not np.array_equal(old.usable[:isl_ends], up[:isl_ends]):
            return _Routes(self._least_delay(delay_s, up, peer, self.live), up, peer)
        moved = np.flatnonzero(old.peer[self.up_ends] != peer[self.up_ends])
        if not len(moved):
            return _Routes(old.next_end, up, peer)
        next_end = old.next_end.copy()
        towards = self.station_nodes[moved]
        next_end[self._index[towards]] = self._least_delay(delay_s, up, peer, towards)
        for station in moved:
            node, end = self.station_nodes[station], self.up_ends[station]
            served_by = peer[end]
            if served_by < 0:
                next_end[:, node] = -1
                continue
            reaches = (next_end[:, served_by] >= 0) | (self.live == served_by)
            next_end[:, node] = np.where(reaches & (self.live != node), end, -1)
        return _Routes(next_end, up, peer)

    def _least_delay(self, delay_s: Floats, up: Bools, peer: Ints, destinations: Ints) -> Ints:
        from emulator.schedule.routes import least_delay

        end = np.flatnonzero(up).astype(np.int32)
        tail = self._tails(peer)[end]
        next_end, _ = least_delay(tail, peer[end], delay_s[end], end, self.nodes, destinations, self._closed)
        return next_end

    def _row(
        self, instant: Instant, links: tuple[Floats, Floats, Bools, Ints], routes: _Routes, last: Row | None
    ) -> Row:
        from emulator.schedule.routes import path_delay

        start, end, up, peer = links
        next_end = self._still_there(routes.next_end, peer) if self.routing == "static" else routes.next_end
        used = np.where(up, peer, -1)
        path_end_s = path_delay(next_end, used, end, self.live, self.live).T
        if last is not None and _goes_on(last, next_end, start, up, peer):
            path_start_s = last.path_end_s
        else:
            path_start_s = path_delay(next_end, used, start, self.live, self.live).T
        return Row(
            instant.step, start, end, self.rates.rate_bps, self.rates.loss, up, peer, next_end,
            path_start_s, path_end_s, instant.handovers,
        )  # fmt: skip

    def _still_there(self, next_end: Ints, peer: Ints) -> Ints:
        """Static routes without the entries that would send on an access link which another satellite serves by now."""
        down_ends = self.up_ends + 1
        stale = np.isin(next_end, down_ends) & (
            self._tails(peer)[np.maximum(next_end, 0)] != np.arange(self.nodes, dtype=np.int32)
        )
        return np.where(stale, np.int32(-1), next_end)


def _goes_on(last: Row, next_end: Ints, start: Floats, up: Bools, peer: Ints) -> bool:
    """Whether a step begins just as the last one ended, so that its paths do too."""
    return (
        np.array_equal(peer, last.peer)
        and np.array_equal(up, last.up)
        and np.array_equal(start, last.delay_end_s)
        and np.array_equal(next_end, last.next_end)
    )
