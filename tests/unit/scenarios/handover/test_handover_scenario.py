"""The handover scenario: what its variants have in common, and what its figures make of a run that is made up."""

from __future__ import annotations

from dataclasses import dataclass

import polars
import pytest

from emulator.model.errors import ScenarioError
from emulator.model.tables import RecipeOptions
from emulator.scenario import build_topology, load
from scenarios.handover import analysis
from scenarios.handover.recipe import Parameters, average, compose

OPTIONS = RecipeOptions(seed=1, duration_s=60.0, directory=".")


def composed(**keys):
    return compose(Parameters.model_validate({"slots": 2, **keys}), OPTIONS)


def test_losses_at_random_are_as_many_on_average():
    bursts, spread = composed(), composed(access="random")
    there, here = average(bursts, OPTIONS, 2), average(spread, OPTIONS, 2)
    assert 0 < there.loss < 0.1
    assert here.loss == pytest.approx(there.loss, rel=1e-6)
    assert here.rate_bps == there.rate_bps
    assert spread["terminal"]["bursts"] == 0.0
    assert {key: value for key, value in spread.items() if key != "terminal"} == {
        key: value for key, value in bursts.items() if key != "terminal"
    }


def test_without_the_model_the_mean_rate_is_left():
    ideal = composed(access="ideal")
    assert ideal["ground"]["terminal"] == "ideal"
    assert "terminal" not in ideal
    expected = average(composed(), OPTIONS, 2).rate_bps
    assert float(ideal["ground"]["rate_down"].split()[0]) == pytest.approx(expected)


def test_variants_load_and_have_the_same_satellites():
    serving = {}
    for access in ("starlink", "random"):
        topo = build_topology(load("handover", overrides=[f"access={access}", "slots=2"]))
        serving[access] = [instant.held.satellite.tolist() for instant in topo.timeline.instants(0, 30)]
    assert serving["starlink"] == serving["random"]
    with pytest.raises(ScenarioError, match="latitude and longitude in degrees"):
        load("handover", overrides=["site=nowhere"])


@dataclass
class Run:
    samples: polars.DataFrame
    events: polars.DataFrame
    parameters: dict


def made_up() -> Run:
    t_s = [second + 0.5 for second in range(30)]
    goodput = polars.DataFrame({"t_s": t_s, "name": "goodput_bps", "value": [1e6 * (int(t) % 15) for t in t_s]})
    probes = polars.DataFrame({"t_s": t_s, "name": "rtt_s", "value": [0.05] * 30})
    events = polars.DataFrame({"kind": ["flow-sent", "other"], "data": ['{"retransmits": 7}', "{}"]})
    return Run(polars.concat([goodput, probes]), events, {"congestion": "bbr"})


def test_goodput_is_told_by_the_second_of_a_slot():
    summary = analysis.summarise(made_up())
    assert summary["second_of_slot"]["s14"] == 14.0
    assert summary["second_of_slot"]["s00"] == 0.0
    assert summary["retransmits"] == 7
    assert summary["rtt_ms"]["p50"] == 50.0
    assert [drawing.name for drawing in analysis.figures(made_up())] == ["goodput", "delay"]
    empty = Run(made_up().samples.head(0), made_up().events.head(0), {})
    assert analysis.summarise(empty) == {}
    assert analysis.figures(empty) == []


def test_a_sweep_draws_a_line_for_each_control():
    rows = [
        {"access": access, "congestion": control, "second_of_slot.s00": 1.0, "second_of_slot.s01": 2.0}
        for access in ("starlink", "random")
        for control in ("cubic", "bbr")
    ]
    (drawn,) = analysis.sweep_figures(polars.DataFrame(rows))
    assert [len(axes.lines) for axes in drawn.figure.axes] == [2, 2]
    assert analysis.sweep_figures(polars.DataFrame({"access": ["ideal"]})) == []
