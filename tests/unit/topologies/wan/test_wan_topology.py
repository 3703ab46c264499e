"""Scenarios of `topologies.wan`: who is where, what lies between, and what is refused."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.errors import DataError, ScenarioError
from emulator.model.network import BuildOptions, Network, ScheduleRow
from emulator.scenario import build_topology, load
from emulator.schedule.routes import route_delay_s
from topologies.wan import Wan, WanTimeline
from topologies.wan.maps import MAPS, WanMap, csv, from_file

SCENARIO = """
topology = "topologies.wan"
duration = "20 s"
[wan]
hosts = 7
rate = "5 Mbit/s"
loss = "1 %"
jitter = "2 ms"
"""
MATRIX = """# round trips, ms
from,  paris, tokyo, lima
paris, 2,     210,   170
lima,  ,      190,   0
tokyo, 212,   0,
"""


def network(folder: Path, text: str = SCENARIO, *overrides: str) -> Network:
    (folder / "wan.toml").write_text(text)
    scenario = load(folder / "wan.toml", overrides)
    return build_topology(scenario).network()


def first_row(built: Network) -> ScheduleRow:
    assert built.timeline is not None
    return next(iter(built.timeline.rows(0, 1)))


def walk(built: Network, row: ScheduleRow, source: int, goal: int) -> tuple[list[str], float]:
    """Nodes on the way, and its delay, as the relay would find them."""
    at, nodes, delay_s = source, [built.nodes[source].name], 0.0
    while at != goal:
        end = int(row.next_end[built.live.index(goal), at])
        link = built.links[end // 2]
        assert at == (link.b if end % 2 else link.a), "the end belongs to the node that sends on it"
        at = link.a if end % 2 else link.b
        assert at == row.peer[end]
        nodes.append(built.nodes[at].name)
        delay_s += row.delay_start_s[end]
    return nodes, delay_s


def test_hosts_are_dealt_to_the_sites_in_turn(tmp_path: Path) -> None:
    built = network(tmp_path)
    sites = list(MAPS["five-regions"].sites)
    assert [node.name for node in built.nodes] == [f"v{number}" for number in range(7)] + sites
    assert [node.name for node in built.nodes if not node.live] == sites
    assert [built.nodes[link.b].name for link in built.links[:7]] == [*sites, *sites[:2]]
    assert built.end_name(0) == "v0:up"
    assert built.end_name(14) == "us-east-1:eu-north-1"
    assert built.extra["sites"]["us-east-1"] == ["v0", "v5"]


def test_every_pair_is_as_far_apart_as_was_measured(tmp_path: Path) -> None:
    built = network(tmp_path)
    row, map = first_row(built), MAPS["five-regions"]
    delays_s = route_delay_s(row, built.live)
    for a in range(7):
        for b in range(7):
            if a != b:
                nodes, delay_s = walk(built, row, a, b)
                wanted_s = map.rtt_ms[a % 5][b % 5] / 2e3 or 0.0005
                assert delay_s == pytest.approx(wanted_s) == pytest.approx(delays_s[a, b])
                assert len(nodes) == (3 if a % 5 == b % 5 else 4), "never over a third site, where that is quicker"
    assert map.rtt_ms[1][4] > map.rtt_ms[1][0] + map.rtt_ms[0][4], "from Stockholm to Tokyo it would be"


def test_rate_belongs_to_access_links_and_loss_to_trunks(tmp_path: Path) -> None:
    built = network(tmp_path)
    row = first_row(built)
    for end in range(2 * len(built.links)):
        access = end < 14
        assert row.rate_bps[end] == (5e6 if access else float("inf"))
        assert row.loss[end] == (0.0 if access else 0.01)
        assert built.end_spec(end).effects.jitter_s == (0.0 if access else 0.002)
        assert built.end_spec(end).effects.queue_s == 0.1


def test_sites_without_a_host_are_left_out(tmp_path: Path) -> None:
    built = network(tmp_path, SCENARIO, "wan.hosts=2", 'wan.sites=["us-west-1", "eu-north-1", "us-east-1"]')
    assert [node.name for node in built.nodes] == ["v0", "v1", "us-west-1", "eu-north-1"]
    assert route_delay_s(first_row(built), built.live)[0, 1] == pytest.approx(0.16293 / 2)


def test_routers_may_be_live_and_are_reached(tmp_path: Path) -> None:
    built = network(tmp_path, SCENARIO, "materialise=all")
    row = first_row(built)
    assert walk(built, row, 8, 11)[0] == ["eu-north-1", "ap-northeast-1"]
    assert walk(built, row, 11, 1)[0] == ["ap-northeast-1", "eu-north-1", "v1"]
    assert walk(built, row, 1, 8)[0] == ["v1", "eu-north-1"]


def test_no_routes(tmp_path: Path) -> None:
    assert (first_row(network(tmp_path, SCENARIO, "routing=none")).next_end == -1).all()
    with pytest.raises(DataError, match="'neighbours' with"):
        network(tmp_path, SCENARIO, "routing=neighbours")


def test_a_matrix_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "three.csv").write_text(MATRIX)
    built = network(tmp_path, SCENARIO.replace("hosts = 7", 'hosts = 6\nmatrix = "three.csv"\nprefix = "node-"'))
    row = first_row(built)
    assert [node.name for node in built.nodes][:6] == [f"node-{number}" for number in range(6)]
    ways_ms = {(0, 1): 105, (1, 0): 106, (0, 2): 85, (2, 0): 85, (1, 2): 95, (2, 1): 95, (0, 3): 1, (1, 4): 0.5}
    for (a, b), way_ms in ways_ms.items():
        assert walk(built, row, a, b)[1] * 1e3 == pytest.approx(way_ms)


def test_rows_may_stand_without_names() -> None:
    assert csv("a,b\n0,3\n4,0\n", "x") == csv(",b,a\nb,0,4\na,3,0\n", "x").part(["a", "b"])


def test_long_site_names_give_numbered_ports(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("germanywestcentral,b\n0,3\n4,0\n")
    built = network(tmp_path, SCENARIO.replace("hosts = 7", 'hosts = 2\nmatrix = "long.csv"'))
    assert built.end_name(4) == "germanywestcentral:site1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 rows; expected a header"),
        ("a,b\n1,2\n", "2 rows; expected a header"),
        ("a,b\n0,2\n2,0\n3,3\n", "3 rows for 2 sites"),
        (",a,b\na,0,2\n", "expected a header of site names"),
        (",a,a\na,0,2\na,2,0\n", "x:1: site 'a' twice"),
        (",a,b\na,0,2\nc,2,0\n", "x:3: a row of 'c'; expected one row for each of a, b"),
        (",a,b\na,0,2\na,2,0\n", "x:3: a second row of 'a'"),
        (",a,b\na,0,2\nb,2\n", "x:3: 1 cells; expected 2"),
        (",a,b\na,0,soon\nb,2,0\n", "x:2: a to b: found 'soon'; expected a round trip in milliseconds"),
        (",a,b\na,0,-1\nb,2,0\n", "found '-1'"),
        (",a,b\na,0,nan\nb,2,0\n", "found 'nan'"),
        (",a,b\na,0,1e999\nb,2,0\n", "found '1e999'"),
        (",a,b\na,0,\nb,,0\n", "no round trip between a and b"),
        (",a,b\na,0,0\nb,2,0\n", "a round trip of 0 ms between a and b"),
        (",a,b/c\na,0,1\nb/c,2,0\n", "site 'b/c'; expected a name"),
    ],
)
def test_matrices_that_are_none(text: str, said: str) -> None:
    with pytest.raises(DataError, match=r"^x") as caught:
        csv(text, "x")
    assert said in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "bytes.csv").write_bytes(b"a,b\n\xff")
    for name, said in (("bytes.csv", "not a text file"), ("missing.csv", "cannot be read: No such file")):
        with pytest.raises(DataError, match=said):
            from_file(tmp_path / name)
        with pytest.raises(DataError, match=said):
            network(tmp_path, SCENARIO + f'matrix = "{name}"\n')


@pytest.mark.parametrize(
    ("line", "key", "said"),
    [
        ("hosts = 0", "wan.hosts", "at least 1"),
        ('map = "mars"', "wan.map", "five-regions"),
        ('map = "five-regions"\nmatrix = "x.csv"', "wan", "both `map` and `matrix`; expected one of them"),
        ('sites = ["us-east-1", "narnia"]', "wan", "site 'narnia'; expected sites of us-east-1"),
        ('sites = ["us-east-1", "us-east-1"]', "wan", "twice"),
        ('local = "unlimited"', "wan", "`local` unlimited"),
        ('rate = "0 bit/s"', "wan", "rate above 0"),
        ('loss = "101 %"', "wan.loss", "at most 100 %"),
        ('queue = "many"', "wan.queue", "expected"),
        ("hubs = 3", "wan.hubs", "expected"),
    ],
)
def test_mistakes(tmp_path: Path, line: str, key: str, said: str) -> None:
    (tmp_path / "wan.toml").write_text(f'topology = "topologies.wan"\n[wan]\n{line}\n')
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "wan.toml")
    problem = caught.value.problems[0]
    assert problem.key.startswith(key)
    assert said in f"{problem.found}; expected {problem.expected}"


def test_sites_too_near_for_their_own_hosts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"59\.91 ms apart \(round trip\), less than hosts of one site"):
        network(tmp_path, SCENARIO, "wan.local=30 ms")


def test_a_host_cannot_have_the_name_of_a_site(tmp_path: Path) -> None:
    (tmp_path / "named.csv").write_text("v0,v1\n0,3\n4,0\n")
    with pytest.raises(DataError, match="host 'v0' has the name of a site"):
        network(tmp_path, SCENARIO + 'matrix = "named.csv"\n')


@st.composite
def matrices(draw: st.DrawFn) -> WanMap:
    """Any round trips, in either direction another one."""
    count = draw(st.integers(2, 6))
    names = draw(st.permutations([f"site-{number}" for number in range(count)]))
    times = st.floats(2.0, 500.0, allow_nan=False)
    rows = [[draw(times) if a != b else draw(st.sampled_from((0.0, 1.5))) for b in range(count)] for a in range(count)]
    return WanMap(tuple(names), tuple(map(tuple, rows)))


@given(matrices(), st.booleans(), st.randoms())
def test_a_map_is_read_back_from_its_text(map: WanMap, labelled: bool, random: Random) -> None:
    rows = [
        ",".join([*([site] if labelled else []), *(repr(value) for value in map.rtt_ms[place])])
        for place, site in enumerate(map.sites)
    ]
    if labelled:
        random.shuffle(rows)
    header = ",".join(["from", *map.sites] if labelled else map.sites)
    assert csv("\n".join([header, *rows]), "x") == map


@given(matrices(), st.integers(2, 12))
def test_any_map_is_played_as_it_was_measured(map: WanMap, hosts: int) -> None:
    table = Wan.model_validate({"hosts": hosts, "local": "0.1 ms"})
    count = len(map.sites)
    row = next(
        WanTimeline(
            table, map, [host % len(map.sites) for host in range(hosts)], list(range(hosts)), BuildOptions()
        ).rows(7, 1)
    )
    assert row.step == 7
    delays_s = route_delay_s(row, range(hosts))
    for a in range(hosts):
        for b in range(hosts):
            wanted_s = map.one_way_s(a % count, b % count) or 0.0001
            assert delays_s[a, b] == pytest.approx(wanted_s if a != b else 0.0)


@given(st.text("ab,0.-#\n ", max_size=60))
def test_any_text_is_a_map_or_told_what_was_wanted(text: str) -> None:
    said = ""
    try:
        map = csv(text, "x")
    except DataError as error:
        said = str(error)
    if said:
        assert "expected" in said
    else:
        assert all(map.rtt_ms[a][b] > 0 for a in range(len(map.sites)) for b in range(len(map.sites)) if a != b)
