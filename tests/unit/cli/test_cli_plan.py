"""`skyloom plan`: the same facts as text and as JSON, the right exit codes, and plans of networks that do not move."""

from __future__ import annotations

import json
import sys

import pytest

from emulator.cli import main

SCENARIO = """
topology = "topologies.leo"
duration = "120 s"
[shell]
walker = "53.0:384/24/5"
altitude = "550 km"
[ground]
stations = ["tokyo", "paris", "sydney"]
min_elevation_deg = 15
min_dwell = "5 s"
"""
MININET = """
from mininet.topo import Topo

class Line(Topo):
    def build(self):
        a, s, b = self.addHost("a"), self.addSwitch("s1"), self.addHost("b")
        self.addLink(a, s, delay="5ms")
        self.addLink(s, b, delay="7ms")
"""


@pytest.fixture
def plan(tmp_path, monkeypatch, capsys):
    """Runs `skyloom plan` in a folder with a scenario and a Mininet file: (exit code, stdout, stderr)."""
    (tmp_path / "small.toml").write_text(SCENARIO)
    (tmp_path / "line.py").write_text(MININET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["skyloom", "plan", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_json_of_the_whole_run(plan) -> None:
    code, out, err = plan("small.toml", "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert facts["scenario"] == "small"
    assert facts["shell"]["label"] == "53°:384/24/5 at 550 km"
    assert (facts["nodes"], facts["live_nodes"], facts["ports"], facts["links"]) == (387, 3, 3, 771)
    assert [station["name"] for station in facts["stations"]] == ["gs-tokyo", "gs-paris", "gs-sydney"]
    assert [(row["from"], row["to"]) for row in facts["routes"]] == [
        ("gs-tokyo", "gs-paris"), ("gs-tokyo", "gs-sydney"), ("gs-paris", "gs-sydney"),
    ]  # fmt: skip
    for row in facts["routes"]:
        assert row["hops"] == len(row["path"]) - 1
        assert row["path"][0] == row["from"]
        assert row["path"][-1] == row["to"]
        assert all(name.startswith("sat-") for name in row["path"][1:-1])
        assert 10 < row["delay_ms"] < 200
        assert row["delay_back_ms"] == pytest.approx(row["delay_ms"])
    assert facts["handovers"]
    assert all(0 < move["t_s"] < 120 and move["before"] != move["after"] for move in facts["handovers"])
    assert facts["handovers_until_s"] == 120
    assert facts["schedule"]["row_s"] > 0


def test_the_first_hop_of_a_path_is_the_serving_satellite(plan) -> None:
    facts = json.loads(plan("small.toml", "--at", "30.5s", "--json")[1])
    serving = {station["name"]: station["serving"] for station in facts["stations"]}
    for row in facts["routes"]:
        assert row["path"][1] == serving[row["from"]]
        assert row["path"][-2] == serving[row["to"]]
    assert facts["at_s"] == 30.5


def test_delays_of_an_instant_lie_between_those_of_its_step(plan) -> None:
    start, middle = (json.loads(plan("small.toml", "--at", at, "--json")[1])["routes"] for at in ("20s", "20.5s"))
    for one, other in zip(start, middle, strict=True):
        assert one["path"] == other["path"]
        assert abs(one["delay_ms"] - other["delay_ms"]) < 0.05
        assert one["delay_ms"] != other["delay_ms"]


def test_text_has_the_facts_of_the_json(plan) -> None:
    facts = json.loads(plan("small.toml", "--json")[1])
    code, out, _ = plan("small.toml")
    assert code == 0
    for station in facts["stations"]:
        assert station["name"] in out
        assert station["serving"] in out
        assert f"{station['delay_ms']:.3f} ms" in out
    for row in facts["routes"][:2]:
        assert f"{row['delay_ms']:.3f} ms" in out
        assert row["path"][1] in out
    assert f"{len(facts['handovers'])} handovers in 120 s" in out


def test_paths_of_a_chosen_end_point(plan) -> None:
    out = plan("small.toml", "--route", "gs-par*")[1]
    assert "paths of gs-par*" in out
    assert "1 more pairs" in out


def test_overrides_and_duration(plan) -> None:
    facts = json.loads(plan("small.toml", "--json", "--duration", "10 s", "--set", "ground.policy='nearest'")[1])
    assert facts["duration_s"] == 10
    assert facts["ground"]["policy"] == "nearest"
    assert all(move["t_s"] < 10 for move in facts["handovers"])


def test_pairs_without_a_route_are_a_problem(plan) -> None:
    facts = json.loads(plan("small.toml", "--json", "--set", "isl.pattern='none'")[1])
    assert facts["routes"][0]["delay_ms"] is None
    assert facts["routes"][0]["path"] == []
    assert "pairs have no route" in facts["problems"][0]
    assert "pairs have no route" in plan("small.toml", "--set", "isl.pattern='none'")[1]


@pytest.mark.parametrize(("words", "code", "part"), [
    (("small.toml", "--at", "30"), 64, "without a unit"),
    (("small.toml", "--at", "121s"), 64, "the run ends at 120 s"),
    (("nowhere.toml",), 64, "nowhere.toml"),
    ((), 64, "name one scenario"),
    (("small.toml", "--set", "shell.planes=0"), 65, "at least 1"),
    (("small.toml", "--elements", "none.tle"), 65, "cannot be read"),
    (("small.toml", "--set", "ground.stations=['svalbard']"), 65, "never sees a satellite"),
])  # fmt: skip
def test_bad_input_ends_with_its_code_and_no_traceback(plan, words, code: int, part: str) -> None:
    ended, out, err = plan(*words)
    assert ended == code
    assert out == ""
    assert part in err
    assert "Traceback" not in err


def test_a_mininet_file_has_a_plan_too(plan) -> None:
    facts = json.loads(plan("--topo", "line.py", "--json")[1])
    assert (facts["nodes"], facts["links"]) == (3, 2)
    assert facts["routes"] == []  # left to the hosts
    assert "handovers" not in facts
    assert "feasibility" in plan("--topo", "line.py")[1]
    routed = json.loads(plan("--topo", "line.py", "--json", "--set", "routing='least-delay'")[1])["routes"]
    assert routed[0]["delay_ms"] == pytest.approx(12.0)
    assert routed[0]["path"] == ["a", "s1", "b"]


def test_a_site_shows_what_each_slot_assigns(plan) -> None:
    words = ("small.toml", "--site", "52.27,8.05", "--start", "2026-11-23T18:00:00Z", "--duration", "40s")
    code, out, err = plan(*words, "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert facts["shell"]["epoch"] == "2026-11-23T18:00:00Z"
    assert [station["name"] for station in facts["stations"]] == ["gs-site"]
    assert [slot["utc"][11:19] for slot in facts["slots"]] == ["18:00:00", "18:00:12", "18:00:27"]
    for slot in facts["slots"]:
        assert slot["serving"].startswith("sat-")
        assert 15 <= slot["elevation_deg"] <= 90
        assert 500 < slot["range_km"] < 1800
        assert slot["gateway"] in facts["ground"]["gateways"]
        assert 500 < slot["feeder_km"] < 1500
    text = plan(*words)[1]
    for slot in facts["slots"]:
        assert slot["gateway"] in text
        assert f"{slot['elevation_deg']:.1f}°" in text


def test_rain_is_read_where_the_command_stands(plan, tmp_path) -> None:
    (tmp_path / "rain.csv").write_text("t,rain_mm_h,station\n0,4,gs-paris\n")
    words = ("small.toml", "--set", "ground.terminal=starlink", "--weather")
    assert plan(*words, "rain.csv", "--json")[0] == 0
    (tmp_path / "rain.csv").write_text("t,rain_mm_h,station\n0,4,gs-rome\n")
    code, _, err = plan(*words, "rain.csv")
    assert code == 65
    assert "rain.csv:2: 'rome' is no station" in err
    assert plan(*words, "none.csv")[0] == 65


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--site", "52.27"), "expected LATITUDE,LONGITUDE"),
        (("--site", "152,8"), "no place on Earth"),
        (("--site", "nan,8"), "no place on Earth"),
        (("--start", "tomorrow"), "expected UTC such as"),
    ],
)
def test_options_about_the_sky_that_cannot_be(plan, words: tuple[str, ...], said: str) -> None:
    code, _, err = plan("small.toml", *words)
    assert code == 64
    assert said in err


def test_the_title_of_a_narrow_table_stays_whole(plan, tmp_path) -> None:
    (tmp_path / "pair.toml").write_text(
        'topology = "topologies.wan"\nduration = "1 s"\nwan = { map = "five-regions", hosts = 2 }\n'
    )
    assert "one-way delay, ms" in plan(str(tmp_path / "pair.toml"))[1]


def test_a_plan_over_hosts_adds_up(plan) -> None:
    code, out, err = plan("small.toml", "--hosts", "3", "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    hosts, cut, owner = facts["hosts"], facts["cut"], facts["owner"]
    assert len(owner) == facts["nodes"] == sum(host["nodes"] for host in hosts)
    assert sum(host["live_nodes"] for host in hosts) == facts["live_nodes"]
    assert sorted(name for host in hosts for name in host["end_points"]) == ["gs-paris", "gs-sydney", "gs-tokyo"]
    assert all(owner[name] == host["host"] for host in hosts for name in host["end_points"])
    assert sum(host["share"] for host in hosts) == pytest.approx(1.0)
    assert max(host["share"] for host in hosts) * 3 == pytest.approx(cut["balance"])
    assert 0 < cut["fixed_links_cut"] < cut["fixed_links"] == 768
    assert 0 < cut["hops_share"] < 0.5
    assert cut["crossings_per_packet"] == pytest.approx(cut["hops_share"] * cut["hops_per_packet"])
    assert cut["shortest_ms"] > cut["min_cross_ms"] == 1.0
    text = plan("small.toml", "--hosts", "3")[1]
    assert f"{cut['hops_share']:.1%} of hops" in text
    assert f"shortest across {cut['shortest_ms']:.2f} ms ({cut['shortest_link']})" in text
    assert "nothing had to stay together" in text


def test_a_plan_says_what_cannot_be_cut(plan) -> None:
    words = ("small.toml", "--hosts", "2", "--set", "cluster.min_cross_delay='2 ms'")
    facts = json.loads(plan(*words, "--json")[1])
    kept = facts["cut"]["kept_whole"]
    assert facts["cut"]["short_links"] == sum(each["links"] for each in kept) > 0
    assert f"keep {len(kept)} unit" in plan(*words)[1]


@pytest.mark.parametrize(("words", "code", "part"), [
    (("--hosts", "400"), 64, "less than or equal to 64"),
    (("--from", "latest"), 64, "--from without --hosts"),
    (("--hosts", "2", "--from", "nowhere"), 64, "nowhere: no such run"),
    (("--hosts", "2", "--set", "cluster.together=[['*']]"), 64, "one unit of 387 nodes (sat-0101, …) holds 100% of"),
    (("--hosts", "2", "--set", "cluster.apart=[['gs-*']]"), 65, "3 nodes on 2 hosts"),
    (("--hosts", "2", "--set", "cluster.apart=[['gw-*']]"), 65, "'gw-*', which matches nothing"),
])  # fmt: skip
def test_what_cannot_be_cut_is_refused_with_the_reason(plan, words, code: int, part: str) -> None:
    ended, out, err = plan("small.toml", *words)
    assert (ended, out) == (code, "")
    assert part in err
