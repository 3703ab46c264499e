"""Scenarios of `topologies.graph`: what is built, and how mistakes are reported."""

import numpy as np
import pytest

from emulator.model.errors import DataError, ScenarioError
from emulator.scenario import build_topology, load
from topologies.graph.slots import MAX_KNOTS

SCENARIO = """
topology = "topologies.graph"
routing = "neighbours"
duration = "2 s"
[graph]
spec = "cycle:6"
delay = "10 ms"
overtake = true
carrier = true
extra = ["observer"]
"""
SLOTS = """
[slots]
start = "500 ms"
length = "40 ms"
prefix = 3
period = 6
"""
EVENTS = """
events = [
  { round = 3, edge = ["n2", "n1"], delay_rounds = 1 },
  { round = 0, edge = ["n0", "n1"], lost = true },
  { round = 1, edge = ["n5", "n0"], down = true },
  { round = 2, edge = ["n0", "n5"], down = true },
]
"""


def network(tmp_path, text=SCENARIO):
    (tmp_path / "ring.toml").write_text(text)
    scenario = load(tmp_path / "ring.toml")
    return build_topology(scenario).network()


def ends(network):
    return {network.end_name(end): network.end_spec(end) for end in range(2 * len(network.links))}


def test_nodes_ports_and_constants(tmp_path):
    built = network(tmp_path)
    assert [node.name for node in built.nodes] == ["n0", "n1", "n2", "n3", "n4", "n5", "observer"]
    assert all(node.live and not node.forwards for node in built.nodes)
    assert sorted(ends(built)) == sorted(f"n{a}:n{(a + step) % 6}" for a in range(6) for step in (1, 5))
    for link in built.links:
        assert link.carrier
    for end in ends(built).values():
        assert end.effects.overtake
        assert end.effects.queue_s == pytest.approx(0.1)
        assert (end.schedule.delay_s.tolist(), end.schedule.rate_bps.tolist()) == ([0.01], [np.inf])


def test_links_follow_the_edges_of_a_random_graph(tmp_path):
    first, again, other = (
        sorted(ends(network(tmp_path, f"seed = {seed}\n{SCENARIO.replace('cycle:6', 'regular:12,3')}")))
        for seed in (1, 1, 2)
    )
    assert len(first) == 36
    assert first == again != other


def test_events_become_jumps(tmp_path):
    found = ends(network(tmp_path, SCENARIO + SLOTS + EVENTS))
    late = found["n2:n1"].schedule
    assert late.t_s[:4].tolist() == pytest.approx([0.62, 0.62, 0.66, 0.66])
    assert late.delay_s[:4].tolist() == pytest.approx([0.01, 0.05, 0.05, 0.01])
    assert late.t_s[4] == pytest.approx(0.62 + 6 * 0.04)
    assert len(late.t_s) == 4 * 6  # rounds 3, 9, 15, 21, 27 and 33 of the 37.5 that fit into 1.5 s
    lost = found["n0:n1"].schedule
    assert (lost.t_s.tolist(), lost.loss.tolist()) == (pytest.approx([0.5, 0.5, 0.54, 0.54]), [0, 1, 1, 0])
    for name in ("n0:n5", "n5:n0"):
        down = found[name].schedule
        assert (down.t_s.tolist(), down.up.tolist()) == (
            pytest.approx([0.54, 0.54, 0.62, 0.62]),
            [True, False, False, True],
        )
    for name in set(found) - {"n2:n1", "n0:n1", "n0:n5", "n5:n0"}:
        assert len(found[name].schedule.t_s) == 1


def test_a_single_node_and_the_largest_graph(tmp_path):
    assert len(network(tmp_path, SCENARIO.replace("cycle:6", "path:1")).nodes) == 2
    large = network(tmp_path, SCENARIO.replace("cycle:6", "cycle:5000"))
    assert len(large.links) == 5000
    assert large.end_name(0) == "n0:n1"


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ('delay = "10 ms"', 'delay = "40 ms"', "", "`graph.delay` of 40 ms with `slots.length` of 40 ms"),
        ('delay = "10 ms"', 'delay = "-1 ms"', "graph.delay", "negative"),
        ('delay = "10 ms"', 'delay = "unlimited"', "", "`graph.delay` unlimited"),
        ('delay = "10 ms"', 'delai = "10 ms"', "graph.delai", "did you mean"),
        ('"observer"', '"n7"', "graph.extra", "expected"),
        ('"observer"', '"a b"', "graph.extra", "letters, digits"),
        ('["observer"]', '["x", "x"]', "", "`graph.extra` has 'x' twice"),
        ('length = "40 ms"', 'length = "0 s"', "slots.length", "above 0 s"),
        ('length = "40 ms"', "", "slots.length", "nothing"),
        ('start = "500 ms"', 'start = "unlimited"', "slots.start", "a time"),
        ("prefix = 3", "prefix = -1", "slots.prefix", "at least 0"),
        ("period = 6", "period = -1", "slots.period", "at least 0"),
        ("period = 6", "period = 0", "slots.events", "event 0 in round 3, which is never played"),
        ("round = 3", "round = 9", "slots.events", "event 0 in round 9, which is never played"),
        ("round = 3", "round = -1", "slots.events.0.round", "at least 0"),
        ("delay_rounds = 1", "delay_rounds = -1", "slots.events.0.delay_rounds", "at least 0"),
        ("delay_rounds = 1", "delay_rounds = 1.5", "slots.events.0.delay_rounds", "integer"),
        ("delay_rounds = 1", "lost = false", "slots.events.0", "an event in which nothing happens"),
        ("delay_rounds = 1", "delay_rounds = 1, lost = true", "slots.events.0", "delay_rounds and lost in one event"),
        ('["n2", "n1"]', '["n2"]', "slots.events.0.edge", ""),
        ('{ round = 2, edge = ["n0", "n5"], down', '{ round = 1, edge = ["n0", "n5"], lost', "slots.events",
         "event 3: n0 to n5 is lost in round 1 and, by an earlier event, down"),
        ('{ round = 0, edge = ["n0", "n1"], lost = true }', '{ round = 3, edge = ["n2", "n1"], delay_rounds = 0 }',
         "slots.events", "event 1: n2 to n1 is on time in round 3 and, by an earlier event, late by 1 round"),
    ],
)  # fmt: skip
def test_mistakes_in_the_tables(tmp_path, old, new, key, said):
    text = SCENARIO + SLOTS + EVENTS
    assert old in text
    (tmp_path / "ring.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "ring.toml")
    problem = caught.value.problems[0]
    assert problem.key.startswith(key)
    assert said in f"{problem.found}; expected {problem.expected}"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cycle:6", "cicle:6", r"graph\.spec: found no graph is named 'cicle'; expected 'cycle:N'"),
        ("cycle:6", "net.edges", r"graph\.spec: found .*net\.edges.: No such file"),
        ("cycle:6", "nx.graph_atlas:5", r"graph\.spec: found .* in 2 parts"),
        (
            '["n2", "n1"]',
            '["n2", "n6"]',
            r"slots\.events\.0\.edge: found \['n2', 'n6'\], and no node 'n6'; expected .*n5",
        ),
        ('["n2", "n1"]', '["n2", "observer"]', r"no node 'observer'; expected nodes n0 to n5"),
        ('["n2", "n1"]', '["n2", "n4"]', r"which is no edge; expected a neighbour of n2: n1, n3"),
        ('["n2", "n1"]', '["n2", "n2"]', r"which is no edge; expected a neighbour of n2: n1, n3"),
        ('duration = "2 s"', 'duration = "30 d"', rf"slots\.events: found .* expected at most {MAX_KNOTS:,}"),
    ],
)
def test_mistakes_that_only_the_graph_shows(tmp_path, old, new, said):
    text = SCENARIO + SLOTS + EVENTS
    assert old in text
    with pytest.raises(DataError, match=said):
        network(tmp_path, text.replace(old, new, 1))


def test_files_are_relative_to_the_scenario(tmp_path):
    (tmp_path / "net.edges").write_text("a b\nb c\n")
    built = network(tmp_path, SCENARIO.replace("cycle:6", "net.edges"))
    assert sorted(ends(built)) == ["n0:n1", "n1:n0", "n1:n2", "n2:n1"]


def test_events_said_twice_are_one(tmp_path):
    twice = EVENTS.replace("]\n", '  { round = 1, edge = ["n0", "n5"], down = true },\n]\n')
    assert len(ends(network(tmp_path, SCENARIO + SLOTS + twice))["n0:n5"].schedule.t_s) == 4


def test_a_link_that_is_always_down_has_one_outage(tmp_path):
    always = "events = [" + ", ".join(f'{{ round = {r}, edge = ["n0", "n1"], down = true }}' for r in range(9)) + "]"
    knots = ends(network(tmp_path, SCENARIO + SLOTS + always))["n1:n0"].schedule
    assert knots.up.tolist() == [True, False, False, True]
    assert knots.t_s[-1] >= 2.0
