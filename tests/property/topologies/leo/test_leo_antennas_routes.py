"""Routes of stations that are linked to all satellites in view equal Dijkstra's over every link that can be."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.model.network import BuildOptions
from emulator.orbit.frames import SPEED_OF_LIGHT_M_S
from emulator.schedule.routes import route_delay_s
from topologies.leo import Config, LeoTopology, build

Arcs = dict[int, list[tuple[int, float]]]


def arcs(made: LeoTopology, t_s: float, mask_deg: float) -> Arcs:
    """Every link of an instant from positions alone: ISLs of the grid, and each station with all above its mask."""
    positions = made.timeline.propagator.ecef(np.array([t_s]))[0]
    satellites, found = len(positions), Arcs()

    def join(a: int, b: int, metres: float) -> None:
        for one, other in ((a, b), (b, a)):
            found.setdefault(one, []).append((other, metres / SPEED_OF_LIGHT_M_S))

    grid = made.grid
    for a, b in zip(grid.a.tolist(), grid.b.tolist(), strict=True):
        join(a, b, float(np.linalg.norm(positions[a] - positions[b])))
    stations = made.timeline.stations
    for number, (place, up) in enumerate(zip(stations.position, stations.up, strict=True)):
        for satellite, position in enumerate(positions):
            along = position - place
            if along @ up >= np.sin(np.radians(mask_deg)) * np.linalg.norm(along):
                join(satellites + number, satellite, float(np.linalg.norm(along)))
    return found


def dijkstra(found: Arcs, source: int, satellites: int) -> dict[int, float]:
    """Least delay to every node, with no way through another station."""
    best, near = {source: 0.0}, [(0.0, source)]
    while near:
        delay_s, node = heappop(near)
        if delay_s > best[node] or (node >= satellites and node != source):
            continue
        for other, more_s in found.get(node, ()):
            if delay_s + more_s < best.get(other, inf):
                best[other] = delay_s + more_s
                heappush(near, (best[other], other))
    return best


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(-180, 180)), min_size=2, max_size=4),
    st.sampled_from([10.0, 20.0, 30.0]),
    st.integers(0, 3000),
)
def test_routes_over_all_in_view_are_the_shortest_there_are(
    places: list[tuple[float, float]], mask_deg: float, step: int
) -> None:
    stations = [{"name": f"s{number}", "lat_deg": lat, "lon_deg": lon} for number, (lat, lon) in enumerate(places)]
    tables = {
        "shell": {"planes": 20, "per_plane": 14, "phasing": 5, "altitude": "700 km"},
        "ground": {"station": stations, "min_elevation_deg": mask_deg, "antennas": "all"},
    }
    made = build(Config.model_validate(tables), BuildOptions(duration_s=6000.0, step_s=60.0))
    step %= 100
    row = next(iter(made.timeline.rows(step, 1)))
    found, satellites = arcs(made, 60.0 * step, mask_deg), len(made.constellation)
    delays_s = route_delay_s(row, made.timeline.live)
    for source in range(len(places)):
        best = dijkstra(found, satellites + source, satellites)
        expected = [best.get(satellites + other, inf) for other in range(len(places))]
        np.testing.assert_allclose(delays_s[source], expected, rtol=0, atol=1e-10)
