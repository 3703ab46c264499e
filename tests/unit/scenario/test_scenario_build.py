"""One network per scenario: what a run plays, a plan shows, a replay and a report build again are the same."""

from __future__ import annotations

import ast
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.cli.plan import facts_of
from emulator.client import launch
from emulator.fabric import sandbox
from emulator.model.network import Network
from emulator.observe.replay.past import Past
from emulator.record import RunFolder
from emulator.record.load import load_run
from emulator.report.sections import scheduled
from emulator.runtime.supervisor import supervisor
from emulator.scenario import bundled, from_topo_file, load
from emulator.scenario.build import build, build_network
from emulator.scenario.toml.writer import scenario_toml
from emulator.schedule.routes import path, route_delay_s
from emulator.schedule.timeline import routing_steps

ROOT = Path(__file__).parents[3]
STEPS = 8
# Which of two ways is shorter changes every 2 s; routes follow every 3 s.
LINKS = """
topology = "topologies.links"
duration = "10 s"
routing_step = "3 s"
[[link]]
a = "left"
b = "right"
trace = "swing.csv"
trace_back = "swing.csv"
[[link]]
a = "left"
b = "middle"
delay = "10 ms"
[[link]]
a = "middle"
b = "right"
delay = "10 ms"
"""
SWING = "t_s,delay_ms,rate_mbps\n0,5,1\n2,5,1\n2,50,1\n4,50,1\n4,5,1\n6,5,1\n6,50,1\n8,50,1\n8,5,1\n"
# n1 is the middle of the path, and a host.
GRAPH = """
topology = "topologies.graph"
duration = "10 s"
routing_step = "2 s"
[graph]
spec = "path:3"
delay = "10 ms"
"""
REGIONS = """
topology = "topologies.regions"
duration = "10 s"
routing_step = "4 s"
[regions]
hosts = 6
count = 3
between = "40 ms"
drift = "10 ms"
"""
ALONE = 'topology = "alone.py"\nduration = "10 s"\n'
ALONE_TOPOLOGY = """
from mininet.topo import Topo
from pydantic import BaseModel

class Config(BaseModel):
    pass

def build(config, options):
    topo = Topo()
    topo.addHost("here", role="host", live=True)
    topo.addHost("there", role="host", live=True)
    return topo
"""
MININET = """
from mininet.topo import Topo

class Line(Topo):
    def build(self):
        a, s, b = self.addHost("a"), self.addSwitch("s1"), self.addHost("b")
        self.addLink(a, s, delay="5ms")
        self.addLink(s, b, delay="7ms")
"""
TOML = {"links": LINKS, "graph": GRAPH, "regions": REGIONS, "alone": ALONE}


def scenario_of(name: str, folder: Path):
    """A bundled scenario by its name, one of TOML, or the Mininet file."""
    if name == "mininet":
        (folder / "line.py").write_text(MININET)
        return from_topo_file(folder / "line.py", ["routing=least-delay", "duration=10s"])
    if name not in TOML:
        return load(name)
    (folder / "swing.csv").write_text(SWING)
    (folder / "alone.py").write_text(ALONE_TOPOLOGY)
    (folder / f"{name}.toml").write_text(TOML[name])
    return load(folder / f"{name}.toml")


def run_network(monkeypatch, scenario, folder: Path) -> Network:
    """The network that `launch` hands to the supervisor, which this test does not start."""
    handed: list[Network] = []

    class Recorder:
        def __init__(self, scenario, folder, network, *rest) -> None:
            handed.append(network)

        def run(self) -> int:
            return 0

    monkeypatch.setattr(sandbox, "spawn", lambda main, hosts, keep_fds: main() or 1)
    monkeypatch.setattr(supervisor, "Supervisor", Recorder)
    monkeypatch.setattr("gc.freeze", lambda: None)
    handle = launch(scenario, RunFolder.create(folder, scenario.name))
    handle.channel.close()
    return handed[0]


def same(a: Any, b: Any) -> bool:
    """Equal values, through dataclasses, arrays and tuples."""
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    if isinstance(a, tuple | list) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if is_dataclass(a) and type(a) is type(b):
        return all(same(getattr(a, each.name), getattr(b, each.name)) for each in fields(a))
    return bool(a == b)


def equal(a: Network, b: Network) -> bool:
    """Equal networks, with equal rows in the first steps."""
    rows = [list(each.timeline.rows(0, STEPS)) for each in (a, b) if each.timeline is not None]
    return (
        same((a.nodes, a.links, a.routing, a.extra), (b.nodes, b.links, b.routing, b.extra))
        and [each.timeline.step_s for each in (a, b)] == [a.timeline.step_s] * 2
        and same(rows[0], rows[1])
    )


def shown_by_plan(network: Network, step: int) -> list[tuple[str, str, list[str], float | None]]:
    """The pairs of all live nodes as a plan shows them at the start of a step, worked out from the network."""
    (row,) = network.timeline.rows(step, 1)
    places = list(range(len(network.live)))
    delays_s = route_delay_s(row, network.live, 0.0, places, places)
    found = []
    for one, a in enumerate(network.live):
        for other, b in enumerate(network.live[one + 1 :], one + 1):
            delay_s = float(delays_s[one, other])
            ends = path(row.next_end, row.peer, other, b, a) if np.isfinite(delay_s) else []
            nodes = [a, *(row.peer[end] for end in ends)] if ends else []
            name = [node.name for node in network.nodes]
            found.append((name[a], name[b], [name[node] for node in nodes], delay_s * 1e3 if nodes else None))
    return found


@pytest.mark.parametrize("name", [*(each.name for each in bundled()), *TOML, "mininet"])
def test_run_replay_report_and_plan_have_equal_networks(name, tmp_path, monkeypatch) -> None:
    scenario = scenario_of(name, tmp_path)
    network = run_network(monkeypatch, scenario, tmp_path)
    folder = RunFolder.create(tmp_path, "played")
    folder.write_scenario(scenario_toml(scenario))
    played = load_run(folder.path)
    assert equal(Past(played).network, network)
    assert equal(scheduled._network(played.document), network)
    assert equal(build(scenario).network, network)

    for step in (0, STEPS - 1):
        facts = facts_of(scenario, step * network.timeline.step_s, lambda *_: None)
        assert (facts["nodes"], facts["live_nodes"]) == (len(network.nodes), len(network.live))
        assert (facts["links"], facts["step_s"]) == (len(network.links), network.timeline.step_s)
        expected = {each[:2]: each[2:] for each in shown_by_plan(network, step)}
        for route in facts["routes"]:
            nodes, delay_ms = expected[route["from"], route["to"]]
            assert route["path"] == nodes
            assert route["delay_ms"] == pytest.approx(delay_ms)


def test_runs_hold_routes_for_the_routing_step(tmp_path) -> None:
    network = build_network(scenario_of("links", tmp_path))
    names = [node.name for node in network.nodes]
    left, right = names.index("left"), names.index("right")
    ways = [len(path(row.next_end, row.peer, right, right, left)) for row in network.timeline.rows(0, 9)]
    assert ways == [1, 1, 1, 2, 2, 2, 2, 2, 2]  # of steps 0, 3 and 6; every step would give 1 1 2 2 1 1 2 2 1


def test_hosts_forward_for_nobody_in_a_plan_as_in_a_run(tmp_path) -> None:
    facts = facts_of(scenario_of("graph", tmp_path), None, lambda *_: None)
    hops = {(route["from"], route["to"]): route["hops"] for route in facts["routes"]}
    assert hops == {("n0", "n1"): 1, ("n1", "n2"): 1, ("n0", "n2"): None}


@pytest.mark.parametrize(
    ("step_s", "routing_step_s", "live", "steps"),
    [(1.0, None, 200, 1), (1.0, None, 201, 15), (2.0, None, 201, 7), (20.0, None, 201, 1), (0.1, None, 201, 150),
     (1.0, 7.0, 500, 7), (0.1, 0.3, 5, 3), (0.5, None, 5, 1)],
)  # fmt: skip
def test_the_default_routing_step(step_s, routing_step_s, live, steps) -> None:
    assert routing_steps(step_s, routing_step_s, live) == steps


@pytest.mark.parametrize(("hosts", "held"), [(200, False), (201, True)])
def test_many_live_nodes_get_routes_every_15_s_in_every_topology(hosts, held, tmp_path) -> None:
    text = REGIONS.replace("hosts = 6", f"hosts = {hosts}").replace('routing_step = "4 s"\n', "")
    (tmp_path / "many.toml").write_text(text)
    timeline = build_network(load(tmp_path / "many.toml")).timeline
    assert timeline._routing_steps == (15 if held else 1)


def test_only_the_builder_makes_networks_of_scenarios() -> None:
    """`fabric/mininet/net.py` is Mininet's own class: its networks come from no scenario."""
    made_by = {"network_from", "TopoBuilder", "build_topology", "KnotTimeline"}
    homes = {
        "scenario/build.py",
        "scenario/topology.py",
        "fabric/mininet/convert.py",
        "fabric/mininet/net.py",
        "schedule/timeline.py",
    }
    for file in sorted((ROOT / "emulator").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if name in made_by:
                assert str(file.relative_to(ROOT / "emulator")) in homes, f"{file}:{node.lineno} calls {name}"
