"""Frames: geodetic ↔ Earth-fixed (ECEF), TEME → Earth-fixed by sidereal time. Metres and radians, arrays only.

Invariant: the Earth turns by Greenwich mean sidereal time (IAU 1982), never once per 86,400 s. UT1 is taken as UTC
(at most 0.9 s apart: 400 m on the ground, the same for every satellite) and polar motion is left out (15 m).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from emulator.model.network import Floats

SPEED_OF_LIGHT_M_S = 299_792_458.0
J2000_JD = 2_451_545.0


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """A figure of the Earth: equatorial radius and flattening."""

    radius_m: float
    flattening: float

    @property
    def eccentricity2(self) -> float:
        return self.flattening * (2 - self.flattening)


WGS84 = Ellipsoid(6_378_137.0, 1 / 298.257223563)
WGS72 = Ellipsoid(6_378_135.0, 1 / 298.26)  # the figure that SGP4's constants belong to


def gmst_rad(jd: ArrayLike, fraction: ArrayLike) -> Floats:
    """Greenwich mean sidereal time, radians in [0, 2π). Source: IAU 1982, Vallado 4th ed. eq. 3-47.

    The Julian date comes in two parts, so that a day fraction keeps its precision (10 µs would be 5 mm).
    """
    days = np.asarray(jd, dtype=np.float64) - J2000_JD + np.asarray(fraction, dtype=np.float64)
    century = days / 36525.0
    seconds = 67310.54841 + century * (876600 * 3600 + 8640184.812866 + century * (0.093104 - 6.2e-6 * century))
    angle: Floats = np.remainder(seconds * (2 * np.pi / 86400.0), 2 * np.pi)
    return angle


def teme_to_ecef(position: Floats, gmst: Floats) -> Floats:
    """Turn positions (T, N, 3) by the sidereal angles (T)."""
    cos, sin = np.cos(gmst)[:, None], np.sin(gmst)[:, None]
    turned = np.empty_like(position)
    turned[..., 0] = cos * position[..., 0] + sin * position[..., 1]
    turned[..., 1] = cos * position[..., 1] - sin * position[..., 0]
    turned[..., 2] = position[..., 2]
    return turned


def geodetic_to_ecef(
    latitude_rad: ArrayLike, longitude_rad: ArrayLike, height_m: ArrayLike, figure: Ellipsoid = WGS84
) -> Floats:
    """Earth-fixed positions (..., 3) of points given by geodetic latitude, longitude and height above the ellipsoid."""
    latitude, longitude, height = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (latitude_rad, longitude_rad, height_m))
    )
    normal = figure.radius_m / np.sqrt(1 - figure.eccentricity2 * np.sin(latitude) ** 2)
    across = (normal + height) * np.cos(latitude)
    z = (normal * (1 - figure.eccentricity2) + height) * np.sin(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), z], axis=-1)


def up_vector(latitude_rad: ArrayLike, longitude_rad: ArrayLike) -> Floats:
    """Unit vectors (..., 3) along the plumb line of the ellipsoid: what elevation is measured against."""
    latitude, longitude = np.asarray(latitude_rad, dtype=np.float64), np.asarray(longitude_rad, dtype=np.float64)
    across = np.cos(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=-1)


def ecef_to_geodetic(position: Floats, figure: Ellipsoid = WGS84) -> tuple[Floats, Floats, Floats]:
    """Latitude, longitude (radians) and height (m) of Earth-fixed positions (..., 3), by Bowring's method.

    Two rounds: better than 1 µm below 10,000 km of height.
    """
    x, y, z = position[..., 0], position[..., 1], position[..., 2]
    across = np.hypot(x, y)
    a, e2 = figure.radius_m, figure.eccentricity2
    b = a * (1 - figure.flattening)
    second2 = e2 / (1 - e2)
    reduced = np.arctan2(z * a, across * b)
    latitude = reduced
    for _ in range(2):
        latitude = np.arctan2(z + second2 * b * np.sin(reduced) ** 3, across - e2 * a * np.cos(reduced) ** 3)
        reduced = np.arctan2((1 - figure.flattening) * np.sin(latitude), np.cos(latitude))
    normal = a / np.sqrt(1 - e2 * np.sin(latitude) ** 2)
    # The first form fails at the poles, the second at the equator; this one holds everywhere.
    height = across * np.cos(latitude) + z * np.sin(latitude) - a * a / normal
    return latitude, np.arctan2(y, x), height
