"""Stations with several access links: which satellites they follow, what a run makes of them, and the routes."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from emulator.fabric.build import SHARED_PORT
from emulator.link.engine.tables import MemoryPort, memory_ports
from emulator.model.errors import DataError
from emulator.model.network import BuildOptions, ScheduleRow
from emulator.scenario import load
from emulator.scenario.build import build as build_scenario
from emulator.schedule.fib import FibCompiler
from emulator.schedule.routes import route_delay_s
from topologies.leo import Config, LeoTopology, build

SHELL = {"planes": 24, "per_plane": 16, "phasing": 5}
PLACES = ("london", "paris", "tokyo", "sydney")
STARLINK = {"stations": ["osnabrueck", "louvain"], "terminal": "starlink"}


def topo(options: BuildOptions | None = None, shell: dict | None = None, **ground) -> LeoTopology:
    tables = {"shell": shell or SHELL, "ground": {"stations": PLACES, "min_elevation_deg": 15, **ground}}
    return build(Config.model_validate(tables), options or BuildOptions())


def served(row: ScheduleRow, made: LeoTopology) -> np.ndarray:
    """Satellite of each antenna, station × antenna."""
    return row.peer[made.timeline.up_ends].reshape(len(made.places), made.antennas)


def test_a_station_with_several_antennas_has_one_interface() -> None:
    made = topo(antennas=3)
    network = made.network()
    isls, station = len(made.grid), len(made.constellation)
    assert [network.end_name(2 * (isls + n)) for n in range(4)] == [
        "gs-london:up0", "gs-london:up1", "gs-london:up2", "gs-paris:up0",
    ]  # fmt: skip
    assert network.end_name(2 * isls + 3) == "gs-london:up1~down"
    assert network.end_names(2 * isls + 3) == ("gs-london:up1~down", "gs-london:up~down")
    assert {link.a_port for link in network.links[isls:]} == {"up"}
    assert memory_ports(network) == [MemoryPort(station + n, SHARED_PORT) for n in range(4)]
    assert topo().network().end_name(2 * isls) == "gs-london:up"


def test_the_kernel_of_such_a_station_sends_all_by_its_one_port() -> None:
    made = topo(antennas="all")
    fib = FibCompiler(made.network())
    for row in made.timeline.rows(0, 20):
        for delta in fib.update(row.next_end):
            assert {end for _, _, end in delta.add} == {SHARED_PORT}
            assert row.step == 0, "a handover changes no kernel route"


def test_all_in_view_is_all_in_view() -> None:
    made = topo(BuildOptions(duration_s=120.0), antennas="all")
    most = 0
    for row in made.timeline.rows(0, 120):
        positions = made.timeline.propagator.ecef(np.array([float(row.step)]))[0]
        sight = made.timeline.sight(float(row.step), positions)
        for station, held in enumerate(served(row, made)):
            visible = set(sight.satellite[station, sight.visible[station]].tolist())
            assert set(held[held >= 0].tolist()) == visible
            assert len(held[held >= 0]) == len(visible)
            most = max(most, len(visible))
    assert made.antennas == most > 3


@pytest.mark.parametrize("antennas", [2, 4])
def test_antennas_follow_the_best_ones_of_a_policy(antennas: int) -> None:
    made = topo(antennas=antennas, min_dwell="0 s")
    for row in made.timeline.rows(0, 60):
        positions = made.timeline.propagator.ecef(np.array([float(row.step)]))[0]
        sight = made.timeline.sight(float(row.step), positions)
        for station, held in enumerate(served(row, made)):
            seen = np.flatnonzero(sight.visible[station])
            best = seen[np.argsort(-sight.sin_elevation[station, seen], kind="stable")][:antennas]
            assert set(held[held >= 0].tolist()) == set(sight.satellite[station, best].tolist())


@pytest.mark.parametrize("policy", ["nearest", "highest_elevation", "longest_pass"])
def test_an_antenna_keeps_its_satellite_for_the_dwell(policy: str) -> None:
    made = topo(antennas=3, min_dwell="5 s", policy=policy)
    since: dict[int, float] = {}
    moves = list(made.timeline.handovers(0, 200))
    for move in moves:
        if move.before >= 0 and move.t_s - since.get(move.link, -5.0) < 5:
            sight = made.timeline.sight(move.t_s, made.timeline.propagator.ecef(np.array([move.t_s]))[0])
            station = (move.link - len(made.grid)) // 3
            assert not sight.sees(np.full(4, move.before, dtype=np.int32))[station]
        since[move.link] = move.t_s
    together = {(move.t_s, (move.link - len(made.grid)) // 3, move.before) for move in moves if move.before >= 0}
    swapped = {(move.t_s, (move.link - len(made.grid)) // 3, move.after) for move in moves if move.after >= 0}
    assert moves
    assert not together & swapped, "a satellite that serves on stays with its antenna"


@pytest.mark.parametrize("antennas", [1, 3, "all"])
@pytest.mark.parametrize("routing", ["least-delay", "static"])
def test_a_row_depends_on_its_number_alone(antennas: int | str, routing: str) -> None:
    options = BuildOptions(routing=routing, routing_step_s=7.0)
    whole = list(topo(options, antennas=antennas).timeline.rows(0, 80))
    fresh = topo(options, antennas=antennas).timeline
    for first, count in ((73, 2), (10, 3), (0, 1), (64, 2)):
        for row in fresh.rows(first, count):
            other = whole[row.step]
            assert row.handovers == other.handovers
            assert np.array_equal(row.peer, other.peer)
            assert np.array_equal(row.next_end, other.next_end)


def test_between_routing_steps_routes_use_links_that_are_there() -> None:
    often = topo(antennas="all").timeline
    seldom = topo(BuildOptions(routing_step_s=20.0), antennas="all").timeline
    later = 0
    for fresh, held in zip(often.rows(0, 60), seldom.rows(0, 60), strict=True):
        fresh_s, held_s = (route_delay_s(row, often.live) for row in (fresh, held))
        assert np.isfinite(held_s).all()
        assert (held_s >= fresh_s - 1e-12).all()
        used = held.next_end[held.next_end >= 0]
        assert held.up[used].all()
        later += bool((held_s > fresh_s + 1e-12).any())
    assert later


def test_london_and_paris_meet_at_one_satellite_or_two() -> None:
    """The bundled scenario: one antenna sends this pair through half the mesh."""
    network = build_scenario(load("leo")).network
    assert network.timeline is not None
    names = [network.nodes[node].name for node in network.live]
    london, paris = names.index("gs-london"), names.index("gs-paris")
    for row in network.timeline.rows(0, 60):
        delay_s = route_delay_s(row, network.live, 0.0, [london, paris], [london, paris])
        assert delay_s[0, 1] + delay_s[1, 0] < 0.015


def test_the_first_antenna_of_a_starlink_terminal_is_the_terminal() -> None:
    """Slots draw a satellite for each antenna, all different; the first one has the draws that it has alone."""
    shell = {"preset": "starlink-1"}
    one, three = (topo(shell=shell, **STARLINK, antennas=antennas) for antennas in (1, 3))
    assert one.access.model is not None
    assert three.access.model is not None
    assert three.access.model.names == (
        "osnabrueck", "osnabrueck/1", "osnabrueck/2", "louvain", "louvain/1", "louvain/2",
    )  # fmt: skip
    for alone, row in zip(one.timeline.rows(0, 16), three.timeline.rows(0, 16), strict=True):
        first = served(row, three)[:, 0]
        assert np.array_equal(first, served(alone, one)[:, 0]) or row.step, "drawn first at the first slot"
        assert all(len(set(held.tolist())) == 3 for held in served(row, three))
        assert alone.substep is not None
        assert row.substep is not None
        assert row.substep.count.shape == (12,)
        used = int(alone.substep.count[0])
        assert row.substep.count[0] == used
        assert np.array_equal(row.substep.rate_bps[0, :used], alone.substep.rate_bps[0, :used])
        assert not np.array_equal(row.substep.rate_bps[0, :used], row.substep.rate_bps[2, :used])


def test_every_antenna_has_a_gateway_of_its_own() -> None:
    tables = {
        "shell": {"preset": "starlink-1"}, "ground": {**STARLINK, "antennas": 2},
        "gateways": {"sites": "near", "antennas": 4},
    }  # fmt: skip
    made = build(Config.model_validate(tables), BuildOptions(duration_s=60.0))
    for instant in made.timeline.instants(0, 30):
        assignment = instant.assignment
        assert assignment is not None
        assert assignment.gateway.shape == (4,)
        antenna = assignment.satellite.reshape(-1, 4)
        for satellite, gateway in zip(instant.held.satellite.tolist(), assignment.gateway.tolist(), strict=True):
            assert gateway < 0 or satellite in antenna[gateway]


def test_range_bounds_what_is_in_view() -> None:
    made = topo(antennas="all", min_elevation_deg=0, max_range="1400 km")
    for row in made.timeline.rows(0, 5):
        assert row.delay_start_s[made.timeline.up_ends].max() <= 1400e3 / 299_792_458.0
        assert (served(row, made) >= 0).any()


def test_plan_lists_every_access_link() -> None:
    made = topo(antennas="all")
    facts = made.describe(0.0)
    assert (facts["ground"]["antennas"], facts["ground"]["all_in_view"]) == (made.antennas, True)
    for station in facts["stations"]:
        assert len(station["access"]) == station["visible"]
        assert station["delay_ms"] == min(link["delay_ms"] for link in station["access"])
        assert station["serving"] in {link["serving"] for link in station["access"]}


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValidationError, match="whose slots assign satellites"):
        topo(**STARLINK, antennas="all")
    with pytest.raises(ValidationError, match="antennas"):
        topo(antennas=65)
    with pytest.raises(DataError, match=r"expected ground\.antennas = 1, or another routing"):
        topo(BuildOptions(routing="none"), antennas="all")
