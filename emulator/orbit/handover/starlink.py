"""Starlink's selection, as measurements show it: once a slot, a scored draw among visible satellites, not the nearest.

The score prefers an elevation, and the side of the sky towards the pole, where satellites of an inclined shell crowd;
satellites close to the geostationary arc are left out, since terminals must not radiate there. Everything else that a
scheduler weighs (load, beams, other users) is a Gumbel draw keyed by terminal, slot and satellite, so that satellites
are taken with odds of exp(score). Source of the facts: serving satellites at Louvain, SatInView (docs/leo-access.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from emulator.model.network import Bools, Floats, Ints
from emulator.model.streams import gumbel, key
from emulator.orbit.handover.selection import Held, Sight
from emulator.orbit.visibility import Stations

GEOSTATIONARY_M = 42_164e3  # radius of the arc
ARC_POINTS = 180  # every 2° of longitude: at most 1° off the arc


@dataclass(frozen=True, slots=True)
class Weights:
    """What the draw prefers; defaults and their fit: topologies.leo.terminal_model.tables."""

    elevation_deg: float
    elevation_spread_deg: float
    pole: float
    arc_exclusion_deg: float


class SlotDraw:
    """The policy of a run: keeps what serves until the slot ends or the satellite sets.

    `slot_of(t_s)` numbers slots, `starts(t_s)` says whether a slot begins with the step at t_s.
    """

    def __init__(
        self,
        weights: Weights,
        stations: Stations,
        names: Sequence[str],
        seed: int,
        slot_of: Callable[[float], int],
        starts: Callable[[float], bool],
    ) -> None:
        self.weights = weights
        self._slot_of, self._starts = slot_of, starts
        self._keys = np.array([key(seed, "satellite", name) for name in names], dtype=np.uint64)
        self._poleward = poleward(stations)
        self._arc = _arc(stations)

    def __call__(self, sight: Sight, held: Held) -> Ints:
        keeps = sight.sees(held.satellite) & (not self._starts(sight.t_s))
        if keeps.all():
            return held.satellite
        return np.where(keeps, held.satellite, self.draw(sight)).astype(np.int32)

    def draw(self, sight: Sight) -> Ints:
        """A satellite for each station, whatever serves now; -1 where nothing is visible."""
        luck = gumbel(self._keys[:, None], self._slot_of(sight.t_s), sight.satellite)
        return sight.best(np.nan_to_num(self.biased(sight) + luck, nan=-np.inf))

    def biased(self, sight: Sight) -> Floats:
        """Scores (S, K) of a sky; satellites near the geostationary arc only where there is no other."""
        direction = sight.direction()
        with np.errstate(invalid="ignore"):
            score = self.score(sight.sin_elevation, direction)
            return np.where(self._near_arc(direction), score - 1e6, score)

    def score(self, sin_elevation: Floats, direction: Floats) -> Floats:
        """Logarithm of the odds of each satellite, from sines of elevation (S, K) and unit vectors (S, K, 3)."""
        weights = self.weights
        elevation_deg = np.degrees(np.arcsin(np.clip(sin_elevation, -1.0, 1.0)))
        off = (elevation_deg - weights.elevation_deg) / weights.elevation_spread_deg
        pole: Floats = np.einsum("skd,sd->sk", direction, self._poleward)
        score: Floats = weights.pole * pole - off**2 / 2
        return score

    def _near_arc(self, direction: Floats) -> Bools:
        closest = np.einsum("skd,sgd->skg", direction, self._arc).max(axis=2)
        near: Bools = closest > np.cos(np.radians(self.weights.arc_exclusion_deg))
        return near


def poleward(stations: Stations) -> Floats:
    """Horizontal unit vectors (S, 3) towards the nearer pole."""
    up = stations.up
    north = np.array([0.0, 0.0, 1.0]) - up[:, 2:] * up
    north /= np.maximum(np.linalg.norm(north, axis=1, keepdims=True), 1e-12)
    towards: Floats = north * np.where(up[:, 2:] < 0, -1.0, 1.0)
    return towards


def _arc(stations: Stations) -> Floats:
    """Unit vectors (S, ARC_POINTS, 3) to the geostationary arc; those below the horizon point nowhere (0)."""
    turn = np.arange(ARC_POINTS) * 2 * np.pi / ARC_POINTS
    points = GEOSTATIONARY_M * np.stack([np.cos(turn), np.sin(turn), np.zeros(ARC_POINTS)], axis=1)
    along = points - stations.position[:, None]
    along /= np.linalg.norm(along, axis=2, keepdims=True)
    above = np.einsum("sgd,sd->sg", along, stations.up) > 0
    arc: Floats = np.where(above[:, :, None], along, 0.0)
    return arc
