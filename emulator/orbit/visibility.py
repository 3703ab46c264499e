"""Who sees whom: elevation and range of stations × satellites, line of sight between satellites.

Invariant: elevation is measured against the ellipsoid's normal at the station (what an antenna's mask is), range is the
straight line, and nothing is seen through the Earth, because an elevation mask is never below the horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from emulator.model.network import Bools, Floats, Ints
from emulator.orbit.frames import WGS84, Ellipsoid, geodetic_to_ecef, up_vector

_PLUMB_RAD = 0.005  # the ellipsoid's normal is up to 0.0034 rad off the direction from the Earth's centre
FASTEST_TURN_RAD_S = 0.1  # 5.7° a second: a terminal does not follow a partner that swings past faster than this
GRAZING_M = 80e3  # an optical link keeps clear of the atmosphere below this height (Bhattacherjee & Singla 2019)


@dataclass(frozen=True, slots=True)
class Stations:
    """Ground stations as arrays: Earth-fixed position (S, 3) in metres, normal (S, 3); least elevation in radians and
    greatest range in metres at which they use a satellite."""

    position: Floats
    up: Floats
    min_elevation_rad: float
    max_range_m: float = inf

    @staticmethod
    def at(
        latitude_deg: Sequence[float], longitude_deg: Sequence[float], altitude_m: Sequence[float],
        min_elevation_deg: float, figure: Ellipsoid = WGS84, max_range_m: float = inf,
    ) -> Stations:  # fmt: skip
        latitude, longitude = np.radians(latitude_deg), np.radians(longitude_deg)
        position = geodetic_to_ecef(latitude, longitude, altitude_m, figure)
        return Stations(position, up_vector(latitude, longitude), float(np.radians(min_elevation_deg)), max_range_m)

    def __len__(self) -> int:
        return len(self.position)

    def some(self, chosen: Ints) -> Stations:
        return Stations(self.position[chosen], self.up[chosen], self.min_elevation_rad, self.max_range_m)

    def sees(self, range_m: Floats, sin_elevation: Floats) -> Bools:
        """Whether satellites at these ranges and elevations are high and near enough; NaN is not."""
        with np.errstate(invalid="ignore"):
            seen: Bools = (sin_elevation >= np.sin(self.min_elevation_rad)) & (range_m <= self.max_range_m)
        return seen


def near(stations: Stations, satellites: Floats, margin_rad: float = 0.0) -> Ints:
    """Satellites (N, 3) that may stand above the mask: (S, K) numbers in ascending order, padded with -1.

    A superset: `margin_rad` widens the circle around each station (by what satellites move in the meantime), and the
    plumb line's 0.2° off the Earth's centre are allowed for.
    """
    with np.errstate(invalid="ignore"):
        radius = np.sqrt(np.einsum("ij,ij->i", satellites, satellites))
        ground = np.sqrt(np.einsum("ij,ij->i", stations.position, stations.position))
        mask = stations.min_elevation_rad
        reach = np.arccos(np.minimum(ground.min() / radius * np.cos(mask), 1.0)) - mask + margin_rad + _PLUMB_RAD
        least = np.cos(np.minimum(reach, np.pi)) * radius
        direction = stations.position / ground[:, None]
        inside = np.einsum("sj,nj->sn", direction, satellites) >= least
    station, satellite = np.nonzero(inside)
    count = np.bincount(station, minlength=len(stations))
    place = np.arange(len(station)) - np.repeat(np.cumsum(count) - count, count)
    table = np.full((len(stations), max(1, int(count.max(initial=0)))), -1, dtype=np.int32)
    table[station, place] = satellite
    return table


def look(stations: Stations, satellites: Floats, chosen: Ints) -> tuple[Floats, Floats]:
    """Range (m) and sine of the elevation, each (S, K), of the satellites that `chosen` (S, K) numbers; NaN for -1."""
    along = satellites[chosen] - stations.position[:, None]
    metres = np.sqrt(np.einsum("ski,ski->sk", along, along))
    metres[chosen < 0] = np.nan
    return metres, np.einsum("ski,si->sk", along, stations.up) / metres


def line_of_sight(a: Floats, b: Floats, grazing_m: float = GRAZING_M) -> Bools:
    """Whether the straight lines from a to b (..., 3) stay `grazing_m` above a sphere of the equatorial radius."""
    along = b - a
    length2 = np.einsum("...i,...i->...", along, along)
    with np.errstate(invalid="ignore", divide="ignore"):
        nearest = np.clip(-np.einsum("...i,...i->...", a, along) / length2, 0.0, 1.0)
        point = a + nearest[..., None] * along
        clear: Bools = np.einsum("...i,...i->...", point, point) >= (WGS84.radius_m + grazing_m) ** 2
    return clear


def can_follow(start: Floats, end: Floats, step_s: float) -> Bools:
    """Whether the direction to the partner turns slowly enough, from its relative positions (..., 3) before and after.

    Fails where two planes cross and the satellites nearly meet. It also bounds the curvature of the delay: at speeds of
    5 km/s between partners it stays within 0.2 µs of a straight line over 1 s.
    """
    closest = np.minimum(np.einsum("...i,...i->...", start, start), np.einsum("...i,...i->...", end, end))
    moved = end - start
    slow: Bools = np.einsum("...i,...i->...", moved, moved) <= (FASTEST_TURN_RAD_S * step_s) ** 2 * closest
    return slow


def distance(a: Floats, b: Floats) -> Floats:
    """Straight-line distance of points (..., 3)."""
    along = b - a
    metres: Floats = np.sqrt(np.einsum("...i,...i->...", along, along))
    return metres
