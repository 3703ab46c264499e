"""Walker shells: the text form, the phasing, the altitude, the names, the presets."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from emulator.orbit.elements import Epoch
from emulator.orbit.propagate import Propagator
from emulator.orbit.walker import SHELLS, Walker, constellation, coverage_deg, parse

EPOCH = Epoch.of(datetime(2026, 1, 1))


def test_text_form() -> None:
    shell = parse("53.0:1584/72/17", 550e3)
    assert shell == Walker(72, 22, 53.0, 550e3, 17) == SHELLS["starlink-1"]
    assert shell.text == "53°:1584/72/17 at 550 km"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("53:1584/72", "not a shell"),
        ("", "not a shell"),
        ("53:1585/72/17", "do not fill"),
        ("53:1584/0/0", "do not fill"),
        ("53:1584/72/72", "phasing 72; expected 0 to 71"),
        ("190:1584/72/1", "inclination"),
        ("53:0/72/1", "at least 1"),
        ("53:7200000/72/1", "at most 100,000"),
    ],
)
def test_bad_text_is_refused_with_what_was_wanted(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse(text, 550e3)


@pytest.mark.parametrize("change", [{"altitude_m": 1.0}, {"altitude_m": 4e7}, {"raan_spread_deg": 0.0}, {"planes": 0}])
def test_bad_keys_are_refused(change) -> None:
    with pytest.raises(ValueError, match="expected"):
        SHELLS["starlink-1"].altered(**change)


def test_satellite_angles_follow_walker_s_definition() -> None:
    shell = Walker(6, 4, 53.0, 550e3, phasing=2)
    records = constellation(shell, EPOCH).records
    for plane in range(6):
        for slot in range(4):
            record = records[plane * 4 + slot]
            assert np.degrees(record.nodeo) == pytest.approx(plane * 60)
            assert np.degrees(record.mo) % 360 == pytest.approx((slot * 90 + plane * 2 * 360 / 24) % 360)
            assert np.degrees(record.inclo) == pytest.approx(53.0)


def test_names_count_planes_and_slots_from_one() -> None:
    assert constellation(SHELLS["starlink-1"], EPOCH).names[2 * 22 + 11] == "sat-0312"
    assert constellation(Walker(2, 120, 53.0, 550e3), EPOCH).names[-1] == "sat-02120"
    names = constellation(Walker(12, 101, 53.0, 550e3), EPOCH).names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", SHELLS)
def test_mean_axis_stands_at_the_altitude(name: str) -> None:
    shell = SHELLS[name]
    satellites = constellation(shell, EPOCH)
    assert len(satellites) == shell.total
    assert (satellites.records[0].a - 1) * 6378.135e3 == pytest.approx(shell.altitude_m, abs=0.01)


def test_orbits_stay_within_a_few_kilometres_of_the_altitude() -> None:
    propagator = Propagator(constellation(Walker(4, 5, 53.0, 550e3, 1), EPOCH))
    radius = np.linalg.norm(propagator.ecef(np.arange(0, 6000, 30.0)), axis=2)
    assert abs(radius - 6378.135e3 - 550e3).max() < 9e3


def test_the_whole_array_and_a_part_of_it_agree() -> None:
    whole = Propagator(constellation(Walker(4, 5, 53.0, 550e3, 1), EPOCH))
    t_s = np.array([0.0, 17.25])
    assert np.array_equal(whole.some([3, 11]).ecef(t_s), whole.ecef(t_s)[:, [3, 11]])


def test_presets_are_the_filed_shells() -> None:
    sizes = {name: shell.total for name, shell in SHELLS.items()}
    assert [sizes[f"starlink-{n}"] for n in range(1, 6)] == [1584, 1584, 720, 348, 172]
    assert [sizes[f"kuiper-{n}"] for n in range(1, 4)] == [1156, 1296, 784]
    assert sizes["iridium"] == 66
    assert not SHELLS["iridium"].closed
    assert not SHELLS["oneweb"].closed


def test_coverage_is_the_cap_above_the_mask() -> None:
    # 550 km, 25°: the satellite is 1,123 km away at the mask, 8.45° of arc around the Earth's centre.
    assert coverage_deg(550e3, 25.0) == pytest.approx(8.45, abs=0.02)
    assert coverage_deg(550e3, 0.0) == pytest.approx(np.degrees(np.arccos(6378.135 / 6928.135)))
