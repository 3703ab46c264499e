"""Visibility: elevation, range, line of sight, and that the quick search misses nobody."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from emulator.orbit.elements import Epoch
from emulator.orbit.frames import geodetic_to_ecef
from emulator.orbit.propagate import Propagator
from emulator.orbit.visibility import Stations, can_follow, line_of_sight, look, near
from emulator.orbit.walker import SHELLS, constellation
from topologies.leo.stations import SITES

EPOCH = Epoch.of(datetime(2026, 1, 1))


def everywhere(mask_deg: float) -> Stations:
    latitude, longitude, height = zip(*SITES.values(), strict=True)
    return Stations.at(latitude, longitude, height, mask_deg)


def test_overhead_and_at_the_horizon() -> None:
    station = Stations.at([48.0], [10.0], [200.0], 25.0)
    overhead = geodetic_to_ecef(np.radians(48.0), np.radians(10.0), 550_200.0)
    antipode = -overhead
    distance, height = look(station, np.stack([overhead, antipode]), np.array([[0, 1, -1]], dtype=np.int32))
    assert distance[0, 0] == pytest.approx(550e3)
    assert height[0, :2] == pytest.approx([1.0, -1.0], abs=1e-5)
    assert np.isnan(distance[0, 2])
    assert near(station, np.stack([overhead, antipode])).tolist() == [[0]]


@pytest.mark.parametrize("mask_deg", [0.0, 10.0, 25.0, 60.0])
@pytest.mark.parametrize("name", ["starlink-1", "iridium"])
def test_the_search_finds_every_visible_satellite(name: str, mask_deg: float) -> None:
    stations = everywhere(mask_deg)
    positions = Propagator(constellation(SHELLS[name], EPOCH)).ecef(np.array([1234.5]))[0]
    everyone = np.tile(np.arange(len(positions), dtype=np.int32), (len(stations), 1))
    _, height = look(stations, positions, everyone)
    visible = height >= np.sin(np.radians(mask_deg))
    table = near(stations, positions)
    for station, row in enumerate(table):
        found = row[row >= 0]
        assert (np.diff(found) > 0).all()
        assert set(np.flatnonzero(visible[station])) <= set(found.tolist())
    assert (table >= 0).sum() < 3 * visible.sum() + 30 * len(stations)


def test_what_cannot_be_placed_is_not_seen() -> None:
    stations = everywhere(0.0)
    positions = np.full((3, 3), np.nan)
    assert (near(stations, positions) == -1).all()
    assert not line_of_sight(positions[:1], positions[1:2]).any()


def test_a_partner_that_swings_past_too_fast_is_not_followed() -> None:
    far, swift = np.array([500e3, 0.0, 0.0]), np.array([0.0, 4e3, 0.0])
    assert can_follow(far, far + swift, 1.0)
    assert not can_follow(far / 50, far / 50 + swift, 1.0)
    assert can_follow(far / 50, far / 50 + swift / 100, 1.0)  # near, but hardly moving: a train of satellites
    assert not can_follow(-swift / 2, swift / 2, 1.0)  # meets in between
    assert not can_follow(np.full(3, np.nan), far, 1.0)


def test_line_of_sight_grazes_80_km() -> None:
    radius = 6_378_137.0
    for clearance_m, seen in ((81e3, True), (79e3, False)):
        half = np.sqrt((radius + 550e3) ** 2 - (radius + clearance_m) ** 2)
        a, b = np.array([radius + clearance_m, half, 0.0]), np.array([radius + clearance_m, -half, 0.0])
        assert bool(line_of_sight(a, b)) is seen
    above = np.array([radius + 550e3, 0.0, 0.0])
    assert line_of_sight(above, above * 1.2)  # straight up: the nearest point is the lower satellite
    assert not line_of_sight(above, -above)
