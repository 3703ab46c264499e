"""ISL grids: symmetric, at most four links each, right across the seam, and small shells too."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from emulator.orbit import grid as grids
from emulator.orbit.element_files import read
from emulator.orbit.elements import Epoch
from emulator.orbit.grid import AHEAD, BEHIND, EAST, WEST, plus_grid, raan_grid, walker_grid
from emulator.orbit.propagate import Propagator
from emulator.orbit.visibility import distance, line_of_sight
from emulator.orbit.walker import SHELLS, Walker, constellation

EPOCH = Epoch.of(datetime(2026, 1, 1))
ORBITS = Path(__file__).resolve().parents[4] / "shared/data/orbits/tle"


def degrees_of(grid, satellites: int) -> np.ndarray:
    return np.bincount(np.concatenate([grid.a, grid.b]), minlength=satellites)


def check(grid, satellites: int) -> None:
    """No loops, no link twice, no port twice."""
    assert (grid.a != grid.b).all()
    pairs = {frozenset(pair) for pair in zip(grid.a.tolist(), grid.b.tolist(), strict=True)}
    assert len(pairs) == len(grid)
    ports = np.concatenate([np.stack([grid.a, grid.a_port], 1), np.stack([grid.b, grid.b_port], 1)])
    assert len(np.unique(ports, axis=0)) == 2 * len(grid)
    assert degrees_of(grid, satellites).max(initial=0) <= 4
    if len(grid):
        assert ports[:, 0].min() >= 0
        assert ports[:, 0].max() < satellites


@pytest.mark.parametrize("name", SHELLS)
def test_presets(name: str) -> None:
    shell = SHELLS[name]
    grid = walker_grid(shell)
    check(grid, shell.total)
    links = 2 * shell.total - (0 if shell.closed else shell.per_plane)
    assert len(grid) == links


@pytest.mark.parametrize(("planes", "slots", "links"), [
    (1, 1, 0), (1, 2, 1), (1, 5, 5), (2, 1, 1), (2, 2, 4), (2, 3, 9), (3, 1, 3), (3, 2, 9), (3, 3, 18),
])  # fmt: skip
def test_small_shells(planes: int, slots: int, links: int) -> None:
    shell = Walker(planes, slots, 53.0, 550e3)
    grid = walker_grid(shell)
    check(grid, shell.total)
    assert len(grid) == links


def test_ports_point_where_their_names_say() -> None:
    shell = SHELLS["kuiper-1"]
    grid = walker_grid(shell)
    position, velocity = (value[0] for value in Propagator(constellation(shell, EPOCH)).teme(np.zeros(1)))
    along = position[grid.b] - position[grid.a]
    ahead = grid.a_port == AHEAD
    assert (grid.b_port[ahead] == BEHIND).all()
    assert (np.einsum("ij,ij->i", along, velocity[grid.a])[ahead] > 0).all()
    assert set(grid.a_port.tolist()) == {AHEAD, EAST}
    assert set(grid.b_port.tolist()) == {BEHIND, WEST}


@pytest.mark.parametrize("name", ["starlink-1", "starlink-3", "kuiper-1", "kuiper-2", "kuiper-3"])
def test_the_seam_of_a_delta_is_like_any_other_place(name: str) -> None:
    """The links from the last plane to the first are as long as all others: the phasing is carried over the seam."""
    shell = SHELLS[name]
    grid = walker_grid(shell)
    positions = Propagator(constellation(shell, EPOCH)).teme(np.arange(0, 5700, 300.0))[0]
    away = distance(positions[:, grid.a], positions[:, grid.b])
    east = grid.a_port == EAST
    seam = east & (grid.a >= (shell.planes - 1) * shell.per_plane)
    assert seam.sum() == shell.per_plane
    assert away[:, seam].max() == pytest.approx(away[:, east].max(), rel=0.02)
    assert away[:, seam].min() == pytest.approx(away[:, east].min(), rel=0.02)


def test_east_goes_to_the_nearest_slot() -> None:
    for phasing in (0, 17, 40, 71):
        shell = Walker(72, 22, 53.0, 550e3, phasing)
        grid = walker_grid(shell)
        position = Propagator(constellation(shell, EPOCH)).teme(np.zeros(1))[0][0]
        east = (grid.a_port == EAST) & (grid.a == 0)
        away = np.linalg.norm(position[22:44] - position[0], axis=1)
        assert grid.b[east][0] - 22 == away.argmin()


def test_a_star_is_open_at_its_seam() -> None:
    shell = SHELLS["oneweb"]
    grid = walker_grid(shell)
    last = (shell.planes - 1) * shell.per_plane
    assert not ((grid.a >= last) & (grid.b < shell.per_plane)).any()
    assert (degrees_of(grid, shell.total)[: shell.per_plane] == 3).all()


def test_shift_and_seam_shift_of_the_plain_grid() -> None:
    grid = plus_grid(3, 4, shift=1, seam_shift=2)
    east = {(int(a), int(b)) for a, b, port in zip(grid.a, grid.b, grid.a_port, strict=True) if port == EAST}
    assert (0, 5) in east
    assert (3, 4) in east
    assert (8, 2) in east
    assert len(grids.none()) == 0


@pytest.mark.parametrize("name", ["starlink-1", "kuiper-1", "oneweb", "iridium"])
def test_neighbours_by_right_ascension_find_the_grid_of_a_shell(name: str) -> None:
    shell = SHELLS[name]
    position, velocity = (value[0] for value in Propagator(constellation(shell, EPOCH)).teme(np.zeros(1)))
    found, made = raan_grid(position, velocity), walker_grid(shell)
    check(found, shell.total)
    pairs = [{frozenset(pair) for pair in zip(grid.a.tolist(), grid.b.tolist(), strict=True)} for grid in (found, made)]
    assert len(pairs[0] & pairs[1]) >= 0.98 * len(made)
    assert len(found) <= len(made) + shell.per_plane


def test_two_shells_are_not_joined() -> None:
    parts = [Propagator(constellation(SHELLS[name], EPOCH)).teme(np.zeros(1)) for name in ("kuiper-1", "kuiper-2")]
    position, velocity = (np.concatenate([part[which][0] for part in parts]) for which in (0, 1))
    grid = raan_grid(position, velocity)
    first = SHELLS["kuiper-1"].total
    assert ((grid.a < first) == (grid.b < first)).all()


def test_a_satellite_that_cannot_be_placed_has_no_link() -> None:
    position, velocity = (value[0] for value in Propagator(constellation(SHELLS["iridium"], EPOCH)).teme(np.zeros(1)))
    position[7] = np.nan
    grid = raan_grid(position, velocity)
    assert 7 not in grid.a
    assert 7 not in grid.b
    assert len(grid) > 100


@pytest.mark.skipif(not ORBITS.is_dir(), reason="reference data ../shared/data/orbits/tle is absent")
@pytest.mark.parametrize(("name", "least"), [("starlink", 3.3), ("oneweb", 2.8)])
def test_real_constellations(name: str, least: float) -> None:
    satellites = read(ORBITS / f"{name}-2022-09-14.tle")
    propagator = Propagator(satellites)
    position, velocity = (value[0] for value in propagator.teme(np.zeros(1)))
    grid = raan_grid(position, velocity)
    check(grid, len(satellites))
    assert degrees_of(grid, len(satellites)).mean() > least
    later = propagator.ecef(np.array([0.0, 600.0, 3000.0]))
    assert line_of_sight(later[:, grid.a], later[:, grid.b]).mean() > 0.99
