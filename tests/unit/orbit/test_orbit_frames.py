"""Frames against published values and against an independent implementation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from sgp4.propagation import gstime

from emulator.orbit.elements import Epoch
from emulator.orbit.frames import WGS72, WGS84, ecef_to_geodetic, geodetic_to_ecef, gmst_rad, teme_to_ecef, up_vector


def test_sidereal_time_of_vallado_example_3_5() -> None:
    epoch = Epoch.of(datetime(1992, 8, 20, 12, 14))
    assert np.degrees(gmst_rad(epoch.jd, epoch.fraction)) == pytest.approx(152.578787810, abs=1e-7)


def test_sidereal_time_agrees_with_sgp4_s_own() -> None:
    for days in (0.0, 0.3, 9131.77, -4000.1):
        ours = float(gmst_rad(2451544.5, days))
        apart = (ours - gstime(2451544.5 + days) + np.pi) % (2 * np.pi) - np.pi
        assert abs(apart) < 1e-8


def test_the_earth_turns_once_per_sidereal_day_not_per_86400_s() -> None:
    start, day = gmst_rad(2460000.5, np.array([0.0, 1.0]))
    assert np.degrees(day - start) % 360 == pytest.approx(0.98564737, abs=1e-6)


def test_a_point_fixed_in_space_moves_west() -> None:
    point = np.array([[[7e6, 0.0, 1e6]]])
    turned = teme_to_ecef(point, np.array([np.pi / 2]))
    assert turned[0, 0] == pytest.approx([0.0, -7e6, 1e6], abs=1e-6)


@pytest.mark.parametrize("figure", [WGS84, WGS72])
def test_known_points_of_the_ellipsoid(figure) -> None:
    equator = geodetic_to_ecef(0.0, 0.0, 100.0, figure)
    pole = geodetic_to_ecef(np.pi / 2, 1.0, 0.0, figure)
    assert equator == pytest.approx([figure.radius_m + 100, 0, 0])
    assert pole == pytest.approx([0, 0, figure.radius_m * (1 - figure.flattening)], abs=1e-6)
    latitude, longitude, height = ecef_to_geodetic(np.array([equator, pole]), figure)
    assert latitude == pytest.approx([0, np.pi / 2])
    assert height == pytest.approx([100, 0], abs=1e-6)
    assert longitude[0] == 0


def test_up_is_normal_to_the_ellipsoid() -> None:
    latitude, longitude = 0.7, -2.0
    lower, higher = geodetic_to_ecef(latitude, longitude, np.array([0.0, 1000.0]))
    assert (higher - lower) / 1000 == pytest.approx(up_vector(latitude, longitude))


def test_epochs_keep_date_time_and_zone() -> None:
    instant = datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=UTC)
    epoch = Epoch.of(instant)
    assert epoch.datetime() == instant
    assert Epoch.of(instant.astimezone(timezone(timedelta(hours=9)))) == epoch
    assert epoch.text() == "2026-03-04T05:06:07Z"
    assert Epoch.of(datetime(2000, 1, 1, 12)) == Epoch(2451544.5, 0.5)
    assert Epoch.of_julian(2451545.0, 0.75) == Epoch(2451545.5, 0.25)
    assert Epoch.of_julian(2451544.5, 1.25) == Epoch(2451545.5, 0.25)
    jd, fraction = epoch.after(np.array([0.0, 86400.0]))
    assert (jd == epoch.jd).all()
    assert np.diff(fraction) == pytest.approx(1.0)
