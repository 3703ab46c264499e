"""Which satellites are linked: +Grid over a Walker shell, or neighbours by right ascension in a set of real satellites.

Invariant: a link is one row (a, b, port of a, port of b); ports have fixed meanings, each is used once per satellite,
so every satellite has at most four links and links are symmetric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians

import numpy as np

from emulator.model.network import Bools, Floats, Ints
from emulator.orbit.walker import Walker

AHEAD, BEHIND, EAST, WEST = 0, 1, 2, 3  # ports isl0 … isl3
SHELL_INCLINATION_DEG = 0.3  # satellites of one shell lie within this inclination …
SHELL_ALTITUDE_M = 12e3  # … and within this height of their neighbour in height
PLANE_WIDTH_DEG = 2.0  # satellites of one plane lie within this right ascension
PLANE_GAP_DEG = 45.0  # planes further apart than this, and than 2.5 × the usual gap, are not neighbours


@dataclass(frozen=True, slots=True)
class Grid:
    """ISLs as arrays of equal length L: satellite a, satellite b, port of each (AHEAD, BEHIND, EAST, WEST)."""

    a: Ints
    b: Ints
    a_port: Ints
    b_port: Ints

    def __len__(self) -> int:
        return len(self.a)

    @staticmethod
    def of(rows: list[Ints]) -> Grid:
        table = np.concatenate(rows) if rows else np.empty((0, 4), dtype=np.int32)
        return Grid(*(np.ascontiguousarray(table[:, column], dtype=np.int32) for column in range(4)))


def none() -> Grid:
    """No ISLs: bent pipes only."""
    return Grid.of([])


def plus_grid(planes: int, per_plane: int, shift: int = 0, seam_shift: int | None = None) -> Grid:
    """+Grid: each satellite with the next in its plane and with one in the next plane, `shift` slots on.

    `seam_shift` is the shift from the last plane to the first; None leaves the seam open. Rings of fewer than three are
    not closed twice (two planes or two slots have one link between them, not two).
    """
    plane, slot = np.divmod(np.arange(planes * per_plane, dtype=np.int32), np.int32(per_plane))
    number = plane * per_plane + slot
    rows = []
    if per_plane > 1:
        ahead = plane * per_plane + (slot + 1) % per_plane
        rows.append(_rows(number, ahead, AHEAD, BEHIND)[(per_plane > 2) | (slot == 0)])
    inner = plane < planes - 1
    rows.append(_rows(number, (plane + 1) * per_plane + (slot + shift) % per_plane, EAST, WEST)[inner])
    if seam_shift is not None and planes > 2:
        rows.append(_rows(number, (slot + seam_shift) % per_plane, EAST, WEST)[~inner])
    return Grid.of(rows)


def walker_grid(shell: Walker) -> Grid:
    """+Grid of a Walker shell. East and west go to the nearest slot of the next plane, phasing taken into account.

    A delta closes over the seam, where the phasing has added up to `phasing` whole slots; a star stays open there.
    """
    slot_deg = 360 / shell.per_plane
    plane_deg = shell.raan_spread_deg / shell.planes
    step_deg = shell.phasing * 360 / shell.total + plane_deg * cos(radians(shell.inclination_deg))
    shift = -round(step_deg / slot_deg)
    return plus_grid(shell.planes, shell.per_plane, shift, shift + shell.phasing if shell.closed else None)


def joined(grids: Sequence[Grid], sizes: Sequence[int]) -> Grid:
    """The grids of several sets of satellites that are numbered one after the other; none between the sets."""
    rows, first = [], 0
    for grid, size in zip(grids, sizes, strict=True):
        rows.append(np.stack([grid.a + first, grid.b + first, grid.a_port, grid.b_port], axis=1))
        first += size
    return Grid.of(rows)


def raan_grid(position: Floats, velocity: Floats) -> Grid:
    """ISLs of real satellites by their inertial position and velocity (N, 3) at one instant, in m and m/s.

    Satellites are sorted into shells (inclination and height), those into planes (right ascension), those by argument
    of latitude. Links go to the next in the plane, and to the nearest free satellite of each neighbouring plane. Links
    that would cut through the Earth are left out.
    """
    from emulator.orbit.visibility import line_of_sight

    normal = np.cross(position, velocity)
    radius = np.linalg.norm(position, axis=1)
    size = np.linalg.norm(normal, axis=1)
    inclination = np.degrees(np.arccos(np.clip(normal[:, 2] / size, -1, 1)))
    raan = np.degrees(np.arctan2(normal[:, 0], -normal[:, 1])) % 360
    mu = 3.986008e14
    axis = 1 / (2 / radius - np.einsum("ij,ij->i", velocity, velocity) / mu)
    node = np.stack([np.cos(np.radians(raan)), np.sin(np.radians(raan)), np.zeros(len(raan))], axis=1)
    across = np.cross(normal / size[:, None], node)
    latitude = np.degrees(
        np.arctan2(np.einsum("ij,ij->i", position, across), np.einsum("ij,ij->i", position, node))
    ) % 360  # fmt: skip
    rows: list[Ints] = []
    for shell in _shells(inclination, axis):
        planes = _planes(shell, raan)
        ordered = [plane[np.argsort(latitude[plane], kind="stable")] for plane in planes]
        for plane in ordered:
            if len(plane) > 1:
                ring = _rows(plane, np.roll(plane, -1), AHEAD, BEHIND)
                rows.append(ring if len(plane) > 2 else ring[:1])
        tilt = cos(radians(float(np.median(inclination[shell]))))
        for west, east, gap in _neighbours(ordered, raan):
            rows.append(_match(west, east, latitude, gap * tilt))
    grid = Grid.of(rows)
    seen = line_of_sight(position[grid.a], position[grid.b])
    return Grid(grid.a[seen], grid.b[seen], grid.a_port[seen], grid.b_port[seen])


def _rows(a: Ints, b: Ints, a_port: int, b_port: int) -> Ints:
    table = np.empty((len(a), 4), dtype=np.int32)
    table[:, 0], table[:, 1], table[:, 2], table[:, 3] = a, b, a_port, b_port
    return table


def _shells(inclination: Floats, axis: Floats) -> list[Ints]:
    """Satellites by inclination, then by height: cut wherever the sorted values jump. NaN belongs nowhere."""
    placed = np.flatnonzero(np.isfinite(inclination) & np.isfinite(axis)).astype(np.int32)
    shells: list[Ints] = []
    for group in _cut(placed, inclination, SHELL_INCLINATION_DEG):
        shells += _cut(group, axis, SHELL_ALTITUDE_M)
    return shells


def _cut(group: Ints, value: Floats, jump: float) -> list[Ints]:
    if not len(group):
        return []
    order = group[np.argsort(value[group], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(value[order]) > jump) + 1)


def _planes(shell: Ints, raan: Floats) -> list[Ints]:
    """A shell's planes in order of right ascension: a plane starts at its first satellite and is PLANE_WIDTH_DEG wide.

    The circle is cut at its widest gap, so that no plane is split at 0°.
    """
    order = shell[np.argsort(raan[shell], kind="stable")]
    value = raan[order]
    gaps = np.diff(value, append=value[0] + 360)
    cut = int(np.argmax(gaps)) + 1
    order = np.roll(order, -cut)
    value = (raan[order] - raan[order[0]]) % 360
    planes, start = [], 0
    while start < len(order):
        stop = int(np.searchsorted(value, value[start] + PLANE_WIDTH_DEG, side="right"))
        planes.append(order[start:stop])
        start = stop
    return planes


def _neighbours(planes: list[Ints], raan: Floats) -> list[tuple[Ints, Ints, float]]:
    """(plane, next plane eastward, degrees between them) wherever two planes are near enough to fly together."""
    if len(planes) < 2:
        return []
    centre = np.array([_mean_deg(raan[plane]) for plane in planes])
    gaps = np.diff(centre, append=centre[0]) % 360
    limit = min(PLANE_GAP_DEG, 2.5 * float(np.median(gaps)))
    count = len(planes) if len(planes) > 2 else 1  # two planes are neighbours once, not twice
    return [(planes[i], planes[(i + 1) % len(planes)], float(gaps[i])) for i in range(count) if gaps[i] <= limit]


def _mean_deg(value: Floats) -> float:
    angle = np.radians(value)
    return float(np.degrees(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())) % 360)


def _match(west: Ints, east: Ints, latitude: Floats, shift_deg: float) -> Ints:
    """Pairs of two planes: rounds in which two satellites that are each other's nearest free one are linked."""
    apart = np.abs((latitude[east][None, :] - latitude[west][:, None] + shift_deg + 180) % 360 - 180)
    rows: list[Ints] = []
    for _ in range(4):
        nearest = apart.argmin(axis=1)
        index = np.arange(len(west))
        mutual: Bools = (apart.argmin(axis=0)[nearest] == index) & np.isfinite(apart[index, nearest])
        if not mutual.any():
            break
        rows.append(_rows(west[mutual], east[nearest[mutual]], EAST, WEST))
        apart[mutual, :] = np.inf
        apart[:, nearest[mutual]] = np.inf
    return np.concatenate(rows) if rows else np.empty((0, 4), dtype=np.int32)
