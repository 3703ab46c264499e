"""Tables of a satellite scenario: what they make, and what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf

import pytest
from pydantic import ValidationError

from emulator.model.network import Effects
from emulator.orbit.walker import SHELLS, Walker
from topologies.leo.access import access_effects
from topologies.leo.config import Config
from topologies.leo.stations import DEFAULT, SITES
from topologies.link_keys import effects


def config(**tables) -> Config:
    return Config.model_validate(tables)


def test_nothing_given_is_starlink_s_first_shell_over_twelve_stations() -> None:
    made = config()
    assert made.shell.shells[0] == SHELLS["starlink-1"]
    assert [place.name for place in made.ground.places] == list(DEFAULT)
    assert len(DEFAULT) == 12
    assert len(SITES) >= 25


def test_keys_stand_on_top_of_a_preset() -> None:
    assert config(shell={"planes": 36}).shell.shells[0] == Walker(36, 22, 53.0, 550e3, 17)
    assert config(shell={"preset": "oneweb", "altitude": "1100 km"}).shell.shells[0].altitude_m == 1100e3


def test_text_with_an_altitude() -> None:
    assert config(shell={"walker": "53.0:1584/72/17", "altitude": "550 km"}).shell.shells[0] == SHELLS["starlink-1"]


def test_a_file_stands_in_for_the_shell() -> None:
    made = config(shell={"elements": "x.tle", "preset": "starlink-1", "planes": 7, "phasing": 30})
    assert made.shell.elements == "x.tle"


def test_epoch() -> None:
    instant = datetime(2026, 5, 1, tzinfo=UTC)
    assert config(shell={"epoch": instant}).shell.epoch == instant


def test_stations_of_one_s_own() -> None:
    here = {"name": "here", "lat_deg": 1.0, "lon_deg": 2.0, "altitude": "300 m"}
    alone = config(ground={"station": [here]}).ground.places
    assert [(place.name, place.altitude_m) for place in alone] == [("here", 300.0)]
    beside = config(ground={"stations": ["tokyo"], "station": [here]}).ground.places
    assert [place.name for place in beside] == ["tokyo", "here"]
    assert beside[0].lat_deg == SITES["tokyo"][0]


def test_queues() -> None:
    assert effects("100 ms") == Effects(queue_s=0.1)
    assert effects("64 KiB") == Effects(queue_bytes=65536)
    assert effects("50 packets") == Effects(queue_packets=50)


BAD = {
    "unit": ({"shell": {"altitude": 550}}, "without a unit"),
    "unknown key": ({"shell": {"plane": 3}}, "Extra inputs"),
    "unknown preset": ({"shell": {"preset": "starlnk"}}, "starlink-1"),
    "two shells": (
        {"shell": {"preset": "oneweb", "walker": "53:1584/72/1", "altitude": "1 km"}}, "expected one of them",
    ),
    "no altitude": ({"shell": {"walker": "53:1584/72/1"}}, "without `altitude`"),
    "bad text": ({"shell": {"walker": "53/72", "altitude": "550 km"}}, "is not a shell"),
    "phasing": ({"shell": {"planes": 10}}, "phasing 17; expected 0 to 9"),
    "grid of a file": ({"shell": {"elements": "x"}, "isl": {"pattern": "+grid"}}, "expected 'raan' or 'none'"),
    "station": ({"ground": {"stations": ["tokio"]}}, "did you mean 'tokyo'"),
    "no station": ({"ground": {"stations": []}}, "at least one"),
    "station twice": ({"ground": {"stations": ["rome", "rome"]}}, "'rome' twice"),
    "own station twice": ({"ground": {"stations": ["rome"], "station": [{"name": "rome", "lat_deg": 1, "lon_deg": 1}]}},
                          "'rome' twice"),
    "latitude": ({"ground": {"station": [{"name": "x", "lat_deg": 91, "lon_deg": 1}]}}, "less than or equal to 90"),
    "name": ({"ground": {"station": [{"name": "X Y", "lat_deg": 1, "lon_deg": 1}]}}, "pattern"),
    "mask": ({"ground": {"min_elevation_deg": 90}}, "less than 90"),
    "policy": ({"ground": {"policy": "best"}}, "longest_pass"),
    "queue": ({"isl": {"queue": "100"}}, "without a unit"),
    "rate": ({"isl": {"rate": "0 bit/s"}}, "expected a rate above 0"),
    "loss": ({"isl": {"loss": "120 %"}}, "at most 100 %"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_refused(kind: str) -> None:
    tables, part = BAD[kind]
    with pytest.raises(ValidationError, match=part):
        Config.model_validate(tables)


def test_the_queues_of_the_access_model_are_memory_and_drop_from_the_front() -> None:
    ideal = Config.model_validate({"ground": {"queue": "80 ms"}})
    assert access_effects(ideal) == (Effects(queue_s=0.08), Effects(queue_s=0.08))
    loads = {"load_up": [0.5] * 24, "load_down": [0.75] * 24, "peak_up": "40 Mbit/s", "peak_down": "400 Mbit/s"}
    model = Config.model_validate({"ground": {"queue": "80 ms", "terminal": "starlink"}, "terminal": loads})
    up, down = access_effects(model)
    assert (up.queue_bytes, down.queue_bytes) == (0.08 * 20e6 / 8, 0.08 * 100e6 / 8)
    assert up.queue_s == inf
    assert up.head_drop
    counted = Config.model_validate({"ground": {"queue": "50 packets", "terminal": "starlink"}})
    assert access_effects(counted)[0] == Effects(queue_packets=50, head_drop=True)
