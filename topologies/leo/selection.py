"""Geometry and access selection of a satellite network, step by step: who serves whom, through which gateway.

Invariant: what holds in a step depends on the step's number alone. The geometry does anyway; selection, which has a
memory, is replayed from the nearest checkpoint (from step 0 in a fresh process) where a window does not follow on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

import numpy as np

from emulator.model.network import Bools, Floats, Handover, Ints
from emulator.orbit.handover import Held, Policy, Sight, all_in_view, choose
from emulator.orbit.propagate import Propagator
from emulator.orbit.visibility import Stations, look, near
from topologies.leo.gateways import FeederAssignment, FeederLinks

CHUNK = 8  # steps propagated together: 8 × 7,000 satellites are 1.3 MB, which stays in the cache
FASTEST_RAD_S = 1.4e-3  # no satellite moves faster than this, seen from the centre of the turning Earth
CHECKPOINT = 64  # steps between remembered access selections
KEPT = 4  # selections at the ends of the latest windows, remembered beside the checkpoints
PASS_STEP_S = 10.0  # grid on which remaining passes are looked for, refined by interpolation
PASS_HORIZON_S = 1800.0  # passes longer than this all count the same


@dataclass(frozen=True, slots=True)
class Instant:
    """A step before routing: positions at both ends, and the selection that holds."""

    step: int
    start: Floats  # (N, 3)
    end: Floats
    held: Held
    handovers: tuple[Handover, ...]
    assignment: FeederAssignment | None = None  # None: no gateways


@dataclass(frozen=True, slots=True)
class _State:
    held: Held
    assignment: FeederAssignment | None


class Selection:
    """Selection for the antennas of `stations`, whose moving links are numbered from `first_link` on, station after
    station. `policy` None: antennas follow all satellites in view."""

    def __init__(
        self,
        propagator: Propagator,
        stations: Stations,
        policy: Policy | None,
        min_dwell_s: float,
        step_s: float,
        first_link: int,
        preferred: Bools | None = None,
        feeder_links: FeederLinks | None = None,
        antennas: int = 1,
    ) -> None:
        """`preferred`: satellites (N) that stations use wherever they see one; None: all alike."""
        self.propagator, self.stations, self.step_s = propagator, stations, step_s
        self.preferred, self.feeder_links, self.antennas = preferred, feeder_links, antennas
        self._policy, self._min_dwell_s, self._first_link = policy, min_dwell_s, first_link
        self._checkpoints: dict[int, _State] = {}

    def instants(self, first: int, count: int) -> Iterator[Instant]:
        """Geometry and access selection of `count` steps, without routes."""
        begin = max((step for step in self._checkpoints if step < first), default=-1)
        state = self._checkpoints.get(begin) or self._unassigned()
        for step, start, end, nearby in self._geometry(begin + 1, first + count):
            before, state = state, self._next(step * self.step_s, start, nearby, state)
            if step % CHECKPOINT == 0 or step == first + count - 1:
                self._remember(step, state)
            if step >= first:
                yield Instant(step, start, end, state.held, self._handovers(step, before, state), state.assignment)

    def _unassigned(self) -> _State:
        """Before the first step: no antenna has a satellite."""
        nothing = Held.nothing(len(self.stations) * self.antennas)
        return _State(nothing, self.feeder_links.unassigned() if self.feeder_links else None)

    def _next(self, t_s: float, positions: Floats, nearby: Ints, state: _State) -> _State:
        sight = self.sight(t_s, positions, nearby)
        if self._policy is None:
            held = all_in_view(sight, state.held, self.antennas)
        else:
            held = choose(self._policy, sight, state.held, self._min_dwell_s, self.antennas)
        if self.feeder_links is None:
            return _State(held, None)
        assert state.assignment is not None
        return _State(held, self.feeder_links.next(t_s, positions, held.satellite, state.assignment))

    def _remember(self, step: int, state: _State) -> None:
        self._checkpoints[step] = state
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
            expected = np.append(steps, steps[-1] + 1)[start is not None :]
            positions = self.propagator.ecef(expected * self.step_s)
            if start is None:
                start, positions = positions[0], positions[1:]
            nearby = near(self.stations, start, margin_rad)
            for step, end in zip(steps, positions, strict=True):
                yield int(step), start, end, nearby
                start = end

    def sight(self, t_s: float, positions: Floats, nearby: Ints | None = None) -> Sight:
        """What the stations see at an instant. Whoever sees a preferred satellite, or one that sees a gateway, does
        not see the others."""
        stations = self.stations
        nearby = near(stations, positions) if nearby is None else nearby
        range_m, sin_elevation = look(stations, positions, nearby)
        visible = stations.sees(range_m, sin_elevation)
        with_gateway = self.feeder_links.satellites_in_view(positions, nearby) if self.feeder_links else None
        for favoured in (self.preferred, with_gateway):
            if favoured is not None:
                better = visible & favoured[nearby]
                visible = np.where(better.any(axis=1, keepdims=True), better, visible)
        return Sight(
            t_s, nearby, range_m, sin_elevation, visible, lambda station, few: self._remaining(t_s, station, few),
            lambda: (positions[nearby] - stations.position[:, None]) / range_m[:, :, None],
        )  # fmt: skip

    def _remaining(self, t_s: float, station: int, few: Ints) -> Floats:
        """How long the station sees each satellite from `t_s` on, at most PASS_HORIZON_S."""
        times = np.arange(0.0, PASS_HORIZON_S + PASS_STEP_S, PASS_STEP_S)
        positions = self.propagator.some(few.tolist()).ecef(t_s + times)
        along = positions - self.stations.position[station]
        range_m = np.linalg.norm(along, axis=2)
        above = along @ self.stations.up[station] / range_m - np.sin(self.stations.min_elevation_rad)  # (T, few)
        if self.stations.max_range_m < inf:
            above = np.minimum(above, 1.0 - range_m / self.stations.max_range_m)
        below = ~(above >= 0)
        below[0] = False
        after = np.where(below.any(axis=0), below.argmax(axis=0), len(times) - 1)
        column = np.arange(len(few))
        high, low = above[after - 1, column], above[after, column]
        share = np.where(below.any(axis=0), high / np.maximum(high - low, 1e-12), 1.0)
        left: Floats = times[after - 1] + PASS_STEP_S * np.nan_to_num(share)
        return left

    def _handovers(self, step: int, before: _State, now: _State) -> tuple[Handover, ...]:
        """Antennas of stations that changed their satellite. Those of gateways that turn to another one are none."""
        if step == 0:
            return ()
        old, new = before.held.satellite, now.held.satellite
        return tuple(
            Handover(step * self.step_s, self._first_link + int(antenna), int(old[antenna]), int(new[antenna]))
            for antenna in np.flatnonzero(old != new)
        )
