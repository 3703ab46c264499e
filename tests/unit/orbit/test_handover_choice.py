"""Slot-based choice of satellites: what the score prefers, when it changes, and the published distributions."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.orbit.handover import Held, Sight, choose
from emulator.orbit.handover.starlink import SlotDraw, Weights, poleward
from emulator.orbit.visibility import Stations

DIRECT = Weights(elevation_deg=60.0, elevation_spread_deg=10.0, pole=0.0, arc_exclusion_deg=0.0)


def stations(count: int = 1, lat_deg: float = 50.67) -> Stations:
    return Stations.at([lat_deg] * count, [4.61] * count, [0.0] * count, 25.0)


def sky(where: Stations, elevation_deg: np.ndarray, azimuth_deg: np.ndarray, t_s: float = 0.0) -> Sight:
    """The same satellites, numbered from 0, over each station."""
    north = poleward(where) * np.where(where.up[:, 2:] < 0, -1.0, 1.0)
    east = np.cross(north, where.up)
    el, az = np.radians(elevation_deg), np.radians(azimuth_deg)
    direction = (
        np.sin(el)[None, :, None] * where.up[:, None]
        + (np.cos(el) * np.cos(az))[None, :, None] * north[:, None]
        + (np.cos(el) * np.sin(az))[None, :, None] * east[:, None]
    )
    shape = (len(where), len(el))
    satellite = np.tile(np.arange(len(el), dtype=np.int32), (len(where), 1))
    visible = np.broadcast_to(elevation_deg >= 25, shape)
    return Sight(t_s, satellite, np.full(shape, 600e3), np.broadcast_to(np.sin(el), shape), visible,
                 lambda station, few: np.zeros(len(few)), lambda: direction)  # fmt: skip


def draw(weights: Weights, where: Stations, seed: int = 1, slot_s: float = 15.0) -> SlotDraw:
    names = [f"t{number}" for number in range(len(where))]
    return SlotDraw(weights, where, names, seed, lambda t_s: int(t_s // slot_s), lambda t_s: t_s % slot_s < 1e-9)


def test_satellites_are_taken_with_the_odds_of_their_score() -> None:
    where = stations(4000)
    policy = draw(DIRECT, where)
    chosen = policy.draw(sky(where, np.array([60.0, 50.0, 40.0, 10.0]), np.array([0.0, 90.0, 270.0, 0.0])))
    share = np.bincount(chosen, minlength=4) / len(chosen)
    odds = np.array([1.0, np.exp(-0.5), np.exp(-2.0), 0.0])
    assert share == pytest.approx(odds / odds.sum(), abs=0.025)


@pytest.mark.parametrize(("lat_deg", "poleward_azimuth"), [(50.0, 0.0), (-33.0, 180.0)])
def test_the_pole_s_side_and_the_geostationary_arc(lat_deg: float, poleward_azimuth: float) -> None:
    where = stations(1000, lat_deg)
    both = sky(where, np.array([60.0, 60.0]), np.array([poleward_azimuth, poleward_azimuth + 180.0]))
    leaning = draw(Weights(60.0, 10.0, 2.0, 0.0), where).draw(both)
    odds = np.exp(2 * 2.0 * np.cos(np.radians(60.0)))
    assert (leaning == 0).mean() == pytest.approx(odds / (1 + odds), abs=0.04)
    low = sky(where, np.array([60.0, 90 - abs(lat_deg) - 6]), np.array([poleward_azimuth, poleward_azimuth + 180.0]))
    assert (draw(Weights(30.0, 10.0, 0.0, 15.0), where).draw(low) == 0).all()
    only = sky(where, np.array([90 - abs(lat_deg) - 6]), np.array([poleward_azimuth + 180.0]))
    assert (draw(Weights(30.0, 10.0, 0.0, 15.0), where).draw(only) == 0).all()  # rather than none


def test_a_choice_holds_for_its_slot_unless_the_satellite_sets() -> None:
    where = stations(200)
    policy = draw(DIRECT, where)
    elevation, azimuth = np.array([65.0, 60.0, 55.0, 50.0]), np.array([0.0, 90.0, 180.0, 270.0])
    held = choose(policy, sky(where, elevation, azimuth, 0.0), Held.nothing(200), 0.0)
    for t_s in (1.0, 14.0):
        later = choose(policy, sky(where, elevation[::-1], azimuth, t_s), held, 0.0)
        assert np.array_equal(later.satellite, held.satellite)
    set_now = np.array([20.0, 60.0, 55.0, 50.0])
    moved = choose(policy, sky(where, set_now, azimuth, 9.0), held, 0.0)
    assert (moved.satellite != 0).all()
    assert np.array_equal(moved.satellite[held.satellite != 0], held.satellite[held.satellite != 0])
    following = choose(policy, sky(where, elevation, azimuth, 15.0), held, 0.0)
    assert 0.4 < (following.satellite != held.satellite).mean() < 0.9
    again = draw(DIRECT, where).draw(sky(where, elevation, azimuth, 15.0))
    assert np.array_equal(again, following.satellite)
    assert not np.array_equal(draw(DIRECT, where, seed=2).draw(sky(where, elevation, azimuth, 15.0)), again)


def test_nothing_in_sight() -> None:
    where = stations(2)
    assert draw(DIRECT, where).draw(sky(where, np.array([10.0]), np.array([0.0]))).tolist() == [-1, -1]


def test_poleward_is_horizontal() -> None:
    where = Stations.at([50.0, -20.0, 0.0], [10.0, 100.0, -60.0], [0.0] * 3, 25.0)
    towards = poleward(where)
    assert np.einsum("sd,sd->s", towards, where.up) == pytest.approx(0.0, abs=1e-12)
    assert np.linalg.norm(towards, axis=1) == pytest.approx(1.0)
    assert np.sign(towards[:, 2]).tolist() == [1.0, -1.0, 1.0]
