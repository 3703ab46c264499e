"""The recipe: a ring of neighbours, ways as the schedule has them, and what cannot be asked for."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as some

from emulator.model.errors import ScenarioError, Unfit
from emulator.scenario import load
from nodes.pipeline.planner.policies import POLICIES
from scenarios.orbit_llm.constellation import ring
from scenarios.orbit_llm.recipe import Policy
from scenarios.orbit_llm.way import HANDLING_S, HEAD_BYTES, PAYLOAD, Way

TABLES = {"shell": {"preset": "starlink-1"}, "ground": {"stations": ["madrid"]}}


def asked(*overrides: str):
    """The config of the program that asks, and the scenario."""
    scenario = load("orbit-llm", overrides)
    return scenario.programs[0].config_values, scenario


def test_four_satellites_are_a_square_of_neighbours():
    config, scenario = asked()
    assert config["nodes"] == ["sat-0101", "sat-0102", "sat-0202", "sat-0201", "sat-0103"]
    ways = {(way.source, way.target): way for way in map(Way.of, config["ways"])}
    assert len(ways) == 12
    assert [ways[pair].hops for pair in pairwise(config["nodes"][:4])] == [1, 1, 1]
    assert ways["sat-0201", "sat-0101"].hops == 1
    assert ways["sat-0101", "sat-0202"].hops == 2
    assert all(0.002 < way.delay_s < 0.012 and way.rate_bps == 1e6 for way in ways.values())
    assert [each.nodes for each in scenario.programs] == [
        ("sat-0101",), ("sat-0102", "sat-0202", "sat-0201", "sat-0103")
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 12])
def test_a_ring_has_each_satellite_once(count):
    satellites, spares = ring(TABLES, count, 2)
    assert (len(satellites), len(spares)) == (count, 2)
    assert len({*satellites, *spares}) == count + 2


@pytest.mark.parametrize("rate", ["2", "2.0", "2 Mbit/s"])
def test_a_bare_rate_is_in_mbit_s(rate):
    config, scenario = asked(f"isl.rate={rate}")
    assert Way.of(config["ways"][0]).rate_bps == 2e6
    assert scenario.tables.isl.rate_bps == 2e6


def test_more_stages_take_more_satellites_and_a_policy_is_asked_once():
    config, _ = asked("stages=6", "policy=fp16")
    assert len(config["nodes"]) == 7
    assert config["stages"] == 6
    assert config["policies"] == ["fp16", "sequential"]


def test_a_satellite_dies_where_that_is_asked_for():
    assert asked()[1].actions == ()
    (action,) = asked("crash=6 s")[1].actions
    assert (action.at_s, action.do, action.nodes) == (6.0, "crash", ("sat-0102",))


def test_policies_are_those_of_the_planner():
    assert get_args(Policy) == POLICIES


def test_the_prompt_is_the_text():
    assert asked('prompt="Über \\"Mars\\""')[0]["text"] == 'Über "Mars"'


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("policy=best", "policy"), ("cpu=0 %", "more than 0 %"), ("evaluate=1", "an interval needs two"),
        ("isl.rate=1 parsec", "isl.rate"), ("isl.rate=0", "more than 0 bit/s"), ("budget_nats=-1", "budget_nats"),
        ("crash=-1 s", "crash"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(override, said):
    with pytest.raises(ScenarioError, match=said):
        asked(override)


def test_stages_beyond_the_satellites_are_refused():
    with pytest.raises(ScenarioError, match="at most 2, a satellite each"):
        asked("stages=3", "satellites=2")
    with pytest.raises(ScenarioError, match="two satellites in the ring"):
        asked("crash=1 s", "satellites=1")


@given(some.floats(1e-3, 1), some.integers(1, 30), some.sampled_from([5e5, 1e6, 4e6]))
def test_ways_are_read_as_they_are_written(delay_s, hops, rate_bps):
    way = Way.of(str(Way("a", "b", delay_s, hops, rate_bps)))
    assert (way.source, way.target, way.hops, way.rate_bps) == ("a", "b", hops, rate_bps)
    assert way.delay_s == pytest.approx(delay_s, abs=1e-6)
    sending_s, behind_s = way.link().crossing_s(0.0, 1448)
    assert sending_s == pytest.approx(8 * 1448 / rate_bps / PAYLOAD)
    assert behind_s == pytest.approx(way.delay_s + HANDLING_S + 8 * (HEAD_BYTES + (hops - 1) * 1500) / rate_bps)


@pytest.mark.parametrize(
    "text",
    [
        "", "a -> b", "a -> b: 1 ms, 1 hop", "a -> b: 1 ms, 0 hops, 1 Mbit/s", "a -> b: 1 m, 1 hop, 1 Mbit/s",
        "a -> b: 1 ms, 1 hop, 0 bit/s",
    ],
)  # fmt: skip
def test_other_texts_are_no_ways(text):
    with pytest.raises(Unfit):
        Way.of(text)
