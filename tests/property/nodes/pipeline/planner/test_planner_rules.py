"""What makes the search exact: when one label beats another, a bound that is never too high, links at their worst."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from random import Random

import pytest
from pipeline_problems import check_windows, prefixes, problem, spent, tight

from nodes.pipeline.planner.bound import Bound
from nodes.pipeline.planner.edges import edges_of
from nodes.pipeline.planner.plan import terms
from nodes.pipeline.planner.problem import CodecCost, Link, Problem, Satellite, Span, Work
from nodes.pipeline.planner.search import Infeasible, _Front, _Label, best

LABEL = _Label(
    delay_s=1.0, busiest_s=0.1, decoding_s=0.01, loss_nats=0.01, used=0b0011, start=2, satellite=1, before=0, edge=0
)


@pytest.mark.parametrize(
    ("change", "further", "beaten"),
    [
        ({}, 7, True),
        ({"delay_s": 0.99}, 7, False),
        ({"delay_s": 1.5, "busiest_s": 0.2, "decoding_s": 0.1, "loss_nats": 0.02, "used": 0b0111}, 7, True),
        ({"loss_nats": 0.009}, 7, False),
        ({"used": 0b0101}, 7, False),
        ({"used": 0b0010}, 7, False),
        ({"delay_s": 1.2, "busiest_s": 0.05}, 7, False),  # 7 further chunks may gain 0.35 s
        ({"delay_s": 1.4, "busiest_s": 0.05}, 7, True),
        ({"delay_s": 1.05, "decoding_s": 0.0}, 7, False),  # … 0.07 s
        ({"delay_s": 1.08, "decoding_s": 0.0}, 7, True),
        ({"busiest_s": 0.05, "decoding_s": 0.0}, 0, True),  # one chunk waits for none
    ],
)
def test_a_label_is_beaten_by_one_that_is_as_good_whatever_follows(
    change: dict[str, float], further: int, beaten: bool
) -> None:
    front = _Front()
    for filler in range(20):  # more than it has room for at first
        front.add(LABEL._replace(delay_s=100.0 + filler))
    front.add(LABEL)
    assert front.beats(LABEL._replace(**change), further) == beaten  # type: ignore[arg-type]


def _moving(draw: Random) -> Problem:
    return problem(draw, moving=True, chunks=1)


def test_the_bound_is_never_above_what_a_plan_takes() -> None:
    """At every start of a stage of the best plan, found without the bound."""
    draw, checked = Random("bound"), 0
    for number in range(600):
        given = (tight, problem, spent, _moving, _moving, _moving)[number % 6](draw)
        try:
            found = best(given, "none")
        except Infeasible:
            continue
        bound = Bound(given, edges_of(given))
        for label in prefixes(given, found.plan):
            at = ([label.start], [label.satellite], label.busiest_s, label.loss_nats)
            for least in (bound.least_s, bound.fill_s):
                assert label.delay_s + least(*at)[0] <= found.delay_s * (1 + 1e-9)
            checked += 1
    assert checked > 800


def test_a_token_takes_no_longer_than_without_losses_at_the_same_cuts() -> None:
    """Whatever chunks cross by, tokens of the answer may cross by the codec that loses nothing."""
    draw, apart = Random("tokens"), 0
    for _ in range(150):
        given = replace(tight(draw), answer_tokens=6)
        plain = given.codecs[0]
        try:
            plan = best(given).plan
        except Infeasible:
            continue
        without = replace(plan, crossings=tuple(replace(each, token_codec=plain) for each in plan.crossings))
        assert terms(given, plan).token_s <= terms(given, without).token_s * (1 + 1e-9)
        apart += any(each.codec is not plain and each.token_codec is plain for each in plan.crossings)
    assert apart > 10


MOVING = Link((Span(1.0, 0.01, 2e6), Span(2.0, 0.05, 1e6), Span(inf, 0.02, 3e6)))


@pytest.mark.parametrize(
    ("start_s", "stop_s", "worst"),
    [(0.0, 0.9, (0.01, 2e6)), (0.5, 1.5, (0.05, 1e6)), (1.0, 2.0, (0.05, 1e6)), (2.0, inf, (0.02, 3e6))],
)
def test_a_link_is_at_its_worst_between_two_instants(start_s: float, stop_s: float, worst: tuple[float, float]) -> None:
    assert MOVING.worst(start_s, stop_s) == Link.steady(*worst)


def test_a_plan_is_through_by_the_end_of_its_window() -> None:
    """A fast link that goes at 0.5 s is of no use for what takes 1 s."""
    short = Link((Span(0.5, 0.0, 1e9), Span(inf, 0.0, 0.0)))
    slow = Link.steady(0.0, 1e6)
    codec = CodecCost("fp16", 0.0, 0.0, 1000.0, 0.0, 0.0, 30.0, (0.0,) * 3)
    check_windows(
        Problem(
            blocks=4,
            satellites=tuple(Satellite(f"s{number}", 1.0, 2.0) for number in range(3)),
            links={(0, 1): short, (1, 0): slow, (0, 2): slow, (2, 0): slow},
            codecs=(codec,),
            chunk=Work(32, 0.05, 0.0),
            token=Work(1, 0.05, 0.0),
            chunks=8,
            block_bytes=1.0,
        )
    )
