"""Access policies as functions: what each prefers, and what the dwell holds back."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.orbit.handover import POLICIES, Held, Sight, choose


def sight(t_s: float, range_km, elevation_deg, remaining_s=None, mask_deg: float = 25.0) -> Sight:
    """Stations × 4 satellites numbered 0, 10, 20, 30."""
    distance, elevation = np.atleast_2d(range_km) * 1e3, np.atleast_2d(elevation_deg)
    satellite = np.tile(np.array([0, 10, 20, 30], dtype=np.int32), (len(distance), 1))
    left = dict(zip((0, 10, 20, 30), remaining_s or (1.0, 2.0, 3.0, 4.0), strict=True))
    return Sight(t_s, satellite, distance, np.sin(np.radians(elevation)), elevation >= mask_deg,
                 lambda station, few: np.array([left[number] for number in few.tolist()]))  # fmt: skip


SKY = ([900, 600, 700, 500], [40, 50, 60, 10])  # the nearest one is below the mask


@pytest.mark.parametrize(("policy", "expected"), [("nearest", 10), ("highest_elevation", 20), ("longest_pass", 20)])
def test_first_choice(policy: str, expected: int) -> None:
    held = choose(POLICIES[policy], sight(0.0, *SKY), Held.nothing(1), 15.0)
    assert held.satellite.tolist() == [expected]
    assert held.since_s.tolist() == [0.0]


@pytest.mark.parametrize("policy", POLICIES)
def test_nobody_above_the_mask(policy: str) -> None:
    held = Held(np.array([10], dtype=np.int32), np.zeros(1))
    assert choose(POLICIES[policy], sight(30.0, SKY[0], [5, 5, 5, 5]), held, 60.0).satellite.tolist() == [-1]


def test_dwell_keeps_a_satellite_that_is_still_visible_and_no_other() -> None:
    held = Held(np.array([0, 30], dtype=np.int32), np.array([0.0, 0.0]))
    both = sight(14.0, [SKY[0], SKY[0]], [SKY[1], SKY[1]])
    young = choose(POLICIES["nearest"], both, held, 15.0)
    assert young.satellite.tolist() == [0, 10]  # 30 has set
    assert young.since_s.tolist() == [0.0, 14.0]
    old = choose(POLICIES["nearest"], sight(15.0, [SKY[0]] * 2, [SKY[1]] * 2), young, 15.0)
    assert old.satellite.tolist() == [10, 10]
    assert old.since_s.tolist() == [15.0, 14.0]


def test_longest_pass_holds_until_the_satellite_sets() -> None:
    policy = POLICIES["longest_pass"]
    held = Held(np.array([0], dtype=np.int32), np.zeros(1))
    assert choose(policy, sight(500.0, *SKY), held, 0.0).satellite.tolist() == [0]
    assert choose(policy, sight(501.0, SKY[0], [20, 50, 60, 10], [9, 7, 5, 9]), held, 0.0).satellite.tolist() == [10]


def test_of_equals_the_lowest_number_wins() -> None:
    same = sight(0.0, [600, 600, 600, 600], [50, 50, 50, 50])
    for policy in ("nearest", "highest_elevation"):
        assert choose(POLICIES[policy], same, Held.nothing(1), 0.0).satellite.tolist() == [0]
