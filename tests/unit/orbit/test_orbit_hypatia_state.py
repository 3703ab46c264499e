"""State folders of Hypatia: satellites, links and ground stations, and refusals with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.errors import DataError
from emulator.model.network import BuildOptions
from emulator.orbit.hypatia import read
from emulator.orbit.tle import checksum
from topologies.leo import Config, build

FIRST = "1 {:05} 00000ABC 00001.00000000  .00000000  00000-0  00000+0 0    0"
SECOND = "2 {:05}  51.9000 {:8.4f} 0000001   0.0000 {:8.4f} 14.80000000    0"


def line(text: str) -> str:
    return f"{text}{checksum(text)}"


def satellites(planes: int = 4, per_plane: int = 5) -> str:
    """tles.txt as satgenpy writes it."""
    lines = [f"{planes} {per_plane}"]
    for number in range(planes * per_plane):
        plane, slot = divmod(number, per_plane)
        first = FIRST.format(number + 1).replace(" 00000ABC", "U 00000ABC")
        second = SECOND.format(number + 1, plane * 360 / planes, slot * 360 / per_plane)
        lines += [f"Kuiper-630 {number}", line(first), line(second)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tles.txt").write_text(satellites())
    (tmp_path / "isls.txt").write_text("0 1\n1 2\n0 5\n")
    (tmp_path / "ground_stations.txt").write_text(
        "0,City: Tokyo; Country: Japan,35.6895,139.69171,0.0,-3954844.0,3354936.0,3700264.0\n"
        "1,Delhi,28.66667,77.21667,0\n"
    )
    return tmp_path


def test_a_folder_is_read(folder) -> None:
    state = read(folder)
    assert len(state.constellation) == 20
    assert state.constellation.names[:2] == ("sat-00001", "sat-00002")
    assert state.constellation.epoch.text() == "2000-01-01T00:00:00Z"
    assert list(zip(state.grid.a.tolist(), state.grid.b.tolist(), strict=True)) == [(0, 1), (1, 2), (0, 5)]
    assert [(place.name, place.lat_deg) for place in state.stations] == [
        ("city-tokyo-country-japan", 35.6895), ("delhi", 28.66667),
    ]  # fmt: skip


def test_the_topology_takes_its_links_and_stations(folder) -> None:
    config = {"shell": {"elements": "."}, "ground": {"min_elevation_deg": 0.0}}
    made = build(Config.model_validate(config), BuildOptions(directory=str(folder), duration_s=3000.0, step_s=10.0))
    assert len(made.grid) == 3
    assert [node.name for node in made.nodes if node.role == "ground station"] == [
        "gs-city-tokyo-country-japan", "gs-delhi",
    ]  # fmt: skip
    config["ground"]["stations"] = ["tokyo"]  # type: ignore[assignment,index]
    made = build(Config.model_validate(config), BuildOptions(directory=str(folder), duration_s=3000.0, step_s=10.0))
    assert [node.name for node in made.nodes if node.role == "ground station"] == ["gs-tokyo"]


BAD = {
    "tles.txt": {
        "": "tles.txt:1: expected the number of orbits",
        satellites()[2:]: "expected the number of orbits",
        satellites().replace("4 5", "4 6", 1): "20 satellites; expected 4 × 6",
        satellites().replace("51.9000", "51.9001", 1): "tles.txt:4  checksum",
    },
    "isls.txt": {
        "0 1\n0 20": "isls.txt:2: '0 20'; expected two satellites, 0 to 19",
        "0 1 2": "expected two satellites",
        "3 3": "a satellite linked to itself",
        "0 1\n1 0": "the link 0 1 again",
        "0 1\n0 2\n0 3\n0 4\n0 5": "isls.txt:5: a fifth link of satellite 0",
    },
    "ground_stations.txt": {
        "0,Tokyo,35": "3 cells",
        "0,Tokyo,north,139,0": "'north'; expected a number",
        "0,Tokyo,95,139,0": "expected a latitude",
    },
}


@pytest.mark.parametrize(("file", "text"), [(file, text) for file, texts in BAD.items() for text in texts])
def test_what_does_not_fit_is_refused_with_its_line(folder, file: str, text: str) -> None:
    (folder / file).write_text(text)
    with pytest.raises(DataError) as caught:
        read(folder)
    assert BAD[file][text] in str(caught.value)


def test_bytes_that_are_no_text(folder) -> None:
    (folder / "isls.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match="not UTF-8"):
        read(folder)


@given(st.sampled_from(sorted(BAD)), st.text(max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory, file: str, text: str) -> None:
    folder = tmp_path_factory.mktemp("state")
    (folder / "tles.txt").write_text(satellites(1, 2))
    (folder / file).write_text(text, encoding="utf-8", errors="replace")
    try:
        read(folder)
    except DataError:
        return
