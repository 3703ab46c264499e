"""The satellite topology: names, ports, addresses, numbers; and what it refuses to build."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from emulator.model.errors import DataError
from emulator.model.network import BuildOptions
from emulator.schedule.routes import route_delay_s
from topologies.leo import Config, LeoTopology, build

ORBITS = Path(__file__).resolve().parents[5] / "shared/data/orbits/tle"
A1 = "1 44238U 19029D   22257.46316094  .00217935  00000+0  35067-2 0  9992"
A2 = "2 44238  53.0028  47.8601 0007663 290.4472  69.5712 15.51686006181960"


def topo(options: BuildOptions | None = None, **tables) -> LeoTopology:
    return build(Config.model_validate(tables), options or BuildOptions())


@pytest.fixture(scope="module")
def starlink() -> LeoTopology:
    return topo()


def test_nodes_and_links_stand_in_order(starlink: LeoTopology) -> None:
    network = starlink.network()
    assert len(network.nodes) == 1596
    assert len(network.links) == 3180
    assert network.nodes[57].name == "sat-0314"
    assert network.nodes[1584].name == "gs-auckland"
    assert network.live == list(range(1584, 1596))
    assert network.timeline is starlink.timeline
    grid = starlink.grid
    for number in (0, 1583, 1584, 3167):
        link = network.links[number]
        assert (link.a, link.b) == (grid.a[number], grid.b[number])
        assert (link.a_port, link.b_port) == (f"isl{grid.a_port[number]}", f"isl{grid.b_port[number]}")
    assert [link.moving for link in network.links] == [False] * 3168 + [True] * 12
    assert network.end_name(2 * 3168) == "gs-auckland:up"
    assert network.end_name(2 * 3168 + 1) == "gs-auckland:up~down"


def test_addresses_are_unique_and_readable(starlink: LeoTopology) -> None:
    nodes = starlink.network().nodes
    assert len({node.ipv4 for node in nodes}) == len({node.ipv6 for node in nodes}) == len(nodes)
    node = {node.name: node for node in nodes}
    assert node["sat-0312"].ipv4 == "10.3.12.1"
    assert node["gs-tokyo"].ipv4.startswith("10.255.")
    assert node["gs-tokyo"].position == (35.68, 139.69)


@pytest.mark.parametrize("shell", [{"planes": 200, "per_plane": 3, "phasing": 0},
                                   {"planes": 3, "per_plane": 300, "phasing": 0}])  # fmt: skip
def test_addresses_of_wide_and_of_deep_shells(shell) -> None:
    network = topo(BuildOptions(duration_s=86400.0), shell=shell, ground={"stations": ["paris"]}).network()
    assert len({node.ipv4 for node in network.nodes}) == len(network.nodes)


def test_satellites_live_where_the_scenario_says_so() -> None:
    options = BuildOptions(materialise=("sat-01*",))
    made = topo(options, shell={"planes": 6, "per_plane": 11, "phasing": 1}, ground={"min_elevation_deg": 0})
    network = made.network()
    assert [network.nodes[node].name for node in network.live[:11]] == [f"sat-01{slot:02}" for slot in range(1, 12)]
    row = next(iter(made.timeline.rows(0, 1)))
    assert row.next_end.shape == (len(network.live), len(network.nodes))
    assert made.timeline.live.tolist() == network.live


def test_epoch_moves_the_satellites() -> None:
    other = topo(shell={"epoch": datetime(2026, 1, 1, 1)})
    assert other.constellation.epoch.text() == "2026-01-01T01:00:00Z"
    assert topo().constellation.epoch.text() == "2026-01-01T00:00:00Z"


def test_a_station_that_never_sees_a_satellite_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        topo(ground={"stations": ["tokyo", "svalbard", "mcmurdo"]})
    text = str(caught.value)
    assert "gs-svalbard never sees a satellite of 53°:1584/72/17 at 550 km" in text
    assert "latitude 78.22°" in text
    assert "inclined by 53.0°" in text
    assert "ground.min_elevation_deg" in text
    assert "gs-mcmurdo" in text
    assert "gs-tokyo" not in text


def test_a_station_that_sees_one_later_is_built() -> None:
    """One satellite: Paris sees it at some time of the first day, not in the first minute."""
    tables = {"shell": {"planes": 1, "per_plane": 1, "phasing": 0}, "ground": {"stations": ["paris"]}}
    with pytest.raises(DataError, match="Let the run last longer"):
        topo(BuildOptions(duration_s=60.0), **tables)
    made = topo(BuildOptions(duration_s=86_400.0), **tables)
    assert next(iter(made.timeline.rows(0, 1))).peer.tolist() == [-1, -1]


def test_no_isls() -> None:
    made = topo(isl={"pattern": "none"})
    assert len(made.grid) == 0
    row = next(iter(made.timeline.rows(0, 1)))
    assert len(row.up) == 24
    shared = row.peer[::2][:, None] == row.peer[::2][None, :]
    reached = np.isfinite(route_delay_s(row, made.timeline.live))
    assert np.array_equal(reached, shared)  # only stations under one satellite reach each other


def test_facts_of_an_instant(starlink: LeoTopology) -> None:
    facts = starlink.describe(30.25)
    assert facts["shell"]["satellites"] == 1584
    assert facts["isl"]["up"] == 3168
    for station in facts["stations"]:
        assert station["serving"].startswith("sat-")
        assert station["elevation_deg"] > 24.5  # the mask holds at the start of the step
        assert 540 < station["range_km"] < 1150
        assert station["visible"] >= 1


class TestElementSets:
    def write(self, tmp_path, text: str):
        (tmp_path / "sets.tle").write_text(text)
        return BuildOptions(directory=str(tmp_path))

    def test_a_bad_line_stops_the_build_unless_skipped(self, tmp_path) -> None:
        options = self.write(tmp_path, f"{A1[:-1]}7\n{A2}\n")
        with pytest.raises(DataError, match=r"sets.tle:1 "):
            topo(options, shell={"elements": "sets.tle"})

    def test_one_satellite(self, tmp_path) -> None:
        options = self.write(tmp_path, f"{A1}\n{A2}\n")
        with pytest.raises(DataError, match=r"never sees a satellite of sets\.tle"):
            topo(options, shell={"elements": "sets.tle"}, ground={"stations": ["mcmurdo"]})

    @pytest.mark.skipif(not ORBITS.is_dir(), reason="reference data ../shared/data/orbits/tle is absent")
    def test_the_real_starlink_of_a_day(self) -> None:
        made = topo(BuildOptions(directory=str(ORBITS)), shell={"elements": "starlink-2022-09-14.tle"})
        network = made.network()
        assert len(network.nodes) == 3023 + 12
        assert network.nodes[0].name == "sat-44238"
        row = next(iter(made.timeline.rows(0, 1)))
        delays_s = route_delay_s(row, made.timeline.live)
        assert delays_s[~np.eye(12, dtype=bool)].min() > 0.001
        assert delays_s.max() < 0.4
        assert made.describe(0.0)["shell"]["not_placed"] == 2  # decayed on that day


def test_routes_to_neighbours_only_are_not_for_constellations() -> None:
    with pytest.raises(DataError, match="expected 'least-delay'"):
        topo(BuildOptions(routing="neighbours"))
