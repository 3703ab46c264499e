"""Random problems of the planner, small enough to try every plan of them, and the comparison with all plans."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isclose
from random import Random
from typing import Any

import numpy as np
from oracle.pipeline_exhaustive import best_delay_s, delay_s

from nodes.pipeline.planner.moving import best_of_windows
from nodes.pipeline.planner.plan import Plan, crossing_loss_nats, terms
from nodes.pipeline.planner.policies import Chosen
from nodes.pipeline.planner.problem import CodecCost, Link, Problem, Satellite, Span, Work
from nodes.pipeline.planner.search import Found, Heuristic, Infeasible, best

TIMES_S = (0.0, 0.001, 0.005, 0.02, 0.08)
RATES_BPS = (5e5, 1e6, 2e6, 8e6)


def problem(draw: Random, moving: bool = False, chunks: int | None = None) -> Problem:
    """With `moving` links change; they do not otherwise."""
    blocks, count = draw.randint(1, 7), draw.randint(1, 4)
    pairs = [(a, b) for a in range(count) for b in range(count) if a != b and draw.random() < 0.9]
    satellites = tuple(
        Satellite(
            f"s{number}",
            draw.choice((0.1, 0.25, 0.4, 1.0)),
            draw.choice((inf, inf, 3.0, 5.0)),
            *draw.choice(((0, None), (0, None), (0, 3), (2, None))),
        )
        for number in range(count)
    )
    return Problem(
        blocks=blocks,
        satellites=satellites,
        links={pair: _link(draw, moving) for pair in pairs},
        codecs=tuple(_codec(draw, f"c{number}", blocks) for number in range(draw.randint(1, 2))),
        chunk=Work(32, draw.choice((0.004, 0.02)), draw.choice(TIMES_S)),
        token=Work(1, 0.001, 0.006),
        chunks=chunks or draw.choice((1, 4, 8)),
        answer_tokens=1 if moving else draw.choice((1, 1, 20)),
        budget_nats=draw.choice((inf, 0.0, 0.012, 0.05)),
        source=draw.randrange(count),
        unit=draw.choice((1, 1, 2)),
        stages=draw.choice((None, None, None, 2, 3)),
        block_bytes=1.0,
        embedding_bytes=draw.choice((0.0, 1.5)),
        head_bytes=draw.choice((0.0, 1.5)),
        start_s=draw.choice((0.0, 0.1)) if moving else 0.0,
    )


def tight(draw: Random) -> Problem:
    """Three stages and more, a lossy codec that the budget bears at some cuts only, and no two times equal."""
    blocks, count = 6, 5
    losses = tuple(draw.uniform(0.002, 0.01) for _ in range(blocks))
    large, small = draw.uniform(20_000, 40_000), draw.uniform(2_000, 15_000)
    codecs = (
        CodecCost("plain", 0.0, 0.0, large, 0.0, 0.0, large / 32, (0.0,) * blocks),
        CodecCost("small", *(draw.uniform(0, 0.05) for _ in range(2)), small, 0.001, 0.001, small / 32, losses),
    )
    return Problem(
        blocks=blocks,
        satellites=tuple(Satellite(f"s{number}", draw.uniform(0.1, 1), 2.0) for number in range(count)),
        links={
            (a, b): Link.steady(draw.choice((0.0, 0.02, 0.4)), draw.uniform(3e5, 8e6))
            for a in range(count)
            for b in range(count)
            if a != b and draw.random() < 0.8
        },
        codecs=codecs,
        chunk=Work(32, draw.uniform(0.005, 0.05), 0.001),
        token=Work(1, 0.001, 0.006),
        chunks=draw.choice((1, 4)),
        answer_tokens=draw.choice((1, 1, 6)),
        budget_nats=draw.uniform(0.003, 0.02),
        unit=draw.choice((1, 2)),
        stages=draw.choice((None, None, 4)),
        block_bytes=1.0,
    )


def spent(draw: Random) -> Problem:
    """Four stages, whose three cuts take the budget to its last, and a codec that is worth it."""
    losses = tuple(draw.uniform(0.002, 0.01) for _ in range(8))
    return Problem(
        blocks=8,
        satellites=tuple(Satellite(f"s{number}", draw.uniform(0.5, 1), 2.0) for number in range(4)),
        links={(a, b): Link.steady(0.01, 1e6) for a in range(4) for b in range(4) if a != b},
        codecs=(
            CodecCost("plain", 0.0, 0.0, 40_000.0, 0.0, 0.0, 1000.0, (0.0,) * 8),
            CodecCost("small", 0.001, 0.001, 4000.0, 0.0, 0.0, 100.0, losses),
        ),
        chunk=Work(32, 0.01, 0.001),
        token=Work(1, 0.001, 0.006),
        chunks=4,
        budget_nats=1.2 * (losses[1] + losses[3] + losses[5]) * 1.0001,
        block_bytes=1.0,
    )


def _codec(draw: Random, name: str, blocks: int) -> CodecCost:
    size_bytes = draw.choice((36_864.0, 19_000.0, 10_500.0))
    times_s = [draw.choice(TIMES_S) for _ in range(4)]
    losses = tuple(draw.choice((-0.001, 0.0, 0.003, 0.01, 0.04)) for _ in range(blocks))
    return CodecCost(name, *times_s[:2], size_bytes, *times_s[2:], size_bytes / 32, losses)


def _link(draw: Random, moving: bool) -> Link:
    if not moving or draw.random() < 0.5:
        return Link.steady(draw.choice(TIMES_S), draw.choice(RATES_BPS))
    spans, until_s = [], 0.0
    for _ in range(draw.randint(1, 3)):
        until_s += draw.choice((0.05, 0.2, 0.7))
        spans.append(Span(until_s, draw.choice(TIMES_S), draw.choice((0.0, 5e5, 2e6))))
    return Link((*spans, Span(inf, draw.choice(TIMES_S), draw.choice(RATES_BPS))))


@dataclass(frozen=True)
class Prefix:
    """A plan up to where a stage starts, as the search's labels have it."""

    start: int  # index of the cut
    satellite: int
    delay_s: float  # until what came in is decoded
    busiest_s: Any
    loss_nats: Any


def prefixes(given: Problem, plan: Plan) -> list[Prefix]:
    """Of each stage; a token of the answer counts with each crossing."""
    delay_s = busiest_s = loss_nats = decode_s = 0.0
    found = [Prefix(0, given.source, 0.0, np.zeros(1), np.zeros(1))]
    for stage, after, crossing in zip(plan.stages, plan.stages[1:], plan.crossings, strict=False):
        here, there = given.satellites[stage.satellite], given.satellites[after.satellite]
        codec, token, count = crossing.codec, crossing.token_codec, stage.stop - stage.first
        busy_s = (count * given.chunk.block_s + codec.encode_s) / here.speed
        link = given.links[stage.satellite, after.satellite]
        sending_s, behind_s = link.crossing_s(given.start_s + delay_s + busy_s, codec.size_bytes)
        busiest_s = max(busiest_s, decode_s + busy_s, sending_s)
        decode_s = codec.decode_s / there.speed
        delay_s += busy_s + sending_s + behind_s + decode_s
        if given.answer_tokens > 1:
            token_s = (count * given.token.block_s + token.token_encode_s) / here.speed
            token_s += sum(link.crossing_s(0.0, token.token_bytes)) + token.token_decode_s / there.speed
            delay_s += (given.answer_tokens - 1) * token_s
        loss_nats += crossing_loss_nats(given, crossing, stage.stop)
        at = given.cuts.index(after.first)
        found.append(Prefix(at, after.satellite, delay_s, np.array([busiest_s]), np.array([loss_nats])))
    return found


def fits(problem: Problem, plan: Plan) -> bool:
    """Whether a plan keeps every constraint."""
    satellites = [stage.satellite for stage in plan.stages]
    borders = [0, *(stage.stop for stage in plan.stages)]
    return (
        satellites[0] == problem.source
        and len({*satellites}) == len(satellites)
        and [stage.first for stage in plan.stages] == borders[:-1]
        and borders[-1] == problem.blocks
        and problem.stages in (None, len(satellites))
        and all(problem.holds(problem.satellites[each.satellite], each.first, each.stop) for each in plan.stages)
        and terms(problem, plan).loss_nats <= problem.budget_nats
    )


def check_exact(given: Problem, heuristic: Heuristic = "full") -> Found | None:
    """The plan found keeps the constraints, takes what it says, and no other one takes less."""
    expected_s = best_delay_s(given)
    try:
        found = best(given, heuristic)
    except Infeasible:
        assert expected_s == inf
        return None
    assert isclose(found.delay_s, expected_s, rel_tol=1e-9)
    assert isclose(delay_s(given, found.plan), found.delay_s, rel_tol=1e-9)
    assert isclose(Chosen("joint", found.plan, True, terms(given, found.plan)).total_s, found.delay_s, rel_tol=1e-9)
    assert fits(given, found.plan)
    return found


def check_windows(given: Problem) -> None:
    """A plan on the worst of its window is kept, whatever links do."""
    try:
        found = best_of_windows(given)
    except Infeasible:
        return
    assert delay_s(given, found.plan) <= found.delay_s * (1 + 1e-9)
    assert fits(given, found.plan)


def trials() -> None:
    """Of fixed problems, all of that: what faults are looked for with."""
    draw = Random("planner")
    for _ in range(40):
        check_exact(tight(draw))
        check_exact(problem(draw))
        check_exact(problem(draw, moving=True, chunks=1))
        check_windows(problem(draw, moving=True))
