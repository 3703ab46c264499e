"""Policies, constraints that are in the way, and problems that are none."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from emulator.model.errors import Absent, Unfit
from nodes.pipeline.planner.explain import costs
from nodes.pipeline.planner.moving import best_of_windows
from nodes.pipeline.planner.policies import POLICIES, choose
from nodes.pipeline.planner.problem import CodecCost, Link, Problem, Satellite, Span, Work
from nodes.pipeline.planner.search import Infeasible, best

BLOCKS = 30
RING = [(a, b) for a in range(4) for b in range(4) if a != b]


def codec(name: str, token_bytes: float, encode_s: float, loss_nats: float) -> CodecCost:
    size = 32 * token_bytes
    return CodecCost(
        name, encode_s, encode_s, size, encode_s / 8, encode_s / 8, token_bytes, (loss_nats,) * (BLOCKS - 1)
    )


def problem(rate_bps: float = 1e6) -> Problem:
    """Four satellites of a quarter core, the spec's blocks and codecs, 256 tokens in chunks of 32."""
    return Problem(
        blocks=BLOCKS,
        satellites=tuple(Satellite(f"s{number}", 0.25, 10.0) for number in range(4)),
        links={pair: Link.steady(0.01, rate_bps) for pair in RING},
        codecs=(codec("fp16", 1152, 0.0003, 0), codec("int8", 596, 0.001, 0.0008), codec("klt4", 327, 0.002, 0.0036)),
        chunk=Work(32, 0.0042, 0.001),
        token=Work(1, 0.001, 0.006),
        chunks=8,
        budget_nats=0.02,
        unit=2,
        block_bytes=1.0,
    )


def test_joint_is_never_slower_and_gains_most_where_links_are_slow() -> None:
    gains = []
    for rate_bps in (5e5, 1e6, 2e6, 8e6):
        first_s = {policy: choose(policy, problem(rate_bps)).first_token_s for policy in POLICIES}
        assert min(first_s, key=lambda policy: (first_s[policy], policy != "joint")) == "joint"
        assert first_s["fp16"] < first_s["sequential"]
        gains.append(1 - first_s["joint"] / first_s["fp16"])
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 0.5
    assert gains[-1] < 0.05


def test_policies_of_one_codec_send_it_everywhere() -> None:
    for policy, name in (("fp16", "fp16"), ("int8", "int8"), ("memory-proportional", "fp16")):
        crossings = choose(policy, problem()).plan.crossings
        assert crossings
        assert {each.codec.name for each in crossings} == {name}


def test_memory_proportional_splits_as_memory_is() -> None:
    satellites = tuple(Satellite(f"s{n}", 0.25, memory) for n, memory in enumerate((4.0, 8.0, 8.0, 12.0)))
    stages = choose("memory-proportional", replace(problem(), satellites=satellites)).plan.stages
    assert [stage.satellite for stage in stages] == [0, 1, 2, 3]
    assert [stage.stop - stage.first for stage in stages] == [4, 8, 6, 12]


@pytest.mark.parametrize(
    ("change", "ways"),
    [
        ({"budget_nats": 0.0, "codecs": (codec("klt4", 327, 0.002, 0.0036),)}, {"error budget", "memory"}),
        ({"satellites": tuple(Satellite(f"s{n}", 0.25, 7.0) for n in range(4))}, {"memory"}),
        (
            {"satellites": tuple(Satellite(f"s{n}", 0.25, 10.0, n, n + 9) for n in range(4))},
            {"blocks that satellites hold"},
        ),
        ({"stages": 2}, {"memory", "number of stages"}),
    ],
)  # fmt: skip
def test_constraints_in_the_way_are_named(change: dict[str, object], ways: set[str]) -> None:
    impossible = replace(problem(), **change)  # type: ignore[arg-type]
    with pytest.raises(Infeasible):
        best(impossible)
    assert {cost.constraint for cost in costs(impossible) if cost.without_s is not None} == ways


def test_costs_of_constraints_are_what_a_plan_without_them_saves() -> None:
    with_all_s = best(problem()).delay_s
    found = {cost.constraint: cost.without_s for cost in costs(problem())}
    assert found.keys() == {"error budget", "memory"}
    assert all(without_s is not None and without_s <= with_all_s for without_s in found.values())


def test_a_link_that_goes_down_is_left_before() -> None:
    """A plan that needs 2 s does not use a link that goes at 0.5 s."""
    short = Link((Span(0.5, 0.001, 1e9), Span(inf, 0.001, 0.0)))
    links = {**{pair: Link.steady(0.05, 1e6) for pair in RING}, (0, 1): short}
    found = best_of_windows(replace(problem(), links=links))
    assert (0, 1) not in {
        (stage.satellite, after.satellite)
        for stage, after in zip(found.plan.stages, found.plan.stages[1:], strict=False)
    }


def test_problems_that_are_none_are_refused() -> None:
    for change in (
        {"satellites": ()}, {"codecs": ()}, {"source": 4}, {"chunks": 0}, {"blocks": 40},
        {"satellites": (Satellite("s0", 0.0),)},
    ):  # fmt: skip
        with pytest.raises(Unfit):
            replace(problem(), **change)  # type: ignore[arg-type]
    moving = replace(problem(), links={(0, 1): Link((Span(1.0, 0.0, 1e6), Span(inf, 0.0, 1e6)))})
    with pytest.raises(Unfit):
        best(moving)
    with pytest.raises(Absent):
        choose("greedy", problem())
    with pytest.raises(Absent):
        choose("int8", replace(problem(), codecs=(codec("fp16", 1152, 0, 0),)))


def test_memory_proportional_has_no_plan_of_too_many_stages_or_without_memory() -> None:
    without = tuple(Satellite(f"s{number}", 0.25, 0.0) for number in range(4))
    for impossible in (
        replace(problem(), stages=5),
        replace(problem(), stages=10**20),
        replace(problem(), satellites=without),
    ):
        with pytest.raises(Infeasible):
            choose("memory-proportional", impossible)
