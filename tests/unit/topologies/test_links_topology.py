"""Networks written out link by link, with recorded traces."""

import pytest

from emulator.model.errors import DataError, ScenarioError
from emulator.scenario import build_topology, load

SCENARIO = """
topology = "topologies.links"
[[link]]
a = "left"
b = "right"
delay = "10 ms"
rate = "20 Mbit/s"
trace = "%s"
"""


def written(tmp_path, trace, text):
    (tmp_path / trace).write_text(text)
    (tmp_path / "pair.toml").write_text(SCENARIO % trace)
    return tmp_path / "pair.toml"


def test_a_mahimahi_trace_plays_one_way_and_constants_the_other(tmp_path):
    network = build_topology(load(written(tmp_path, "cell.mahi", "1\n2\n4\n"))).network()
    assert [node.name for node in network.nodes] == ["left", "right"]
    forward, backward = network.end_spec(0).schedule, network.end_spec(1).schedule
    assert forward.period_s == pytest.approx(4e-3)
    assert set(forward.delay_s.tolist()) == {0.01}
    assert backward.rate_bps.tolist() == [20e6]


def test_a_csv_trace(tmp_path):
    text = "t_s,delay_ms,rate_mbps\n0,5,1\n1,7,2\n"
    knots = build_topology(load(written(tmp_path, "path.csv", text))).network().end_spec(0).schedule
    assert knots.delay_s.tolist() == pytest.approx([0.005, 0.007])
    assert knots.rate_bps.tolist() == pytest.approx([1e6, 2e6])


def test_an_empty_trace_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"cell\.mahi"):
        build_topology(load(written(tmp_path, "cell.mahi", "")))


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "loop.toml").write_text('topology = "topologies.links"\n[[link]]\na = "x"\nb = "x"\n')
    with pytest.raises(ScenarioError, match="itself"):
        load(tmp_path / "loop.toml")
