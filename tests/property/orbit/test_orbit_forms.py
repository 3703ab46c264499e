"""Round trips and mutations: frames, shell texts, element-set lines."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model.errors import DataError
from emulator.orbit.element_files import read
from emulator.orbit.frames import WGS72, WGS84, ecef_to_geodetic, geodetic_to_ecef
from emulator.orbit.grid import walker_grid
from emulator.orbit.walker import Walker, parse

LINES = (
    "1 44238U 19029D   22257.46316094  .00217935  00000+0  35067-2 0  9992",
    "2 44238  53.0028  47.8601 0007663 290.4472  69.5712 15.51686006181960",
)


@given(st.floats(-90, 90), st.floats(-179.999, 180), st.floats(-1e4, 1e7), st.sampled_from([WGS72, WGS84]))
def test_geodetic_there_and_back(latitude_deg: float, longitude_deg: float, height_m: float, figure) -> None:
    position = geodetic_to_ecef(np.radians(latitude_deg), np.radians(longitude_deg), height_m, figure)
    latitude, longitude, height = ecef_to_geodetic(position, figure)
    back = geodetic_to_ecef(latitude, longitude, height, figure)
    assert np.linalg.norm(back - position) < 1e-5
    assert abs(height - height_m) < 1e-5


@given(st.integers(1, 80), st.integers(1, 40), st.floats(0, 180).map(lambda value: round(value, 2)), st.data())
def test_shell_text_there_and_back(planes: int, per_plane: int, inclination_deg: float, data) -> None:
    shell = Walker(planes, per_plane, inclination_deg, 550e3, data.draw(st.integers(0, planes - 1)))
    text = f"{inclination_deg}:{shell.total}/{planes}/{shell.phasing}"
    assert parse(text, 550e3) == shell


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 180), st.sampled_from([180.0, 360.0]), st.data())
def test_grids_of_any_shell_are_simple_graphs_of_degree_four(planes, per_plane, inclination_deg, spread, data) -> None:
    shell = Walker(planes, per_plane, inclination_deg, 550e3, data.draw(st.integers(0, planes - 1)), spread)
    grid = walker_grid(shell)
    pairs = {frozenset(pair) for pair in zip(grid.a.tolist(), grid.b.tolist(), strict=True)}
    assert len(pairs) == len(grid)
    assert all(len(pair) == 2 for pair in pairs)
    if len(grid):
        assert np.bincount(np.concatenate([grid.a, grid.b])).max() <= 4
        ports = np.concatenate([grid.a * 4 + grid.a_port, grid.b * 4 + grid.b_port])
        assert len(np.unique(ports)) == len(ports)


@given(st.integers(0, 1), st.integers(0, 68), st.characters(codec="ascii", exclude_characters="\r\n\0"))
@settings(max_examples=300)
def test_one_wrong_character_never_changes_an_orbit(which: int, column: int, character: str) -> None:
    """Either the file is refused, or the elements are what they were (a blank for a leading 0, another title)."""
    lines = list(LINES)
    lines[which] = lines[which][:column] + character + lines[which][column + 1 :]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.tle"
        path.write_text("\n".join(lines))
        try:
            record = read(path).records[0]
        except DataError:
            return
        path.write_text("\n".join(LINES))
        asked = read(path).records[0]
    for name in ("inclo", "nodeo", "ecco", "argpo", "mo", "no_kozai", "jdsatepoch", "satnum"):
        assert getattr(record, name) == pytest.approx(getattr(asked, name), rel=1e-15), name


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.tle"
        path.write_text(text, encoding="utf-8", errors="replace")
        with pytest.raises(DataError):
            read(path)
