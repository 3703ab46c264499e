"""The scenario `plurality` without a run: what its recipe composes and refuses, its figures on records made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars
import pytest

from emulator.model.errors import ScenarioError
from emulator.model.network import EndSpec
from emulator.model.tables import ParameterError, RecipeOptions
from emulator.record.load import Run
from emulator.report import drawing
from emulator.scenario import Scenario, build_topology, load
from nodes.plurality.config import AgentsConfig
from nodes.plurality.core import DejaVu
from nodes.plurality.exact import ramanujan_q
from nodes.plurality.simulate import synchronous
from scenarios.plurality import analysis, recipe
from scenarios.plurality.drawings import Crossing, crossovers

OPTIONS = RecipeOptions(seed=1, duration_s=60.0, directory="/")


def composed(**parameters: Any) -> dict[str, Any]:
    return recipe.compose(recipe.Parameters.model_validate(parameters), OPTIONS)


def config_of(scenario: Scenario) -> dict[str, Any]:
    return dict(scenario.programs[0].config_values)


@pytest.mark.parametrize(
    ("opinions", "leader", "rest"), [(2, 542, 458), (4, 313, 229), (8, 202, 114), (16, 145, 57), (32, 132, 28)]
)
def test_default_counts_are_those_of_the_published_table(opinions: int, leader: int, rest: int) -> None:
    parameters = recipe.Parameters.model_validate({"agents": 1000, "opinions": opinions})
    assert recipe.counts_of(parameters, None) == [leader] + [rest] * (opinions - 1)


def test_counts_agents_and_opinions_follow_from_each_other() -> None:
    assert sum(composed()["program"][0]["config"]["counts"]) == 32
    assert composed(counts=[3, 4])["program"][0]["config"]["counts"] == [3, 4]
    assert composed(agents=4, opinions=4)["program"][0]["config"]["counts"] == [1, 1, 1, 1]
    assert sum(composed(graph="cycle:6")["program"][0]["config"]["counts"]) == 6


@pytest.mark.parametrize(("opinions", "h"), [(2, 3), (4, 4), (8, 5), (16, 6), (32, 8)])
def test_h_majority_is_matched_to_dejavu(opinions: int, h: int) -> None:
    assert composed(protocol="h-majority", opinions=opinions, agents=64)["program"][0]["config"]["h"] == h


@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        ({"agents": 4, "opinions": 5}, "opinions"),
        ({"agents": 10, "counts": [6, 5]}, "counts"),
        ({"opinions": 3, "counts": [6, 5]}, "counts"),
        ({"counts": [1]}, "counts"),
        ({"graph": "cycle:6", "agents": 7}, "agents"),
        ({"graph": "cycle:6", "regions": 2}, "regions"),
        ({"graph": "cycle:6", "agents_per_process": 2}, "agents_per_process"),
        ({"graph": "circle:6"}, "graph"),
        ({"protocol": "voter", "h": 2}, "h"),
        ({"protocol": "voter", "own": True}, "own"),
        ({"loss": "100 %"}, "loss"),
        ({"latency": "unlimited"}, "latency"),
        ({"drift": "1 ms"}, "drift"),
        ({"timeout": "10 ms"}, "timeout"),
        ({"agents": 8, "agents_per_process": 4, "regions": 3}, "regions"),
    ],
)
def test_what_cannot_be_names_its_parameter(parameters: dict[str, Any], key: str) -> None:
    with pytest.raises(ParameterError, match="; expected") as caught:
        composed(**parameters)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("override", "key"),
    [("protocol=gossip", "protocol"), ("agents=1", "agents"), ("counts=[3,0]", "counts"), ("opinions=40", "opinions"),
     ("graph=cycle:2", "graph"), ("mode=parallel", "mode"), ("h=10001", "h")],
)  # fmt: skip
def test_the_command_line_names_it_too(override: str, key: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load("plurality", [override])
    assert any(problem.key.startswith(key) for problem in caught.value.problems), str(caught.value)


def test_the_scenario_is_a_mesh_with_the_asked_latency_and_loss() -> None:
    scenario = load("plurality", ["agents=6", "loss=19 %", "latency=8 ms"])
    topo = build_topology(scenario)
    assert sorted(node.name for node in topo.nodes) == ["a0", "a1", "a2", "a3", "a4", "a5", "hub0"]
    end = topo.links[0].forward
    assert isinstance(end, EndSpec)
    assert end.schedule.delay_s[0] == pytest.approx(0.004)
    assert end.schedule.loss[0] == pytest.approx(0.1), "19 % over two links that each lose 10 %"
    assert scenario.prediction == {}, "what is lost is not known beforehand"


def test_the_prediction_is_the_simulation() -> None:
    scenario = load("plurality", ["agents=64", "opinions=8", "seed=5"])
    config = config_of(scenario)
    outcome = synchronous(DejaVu(), config["counts"], 5)
    assert scenario.prediction["rounds"] == outcome.rounds
    assert scenario.prediction["samples"] == outcome.samples
    assert scenario.prediction["asking_s"] == pytest.approx(outcome.critical_trips * 0.020)


def test_neighbours_are_those_of_the_graph() -> None:
    config = config_of(load("plurality", ["graph=cycle:5"]))
    assert config["neighbours"] == [[1, 4], [0, 2], [1, 3], [2, 4], [0, 3]]
    assert config["prefix"] == "n"


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"counts": []}, "counts"),
        ({"counts": [1]}, "counts"),
        ({"counts": [3, -1]}, "counts"),
        ({"counts": [2, 2], "protocol": "x"}, "protocol"),
        ({"counts": [2, 2], "mode": "x"}, "mode"),
        ({"counts": [2, 2], "agents_per_process": 0}, "agents_per_process"),
        ({"counts": [2, 2], "interval_s": 0.0}, "interval"),
        ({"counts": [2, 2], "timeout_s": float("inf")}, "timeout"),
        ({"counts": [2, 2], "neighbours": [[1]]}, "neighbours"),
        ({"counts": [1, 1], "neighbours": [[1], [1]]}, "neighbours"),
        ({"counts": [1, 1], "neighbours": [[1], []]}, "neighbours"),
        ({"counts": [1, 1], "neighbours": [[1], [2]]}, "neighbours"),
    ],
)
def test_settings_of_the_program_are_checked(values: dict[str, Any], found: str) -> None:
    with pytest.raises(ValueError, match=f"^`?{found}.*; expected ."):
        AgentsConfig(**values)


CONFIG = """
[[program]]
name = "agents"
nodes = ["a*"]
run = "nodes.plurality.process:Agents"
config = { counts = [3, 1], protocol = "dejavu", mode = "synchronous" }
"""
TOTALS = {"updates": 4, "samples": 10, "messages": 20, "sent_bytes": 1080, "lost": 1, "late": 0, "refused": 0,
          "missed": 0, "sent": 20, "received": 18, "in_time": 18}  # fmt: skip


def recorded(folder: Path, rows: list[tuple[float, str, dict[str, Any]]], scenario: str = CONFIG) -> Run:
    run = Run(folder, scenario, None)
    run.events = polars.DataFrame(  # in place of the file
        {
            "t_s": [t_s for t_s, _, _ in rows],
            "node": ["a0"] * len(rows),
            "program": ["agents"] * len(rows),
            "kind": [kind for _, kind, _ in rows],
            "data": [json.dumps(data) for _, _, data in rows],
        },
        schema={"t_s": polars.Float64, **dict.fromkeys(("node", "program", "kind", "data"), polars.Utf8)},
    )
    return run


ROWS: list[tuple[float, str, dict[str, Any]]] = [
    (0.1, "round", {"round": 0, "time": 0.0, "tally": [3, 1, 0]}),
    (0.5, "round", {"round": 1, "time": 1.0, "tally": [4, 0, 0]}),
    (0.6, "agents", {"rounds": [[3, 0.1, 0.4]], "began_s": 0.1, "ended_s": 0.4, **TOTALS}),
    (0.6, "agents", {"rounds": [[2, 0.2, 0.3]], "began_s": 0.2, "ended_s": 0.3, **TOTALS}),
]


def test_summary(tmp_path: Path) -> None:
    summary = analysis.summarise(recorded(tmp_path, ROWS))
    assert summary["win"] is True
    assert (summary["winner"], summary["rounds"], summary["critical_trips"]) == (0, 1, 3)
    assert summary["wall_s"] == pytest.approx(0.3)
    assert summary["asking_s"] == pytest.approx(0.3)
    assert summary["samples_per_agent"] == 5.0
    assert summary["samples_per_update"] == 2.5
    assert summary["expected_samples_per_update"] == pytest.approx((3 * (2 + 2 * 2 / 9) + 2.0) / 4)
    assert summary["lost"] == 2
    assert summary["round_fidelity"] == 1.0


def with_opinions(folder: Path, tally: list[int], settings: str) -> Run:
    """A run of one round, in which all agents came to hold the first of many opinions."""
    rows = [
        (0.1, "round", {"round": 0, "time": 0.0, "tally": [*tally, 0]}),
        (0.5, "round", {"round": 1, "time": 1.0, "tally": [sum(tally), *[0] * len(tally)]}),
        *ROWS[2:],
    ]
    program = f"config = {{ counts = {tally}, {settings} }}"
    return recorded(folder, rows, CONFIG[: CONFIG.index("config")] + program)


def test_a_run_with_more_opinions_than_a_factorial_of_floats_can_count(tmp_path: Path) -> None:
    """171! is more than a float holds: such a run played well, and then ended with 70."""
    run = with_opinions(tmp_path, [3] + [1] * 199, 'protocol = "dejavu"')
    summary = analysis.summarise(run)
    assert summary["consensus"] is True
    assert 18.0 < summary["expected_samples_per_update"] < 1 + ramanujan_q(200)  # that of equal shares, the most
    assert "expected (exact)" in drawing.svg(analysis.figures(run)[0].figure)


def test_a_law_that_takes_too_long_is_left_out_of_the_drawing(tmp_path: Path) -> None:
    run = with_opinions(tmp_path, [4, 3, 2], 'protocol = "h-majority", h = 5000')
    (found,) = analysis.figures(run)
    assert "left out: an exact law of 3 opinions, 3 different counts and 5000 answers at once" in found.caption
    assert "expected (exact)" not in drawing.svg(found.figure)


def test_a_run_that_recorded_nothing_came_to_no_consensus(tmp_path: Path) -> None:
    assert analysis.summarise(recorded(tmp_path, [])) == {"consensus": False}
    assert analysis.figures(recorded(tmp_path, [])) == []


def test_figures_of_a_run(tmp_path: Path) -> None:
    (found,) = analysis.figures(recorded(tmp_path, ROWS))
    assert found.name == "shares"
    assert "expected (exact)" in drawing.svg(found.figure)


def test_figures_of_a_sweep() -> None:
    rows = [
        {"protocol": protocol, "latency": latency, "opinions": k, "exit_code": 0, "win": True, "asking_s": wall_s,
         "samples_per_update": 2.4, "expected_samples_per_update": 2.5}
        for protocol, latency, wall_s in [
            ("dejavu", "1 ms", 0.1), ("dejavu", "10 ms", 1.0), ("h-majority", "1 ms", 0.4), ("h-majority", "10 ms", 0.5)
        ]
        for k in (2, 8)
    ]  # fmt: skip
    answers, waiting = analysis.sweep_figures(polars.DataFrame(rows))
    assert "1 + Q(k)" in drawing.svg(answers.figure)
    assert "crossover at 4.38 ms" in drawing.svg(waiting.figure)
    assert "4.375 ms" in waiting.caption
    slower = [{**row, "asking_s": 2.0} if row["protocol"] == "dejavu" else row for row in rows]
    assert "none in this range" in analysis.sweep_figures(polars.DataFrame(slower))[1].caption
    assert analysis.sweep_figures(polars.DataFrame({"agents": [1]})) == []


def test_crossovers_are_interpolated() -> None:
    one = [(1.0, 0.0, None), (2.0, 1.0, None), (3.0, 2.0, None)]
    other = [(1.0, 0.5, None), (2.0, 0.5, None), (3.0, 0.5, None)]
    assert crossovers(one, other) == [Crossing(1.5, 0.5, True)]
    noisy = [(x, y, 0.2) for x, y, _ in one]
    assert crossovers(noisy, other)[0].certain
    noisier = [(x, y, 0.3) for x, y, _ in one]
    assert "within the scatter" in crossovers(noisier, other)[0].words()
    assert crossovers(one, [(9.0, 1.0, None)]) == []
