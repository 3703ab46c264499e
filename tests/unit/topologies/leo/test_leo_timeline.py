"""The timeline: rows are pure, continuous, and as exact as the geometry; routes fit the links of each step."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from emulator.model.network import BuildOptions, ScheduleRow
from emulator.orbit.frames import SPEED_OF_LIGHT_M_S
from emulator.orbit.visibility import distance
from emulator.schedule.routes import route_delay_s
from topologies.leo import Config, LeoTopology, build

SMALL = {
    "shell": {"planes": 24, "per_plane": 16, "phasing": 5},
    "ground": {"min_elevation_deg": 15, "min_dwell": "5 s"},
}


def topo(options: BuildOptions | None = None, **tables) -> LeoTopology:
    return build(Config.model_validate(tables or SMALL), options or BuildOptions())


def same(one: ScheduleRow, other: ScheduleRow) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) if name != "handovers" else
        one.handovers == other.handovers
        for name in ScheduleRow.__slots__
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> list[ScheduleRow]:
    return list(topo().timeline.rows(0, 120))


def test_shapes_and_sanity(rows: list[ScheduleRow]) -> None:
    made = topo()
    ends, nodes, live = 2 * (len(made.grid) + 12), 384 + 12, 12
    for step, row in enumerate(rows):
        assert row.step == step
        for column in (row.delay_start_s, row.delay_end_s, row.rate_bps, row.loss, row.up, row.peer):
            assert column.shape == (ends,)
        assert row.next_end.shape == (live, nodes)
        assert row.next_end.dtype == row.peer.dtype == np.int32
        assert np.isfinite(row.delay_start_s).all()
        assert np.isfinite(row.delay_end_s).all()
        assert (row.delay_start_s >= 0).all()
        delays_s = route_delay_s(row, made.timeline.live)
        assert delays_s.shape == (live, live)
        assert not delays_s.diagonal().any()
        assert np.array_equal(row.peer[row.up] >= 0, np.ones(row.up.sum(), dtype=bool))


@pytest.mark.parametrize("routing", ["least-delay", "static", "none"])
def test_rows_without_routes_are_the_same_otherwise(routing: str) -> None:
    options = BuildOptions(routing=routing, routing_step_s=7.0)
    bare = topo(options).timeline.rows(3, 9, with_routes=False)
    for row, other in zip(topo(options).timeline.rows(3, 9), bare, strict=True):
        assert other.next_end.shape == (0, row.next_end.shape[1])
        assert same(replace(row, next_end=other.next_end), other)


@pytest.mark.parametrize("policy", ["nearest", "highest_elevation", "longest_pass"])
@pytest.mark.parametrize("routing", ["least-delay", "static", "none"])
def test_a_row_depends_on_its_number_alone(policy: str, routing: str) -> None:
    options = BuildOptions(routing=routing, routing_step_s=7.0)
    tables = {**SMALL, "ground": {**SMALL["ground"], "policy": policy}}
    whole = list(topo(options, **tables).timeline.rows(0, 90))
    fresh = topo(options, **tables).timeline
    for first, count in ((83, 2), (10, 3), (13, 1), (0, 2), (70, 20), (64, 1), (65, 1)):
        for row in fresh.rows(first, count):
            assert same(row, whole[row.step]), f"step {row.step}"


def test_delay_is_continuous_where_nothing_hands_over(rows: list[ScheduleRow]) -> None:
    for row, following in pairwise(rows):
        moved = {end for move in following.handovers for end in (2 * move.link, 2 * move.link + 1)}
        stays = np.setdiff1d(np.arange(len(row.up)), sorted(moved))
        assert np.array_equal(row.delay_end_s[stays], following.delay_start_s[stays])


def test_handovers_tell_what_changed(rows: list[ScheduleRow]) -> None:
    isls = len(topo().grid)
    seen = 0
    assert rows[0].handovers == ()
    for row, following in pairwise(rows):
        moves = {move.link: move for move in following.handovers}
        for link in range(isls, isls + 12):
            before, after = row.peer[2 * link], following.peer[2 * link]
            assert (link in moves) == (before != after)
            if link in moves:
                assert (moves[link].before, moves[link].after) == (before, after)
                assert moves[link].t_s == following.step
                seen += 1
    assert seen > 12


def test_a_serving_satellite_stays_for_the_dwell() -> None:
    timeline = topo().timeline
    last: dict[int, float] = {}
    for move in timeline.handovers(0, 300):
        if move.link in last and move.before >= 0 and move.t_s - last[move.link] < 5:
            sight = timeline.sight(move.t_s, timeline.propagator.ecef(np.array([move.t_s]))[0])
            station = move.link - len(timeline.grid)
            serving = np.full(12, move.before, dtype=np.int32)
            assert not sight.sees(serving)[station], "left before its dwell although still visible"
        last[move.link] = move.t_s
    assert last


def test_routes_use_links_that_are_up_and_pass_through_no_station(rows: list[ScheduleRow]) -> None:
    made = topo()
    satellites = len(made.constellation)
    for row in rows[::17]:
        tails = row.peer.reshape(-1, 2)[:, ::-1].reshape(-1)
        for index, goal in enumerate(made.timeline.live):
            nodes = np.flatnonzero(row.next_end[index] >= 0)
            ends = row.next_end[index, nodes]
            assert row.up[ends].all()
            assert np.array_equal(tails[ends], nodes)
            heads = row.peer[ends]
            assert ((heads < satellites) | (heads == goal)).all()


def test_paths_are_the_sums_of_their_links(rows: list[ScheduleRow]) -> None:
    made = topo()
    row = rows[50]
    delays_s = route_delay_s(row, made.timeline.live, 1.0)
    for index, goal in enumerate(made.timeline.live):
        for other, source in enumerate(made.timeline.live):
            node, total_s = source, 0.0
            while node != goal:
                end = row.next_end[index, node]
                total_s += row.delay_end_s[end]
                node = row.peer[end]
            assert delays_s[other, index] == pytest.approx(total_s, abs=1e-12)


def test_routing_steps_hold_routes_but_follow_handovers() -> None:
    made = topo()
    often = list(made.timeline.rows(0, 40))
    seldom = list(topo(BuildOptions(routing_step_s=20.0)).timeline.rows(0, 40))
    satellites, changed = 384, 0
    for fresh, held in zip(often, seldom, strict=True):
        held_s, fresh_s = (route_delay_s(row, made.timeline.live) for row in (held, fresh))
        assert np.isfinite(held_s).all()
        assert (held_s >= fresh_s - 1e-12).all()
        assert np.array_equal(held.next_end[:, satellites:], fresh.next_end[:, satellites:])
        if held.step % 20 == 0:
            assert np.array_equal(held.next_end, fresh.next_end)
        changed += not np.array_equal(held.next_end, fresh.next_end)
    assert changed


def test_static_routes_stay_and_lose_what_hands_over() -> None:
    timeline = topo(BuildOptions(routing="static")).timeline
    rows = list(timeline.rows(0, 60))
    first = rows[0].next_end
    assert np.isfinite(route_delay_s(rows[0], timeline.live)).all()
    for row in rows:
        kept = row.next_end == first
        assert (row.next_end[~kept] == -1).all()
    assert any(row.handovers for row in rows)
    assert not np.isfinite(route_delay_s(rows[-1], timeline.live)).all()


def test_no_routing() -> None:
    timeline = topo(BuildOptions(routing="none")).timeline
    row = next(iter(timeline.rows(3, 1)))
    assert (row.next_end == -1).all()
    assert np.isinf(route_delay_s(row, timeline.live)[~np.eye(12, dtype=bool)]).all()


def test_many_live_nodes_are_routed_every_15_s() -> None:
    options = BuildOptions(materialise="all")
    tables = {"shell": {"planes": 24, "per_plane": 16, "phasing": 5}, "ground": {"stations": ["tokyo", "paris"],
              "min_elevation_deg": 15}}  # fmt: skip
    timeline = topo(options, **tables).timeline
    rows = list(timeline.rows(0, 17))
    assert rows[0].next_end.shape == (386, 386)
    assert all(np.isfinite(route_delay_s(row, timeline.live, 1.0)).all() for row in rows)
    satellites = [row.next_end[:384, :384] for row in rows]
    assert all(np.array_equal(routes, satellites[0]) for routes in satellites[:15])
    assert not np.array_equal(satellites[15], satellites[0])


def test_a_gap_in_coverage_takes_the_link_down_and_up_again() -> None:
    tables = {"shell": {"planes": 12, "per_plane": 8, "phasing": 1}, "ground": {"stations": ["tokyo", "paris"],
              "min_elevation_deg": 20}}  # fmt: skip
    made = topo(BuildOptions(duration_s=3600.0, step_s=10.0), **tables)
    rows = list(made.timeline.rows(0, 360))
    served = np.array([row.up[-4::2] for row in rows])
    assert served.any(axis=0).all()
    assert not served.all(axis=0).any()
    for row in rows:
        for station, node in enumerate((96, 97)):
            end = 2 * len(made.grid) + 2 * station
            if not row.up[end]:
                assert row.peer[end] == row.peer[end + 1] == -1
                assert (row.next_end[:, node] == -1).all()
                assert np.isinf(route_delay_s(row, made.timeline.live)[station, 1 - station])
    assert any(move.after == -1 for row in rows for move in row.handovers)


def test_remaining_pass_is_when_the_satellite_sets() -> None:
    timeline = topo(None, ground={"stations": ["paris"]}).timeline
    positions = timeline.propagator.ecef(np.zeros(1))[0]
    sight = timeline.sight(0.0, positions)
    few = sight.satellite[0, sight.visible[0]]
    left_s = sight.remaining_s(0, few)
    mask = np.sin(np.radians(25.0))
    for satellite, left in zip(few, left_s, strict=True):
        around = timeline.propagator.some([satellite]).ecef(np.array([0.5 * left, left - 1.5, left + 1.5]))[:, 0]
        along = around - timeline.stations.position[0]
        height = along @ timeline.stations.up[0] / np.linalg.norm(along, axis=1)
        assert (height >= mask).tolist() == [True, True, False]


def test_delays_of_the_ends_of_a_step_are_the_exact_geometry(rows: list[ScheduleRow]) -> None:
    timeline = topo().timeline
    grid = timeline.grid
    positions = timeline.propagator.ecef(np.array([77.0, 78.0]))
    isls = slice(0, 2 * len(grid), 2)
    for delay_s, position in ((rows[77].delay_start_s, positions[0]), (rows[77].delay_end_s, positions[1])):
        exact = distance(position[grid.a], position[grid.b]) / SPEED_OF_LIGHT_M_S
        assert np.abs(delay_s[isls] - exact).max() < 1e-12
