"""The scenario `amnesiac` as composed: link schedules of an adversary, and parameters that cannot be."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import polars
import pytest

from emulator.model.errors import ScenarioError
from emulator.scenario import build_topology, load
from emulator.scenario.toml.writer import scenario_toml
from nodes.amnesiac.adversary import Adversary, Event, to_json
from nodes.amnesiac.graph import Graph
from scenarios.amnesiac.analysis import sweep_figures
from scenarios.amnesiac.recipe import delays, link_schedule


def test_link_schedule_of_an_adversary() -> None:
    events = (Event(1, (0, 1), 2), Event(2, (1, 0), lost=True), Event(4, (1, 2), removed=True), Event(4, (0, 1), 0))
    adversary = Adversary(3, 2, events)
    assert link_schedule(adversary, "0.04 s") == {
        "slots": {
            "start": "0.5 s",
            "length": "0.04 s",
            "prefix": 4,  # slot 0, in which nothing happens, and rounds 1 to 3
            "period": 2,
            "events": [
                {"round": 1, "edge": ["n0", "n1"], "delay_rounds": 2},
                {"round": 2, "edge": ["n1", "n0"], "lost": True},
                {"round": 4, "edge": ["n1", "n2"], "down": True},
            ],
        }
    }
    assert delays(adversary) == [[1, "n0", "n1", 2]]


def test_what_happens_once_does_not_come_again() -> None:
    assert link_schedule(Adversary(1, 1, (Event(1, (0, 1), 1),)), "1 s")["slots"]["period"] == 0
    assert link_schedule(Adversary(), "1 s") == {}


@pytest.mark.parametrize("adversary", ["none", "late", "endless", "random:seed=3", "removed", "loss", "fixed"])
def test_every_adversary_makes_a_network(adversary: str) -> None:
    topo = build_topology(load("amnesiac", overrides=("graph=petersen", f"adversary={adversary}")))
    assert len(topo.nodes) == 10
    assert len(topo.links) == 15


def test_a_resolved_scenario_is_read_back() -> None:
    scenario = load("amnesiac", overrides=("adversary=random:seed=3",))
    document = tomllib.loads(scenario_toml(scenario))
    assert "recipe" not in document
    assert document["parameters"] | {"adversary": "random:seed=3", "graph": "petersen"} == document["parameters"]


@pytest.mark.parametrize(
    ("override", "key", "found"),
    [
        ("graph=petersn", "graph", "petersn"),
        ("graph=path:1000000", "graph", "1,000,000"),
        ("adversary=endles", "adversary", "did you mean 'endless'?"),
        ("adversary=late:delay=-1", "adversary", "delay is -1"),
        ("adversary=fixed:edge=0-2", "adversary", "events[0].edge is [0, 2]"),
        ("adversary=random:density=1,prefix=200", "adversary", "6180 delays"),
        ("sources=[10]", "sources", "sources[0] is 10"),
        ("sources=[]", "sources", "sources is empty"),
        ("slot=0 s", "slot", "0 s"),
        ("slot=40", "slot", "without a unit"),
        ("last_round=0", "last_round", "0"),
        ("speed=3", "speed", ""),
    ],
)
def test_parameters_that_cannot_be(override: str, key: str, found: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load("amnesiac", overrides=("graph=petersen", override))
    (problem,) = caught.value.problems
    assert problem.key == key
    assert found in problem.found
    assert problem.expected


def test_a_schedule_file_stands_beside_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "late.json").write_text(to_json(Adversary(1, 1, (Event(1, (0, 1), 1),))))
    text = 'recipe = "scenarios.amnesiac.recipe"\ngraph = "cycle:6"\nadversary = "late.json"\n'
    (tmp_path / "mine.toml").write_text(text)
    scenario = load(str(tmp_path / "mine.toml"))
    assert scenario.prediction["cycle"] == 6
    bad = json.loads((tmp_path / "late.json").read_text()) | {"period": 0}
    (tmp_path / "late.json").write_text(json.dumps(bad))
    with pytest.raises(ScenarioError, match=r"late\.json: period is 0"):
        load(str(tmp_path / "mine.toml"))


def test_drawings_of_sweeps() -> None:
    graphs = polars.DataFrame({"graph": ["petersen", "cycle:6"], "seed": [1, 1], "round": [5, 3]})
    assert [drawing.name for drawing in sweep_figures(graphs)] == ["bounds"]
    programs = polars.DataFrame({"adversary": ["program:steps=2", "program:steps=5", "none"], "round": [11, 23, 3]})
    assert [drawing.name for drawing in sweep_figures(programs)] == ["program-line"]
    assert sweep_figures(polars.DataFrame({"slot": ["40 ms"], "round": [5]})) == []


def test_the_graph_of_the_recipe_is_that_of_the_links() -> None:
    """Random graphs too: one seed for both."""
    scenario = load("amnesiac", overrides=("graph=regular:12,3", "seed=4"))
    config = tomllib.loads(scenario_toml(scenario))["program"][0]["config"]
    network = build_topology(scenario).network()
    links = {tuple(sorted(network.nodes[node].name for node in (link.a, link.b))) for link in network.links}
    assert links == {tuple(sorted(edge)) for edge in config["edges"]}
    assert Graph.of(12, [(int(a[1:]), int(b[1:])) for a, b in config["edges"]]).diameter > 1
