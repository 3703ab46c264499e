"""Scenarios of `topologies.regions`: who is where, how far apart, and what is refused."""

import time

import numpy as np
import pytest

from emulator.model.errors import ScenarioError
from emulator.scenario import build_topology, load
from emulator.schedule.routes import route_delay_s
from emulator.schedule.timeline import KnotTimeline

SCENARIO = """
topology = "topologies.regions"
duration = "20 s"
[regions]
hosts = 10
count = 3
latency = "4 ms"
between = "40 ms"
drift = "10 ms"
rate = "5 Mbit/s"
loss = "1 %"
"""


def network(tmp_path, text=SCENARIO):
    (tmp_path / "regions.toml").write_text(text)
    return build_topology(load(tmp_path / "regions.toml")).network()


def row(network, step):
    no_transit = np.array([not node.forwards for node in network.nodes])
    return next(KnotTimeline(network.nodes, network.links, 1.0, "least-delay", no_transit).rows(step, 1))


def test_hosts_are_dealt_in_order(tmp_path):
    built = network(tmp_path)
    assert [node.name for node in built.nodes] == [f"a{i}" for i in range(10)] + ["hub0", "hub1", "hub2"]
    assert [node.name for node in built.nodes if not node.live] == ["hub0", "hub1", "hub2"]
    hub = {link.a: built.nodes[link.b].name for link in built.links if link.a_port == "up"}
    assert [hub[i] for i in range(10)] == [f"hub{i * 3 // 10}" for i in range(10)]
    assert len({node.ipv4 for node in built.nodes}) == 13


def test_delays_between_hosts(tmp_path):
    built = network(tmp_path)
    start_s = route_delay_s(row(built, 0), built.live)
    host = {name: index for index, name in enumerate(f"a{i}" for i in range(10))}
    near, far, drifting = (host["a0"], host["a1"]), (host["a0"], host["a4"]), (host["a4"], host["a9"])
    assert start_s[near] == pytest.approx(0.004)
    assert start_s[far] == pytest.approx(0.044)
    assert start_s[drifting] == pytest.approx(0.044)
    later_s, end_s = (route_delay_s(row(built, 10), built.live, share) for share in (0.0, 1.0))
    assert later_s[near] == pytest.approx(0.004)
    assert later_s[far] == pytest.approx(0.044)
    assert later_s[drifting] == pytest.approx(0.144)
    assert end_s[drifting[::-1]] == pytest.approx(0.154)
    assert np.isfinite(start_s).all()


def test_rate_and_loss_belong_to_the_access_links(tmp_path):
    built = network(tmp_path)
    for link in built.links:
        access = link.a_port == "up"
        for end in (link.forward, link.backward):
            assert end.schedule.rate_bps[0] == (5e6 if access else np.inf)
            assert end.schedule.loss[0] == (0.01 if access else 0.0)


def test_one_region_needs_no_more_than_hosts(tmp_path):
    built = network(tmp_path, 'topology = "topologies.regions"\n[regions]\nhosts = 4\n')
    assert route_delay_s(row(built, 0), built.live)[0, 3] == pytest.approx(0.002)


def test_a_thousand_hosts_are_built_quickly(tmp_path):
    (tmp_path / "many.toml").write_text(SCENARIO.replace("hosts = 10", "hosts = 1000"))
    scenario = load(tmp_path / "many.toml")
    begin = time.process_time()
    built = build_topology(scenario).network()
    assert time.process_time() - begin < 1.0
    assert len(built.live) == 1000


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ("hosts = 10", "hosts = 2", "regions", "3 regions for 2 hosts; expected a host in each region"),
        ("hosts = 10", "hosts = 0", "regions.hosts", "at least 1"),
        ("hosts = 10", "hosts = 100000", "regions.hosts", "at most 5000"),
        ("hosts = 10", "", "regions.hosts", "nothing"),
        ("count = 3", "count = 1", "regions", "`between` with one region"),
        ("count = 3", "count = 0", "regions.count", "at least 1"),
        ('between = "40 ms"', 'between = "unlimited"', "regions", "`between` unlimited; expected a time"),
        ('drift = "10 ms"', 'drift = "-10 ms"', "regions.drift", "negative"),
        ('loss = "1 %"', 'loss = "101 %"', "regions.loss", "at most 100 %"),
    ],
)
def test_mistakes(tmp_path, old, new, key, said):
    assert old in SCENARIO
    (tmp_path / "regions.toml").write_text(SCENARIO.replace(old, new))
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "regions.toml")
    problem = caught.value.problems[0]
    assert problem.key.startswith(key)
    assert said in f"{problem.found}; expected {problem.expected}"
