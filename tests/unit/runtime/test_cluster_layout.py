"""Layouts of scenarios on several hosts: what stays together, what is refused and where, expected and measured load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emulator.model.errors import DataError, ScenarioError, UsageError
from emulator.record.links import LINK_COLUMNS
from emulator.runtime.cluster.demand import HOP_S, PAIR_PACKETS_PER_S, PORT_S
from emulator.runtime.cluster.layout import Layout, differs, lay_out, owner_hash
from emulator.runtime.cluster.summary import summary
from emulator.scenario import load
from emulator.scenario.build import build_network

LINE = """
topology = "topologies.links"
duration = "3 s"
nodes = ["a", "b", "c", "d", "e", "f"]
link = [
  { a = "a", b = "b", delay = "5 ms" }, { a = "b", b = "c", delay = "5 ms" }, { a = "c", b = "d", delay = "DELAY" },
  { a = "d", b = "e", delay = "5 ms" }, { a = "e", b = "f", delay = "5 ms" },
]
"""
MOVING = """
topology = "topologies.leo"
duration = "60 s"
[shell]
walker = "53.0:384/24/5"
altitude = "550 km"
[ground]
stations = ["tokyo", "paris", "sydney", "london"]
min_elevation_deg = 15
"""
NAMELESS = """
[cluster]
together = [['a', 'g']]
program_cpu = { 'prob*' = 0.1 }
load = [{ from = 'a', to = 'g', packets = 1 }]
"""


def laid_out(folder: Path, text: str, hosts: int, measured: Path | None = None) -> tuple[dict[str, int], Layout]:
    """The host of each node by name, and all of the layout."""
    file = folder / "lab.toml"
    file.write_text(text)
    scenario = load(file)
    network = build_network(scenario)
    layout = lay_out(scenario, network, hosts, measured)
    owner = layout.partition.owner.tolist()
    return {node.name: owner[number] for number, node in enumerate(network.nodes)}, layout


def line(more: str = "", delay: str = "5 ms") -> str:
    return LINE.replace("DELAY", delay) + more


def test_a_line_is_cut_in_the_middle(tmp_path):
    owner, layout = laid_out(tmp_path, line(), 2)
    assert owner == {"a": 0, "b": 0, "c": 0, "d": 1, "e": 1, "f": 1}
    traffic = layout.demand.traffic
    over_the_middle = traffic.packets_per_s[(traffic.tail == 2) & (traffic.head == 3)]
    assert over_the_middle == pytest.approx(9 * PAIR_PACKETS_PER_S), "three nodes send to three others"
    sent_by_a, received_by_a = 5 * PAIR_PACKETS_PER_S, 5 * PAIR_PACKETS_PER_S
    assert layout.demand.engine[0] == pytest.approx(sent_by_a * HOP_S + (sent_by_a + received_by_a) * PORT_S)


def test_a_short_link_is_not_cut(tmp_path):
    owner, _ = laid_out(tmp_path, line(delay="0.9 ms"), 2)
    assert owner["c"] == owner["d"]
    owner, _ = laid_out(tmp_path, line("[cluster]\nmin_cross_delay = '0.5 ms'\n", "0.9 ms"), 2)
    assert owner["c"] != owner["d"]


def test_a_delay_that_an_action_sets_counts(tmp_path):
    action = "[[action]]\nat = '1 s'\ndo = 'set'\nlinks = ['d:*']\ndelay = '100 us'\n"
    owner, _ = laid_out(tmp_path, line(action), 2)
    assert owner["c"] == owner["d"] == owner["e"]


def test_names_that_stay_together_or_apart(tmp_path):
    owner, _ = laid_out(tmp_path, line("[cluster]\ntogether = [['a', 'f']]\napart = [['b', 'c'], ['d', 'e']]\n"), 2)
    assert owner["a"] == owner["f"]
    assert owner["b"] != owner["c"]
    assert owner["d"] != owner["e"]


@pytest.mark.parametrize(
    ("cluster", "key", "found"),
    [
        ("apart = [['a', 'b', 'c']]", "cluster.apart.0", "3 nodes on 2 hosts"),
        ("together = [['a', 'b']]\napart = [['d', 'e'], ['a', 'b']]", "cluster.apart.1", "a and b"),
        ("apart = [['a', 'b'], ['b', 'c'], ['a', 'c']]", "cluster.apart", "3 units apart, and no way found"),
    ],
)
def test_names_that_cannot_hold_are_refused_at_their_place(tmp_path, cluster, key, found):
    with pytest.raises(ScenarioError) as caught:
        laid_out(tmp_path, line(f"[cluster]\n{cluster}\n"), 2)
    (problem,) = caught.value.problems
    assert problem.key == key
    assert found in problem.found
    assert "lab.toml:" in problem.where


def test_names_that_match_nothing_are_refused(tmp_path):
    with pytest.raises(ScenarioError) as caught:
        laid_out(tmp_path, line(NAMELESS), 2)
    assert {problem.key for problem in caught.value.problems} == {
        "cluster.together.0.1",
        'cluster.program_cpu."prob*"',
        "cluster.load.0.to.0",
    }


def test_a_heavy_unit_is_refused_with_the_hosts_that_would_do(tmp_path):
    cluster = "[cluster]\ntogether = [['a', 'b', 'c', 'd', 'e']]\n"
    with pytest.raises(
        UsageError, match=r"--hosts 2: one unit of 5 nodes \(a, …\) holds \d\d% of the load.*most 1 host"
    ):
        laid_out(tmp_path, line(cluster), 2)
    short = line("[cluster]\nmin_cross_delay = '10 ms'\n").replace('"f", delay = "5 ms"', '"f", delay = "20 ms"')
    with pytest.raises(UsageError, match="joined by 4 links below 10 ms"):
        laid_out(tmp_path, short, 2)
    with pytest.raises(UsageError, match=r"--hosts 7: c alone holds 24% of the load; expected at most 6 hosts"):
        laid_out(tmp_path, line(), 7)
    programs = "[[program]]\nname = 'hard'\nnodes = 'a'\ncommand = 'sleep 1'\n[cluster]\nprogram_cpu = { hard = 2 }\n"
    with pytest.raises(UsageError, match="a alone holds 9"):
        laid_out(tmp_path, line(programs), 3)


def test_the_load_that_a_scenario_tells_follows_the_routes(tmp_path):
    load_of = """
[[cluster.load]]
from = "a"
to = ["b", "c"]
packets = 1000
[[cluster.load]]
from = ["a", "f"]
to = "c"
packets = 10
"""
    _, layout = laid_out(tmp_path, line(load_of), 2)
    traffic = layout.demand.traffic
    carried = dict(
        zip(zip(traffic.tail.tolist(), traffic.head.tolist(), strict=True), traffic.packets_per_s, strict=True)
    )
    assert carried == {(0, 1): 2010, (1, 2): 1010, (5, 4): 10, (4, 3): 10, (3, 2): 10}
    _, layout = laid_out(tmp_path, line(load_of).replace("duration =", "routing = 'none'\nduration ="), 2)
    assert layout.demand.traffic.packets_per_s.tolist() == [1000], "only a and b are neighbours"


def test_hosts_with_more_cores_get_more_and_keep_their_place(tmp_path):
    _, layout = laid_out(tmp_path, line("[cluster]\ncores = [1, 2, 64]\n"), 2)
    load_of = np.bincount(layout.partition.owner, layout.demand.cpu)
    assert (load_of / load_of.sum()).tolist() == pytest.approx([1 / 3, 2 / 3], abs=0.02)
    scenario = load(tmp_path / "lab.toml")
    shown = summary(scenario, build_network(scenario), layout, 0.0)
    assert [host["cores"] for host in shown["hosts"]] == [1, 2]
    assert shown["cut"]["balance"] == pytest.approx(1.0, abs=0.05)
    owner, _ = laid_out(tmp_path, line("[cluster]\ncores = [1, 1, 20]\n"), 3)
    assert set(owner.values()) == {0, 1, 2}, "also where a unit is more than a host's share"
    with pytest.raises(ScenarioError) as caught:
        laid_out(tmp_path, line("[cluster]\ncores = [3]\n"), 2)
    (problem,) = caught.value.problems
    assert (problem.key, problem.found) == ("cluster.cores", "the cores of 1 out of 2 hosts")
    assert "lab.toml:" in problem.where


def test_a_layout_that_is_not_the_earlier_one_is_told_apart(tmp_path):
    laid_out(tmp_path, line(), 2)
    scenario = load(tmp_path / "lab.toml")
    network = build_network(scenario)
    two, again, three = (owner_hash(network, lay_out(scenario, network, hosts).partition) for hosts in (2, 2, 3))
    assert two == again
    _, other = laid_out(tmp_path, line("[cluster]\ncores = [1, 2]\n"), 2)
    elsewhere = owner_hash(network, other.partition)
    laid_out(tmp_path, line(f"[cluster]\nowner_hash = '{two}'\n"), 2)
    kept = load(tmp_path / "lab.toml")
    assert [differs(kept, found) for found in (two, three, elsewhere)] == [False, False, True]
    assert not differs(scenario, two), "no run is known"


def test_programs_are_placed_by_their_processor_time(tmp_path):
    programs = """
[[program]]
name = "idle"
nodes = ["a", "b", "c"]
run = "nodes.traffic.probe:Probe"
[[program]]
name = "hard"
nodes = ["d", "e", "f"]
command = "sleep 1"
[cluster]
program_cpu = { "nodes.traffic*" = 0.1, "h*" = 0.5, "hard" = 9 }
"""
    owner, layout = laid_out(tmp_path, line(programs), 2)
    assert layout.demand.programs.tolist() == [0.1, 0.1, 0.1, 0.5, 0.5, 0.5]
    load = np.bincount(layout.partition.owner, layout.demand.cpu)
    assert load.max() / load.mean() < 1.2
    assert len({owner[name] for name in "def"}) == 2
    _, layout = laid_out(tmp_path, line(programs.partition("[cluster]")[0]), 2)
    assert layout.demand.programs.tolist() == [0.005] * 3 + [0.05] * 3


def test_a_constellation_is_cut_between_planes(tmp_path):
    owner, layout = laid_out(tmp_path, MOVING, 3)
    hosts_of_plane = [{owner[f"sat-{plane:02}{slot:02}"] for slot in range(1, 17)} for plane in range(1, 25)]
    assert all(len(hosts) == 1 for hosts in hosts_of_plane)
    near = layout.near
    cut = layout.partition.owner[near.a] != layout.partition.owner[near.b]
    assert near.shortest_s[cut].min() >= 0.001
    again, _ = laid_out(tmp_path, MOVING, 3)
    assert owner == again


def test_planes_are_cut_where_there_are_too_few(tmp_path):
    text = MOVING.replace("384/24/5", "384/3/1").replace("550 km", "2000 km")
    owner, _ = laid_out(tmp_path, text, 8)
    assert set(owner.values()) == set(range(8))
    owner, _ = laid_out(tmp_path, text, 3)
    planes = np.array(list(owner.values())[:384]).reshape(3, 128)
    assert (planes == planes[:, :1]).all()


def test_a_plane_is_cut_where_its_satellites_must_be_apart(tmp_path):
    owner, _ = laid_out(tmp_path, MOVING + "[cluster]\napart = [['sat-0101', 'sat-0109']]\n", 2)
    assert owner["sat-0101"] != owner["sat-0109"]


def test_a_station_stays_with_satellites_that_come_too_near(tmp_path):
    text = MOVING + "[cluster]\nmin_cross_delay = '2 ms'\n"
    _, layout = laid_out(tmp_path, text, 2)
    near = layout.near
    short = near.shortest_s < 0.002
    assert short.any()
    assert (layout.partition.owner[near.a[short]] == layout.partition.owner[near.b[short]]).all()


def run_folder(folder: Path, rows: list[tuple[float, str, int]]) -> Path:
    """A run folder with nothing but links.parquet: end of an interval of a second, link end, packets."""
    folder.mkdir()
    (folder / "scenario.toml").write_text("")
    empty = {name: "" if kind == "text" else 0 for name, kind in LINK_COLUMNS.items()}
    table = [empty | {"t_s": t_s, "interval_s": 1.0, "end": end, "sent_packets": packets} for t_s, end, packets in rows]
    types = {"text": pl.String, "f64": pl.Float64, "i64": pl.Int64}
    schema = {name: types[kind] for name, kind in LINK_COLUMNS.items()}
    pl.DataFrame(table, schema=schema).write_parquet(folder / "links.parquet")
    return folder


def test_packets_of_a_run_say_where_to_cut(tmp_path):
    busy = [
        (t_s, f"{node}:eth{port}", 1000)
        for t_s in (1.0, 2.0, 3.0)
        for node, port in (("a", 0), ("b", 0), ("b", 1), ("c", 0))
    ]
    run = run_folder(tmp_path / "run", [*busy, (2.0, "e:eth0", 3), (9.0, "e:eth1", 7000)])
    owner, layout = laid_out(tmp_path, line(), 2, run)
    assert layout.measured
    traffic = layout.demand.traffic
    entries = dict(
        zip(zip(traffic.tail.tolist(), traffic.head.tolist(), strict=True), traffic.packets_per_s, strict=True)
    )
    assert entries == pytest.approx({(0, 1): 1000, (1, 0): 1000, (1, 2): 1000, (2, 1): 1000, (4, 3): 1})
    assert owner["d"] == owner["e"] == owner["f"]


def test_packets_of_moving_links_go_to_the_satellite_of_their_time(tmp_path):
    _, layout = laid_out(tmp_path, MOVING, 2)
    file = tmp_path / "lab.toml"
    network = build_network(load(file))
    rows = {row.step: row for row in network.timeline.rows(0, 60)}
    end = next(end for end in range(2 * len(network.links)) if network.end_name(end) == "gs-paris:up")
    run = run_folder(
        tmp_path / "run", [(t_s, name, 60) for t_s in (1.0, 60.0) for name in ("gs-paris:up", "gs-paris:up~down")]
    )
    _, layout = laid_out(tmp_path, MOVING, 2, run)
    traffic, paris = layout.demand.traffic, network.links[end // 2].a
    first, last = int(rows[0].peer[end]), int(rows[59].peer[end])
    assert first != last
    found = sorted(zip(traffic.tail.tolist(), traffic.head.tolist(), traffic.packets_per_s.tolist(), strict=True))
    assert found == sorted([(paris, first, 1.0), (first, paris, 1.0), (paris, last, 1.0), (last, paris, 1.0)])


def test_a_run_of_another_network_is_refused(tmp_path):
    run = run_folder(tmp_path / "run", [(1.0, "z:eth0", 3)])
    with pytest.raises(DataError, match="link end z:eth0; expected a run of this scenario's network"):
        laid_out(tmp_path, line(), 2, run)
    with pytest.raises(DataError, match="no packets in the time of this scenario"):
        laid_out(tmp_path, line(), 2, run_folder(tmp_path / "other", []))
