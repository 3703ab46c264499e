"""The planner's plan is the best there is: against every plan of small problems, played chunk by chunk."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_problems import check_exact, check_windows, problem

from nodes.pipeline.planner.search import Infeasible, best

draws = st.randoms(use_true_random=False)


@settings(max_examples=300, deadline=None)
@given(draws)
def test_the_best_plan_over_steady_links(draw: Random) -> None:
    check_exact(problem(draw))


@settings(max_examples=200, deadline=None)
@given(draws)
def test_the_best_plan_for_one_chunk_over_moving_links(draw: Random) -> None:
    check_exact(problem(draw, moving=True, chunks=1))


@settings(max_examples=100, deadline=None)
@given(draws)
def test_chunks_over_moving_links_are_through_when_planned(draw: Random) -> None:
    check_windows(problem(draw, moving=True))


@settings(max_examples=60, deadline=None)
@given(draws, st.sampled_from(["fill", "none"]))
def test_weaker_bounds_find_the_same(draw: Random, heuristic: str) -> None:
    check_exact(problem(draw), heuristic)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(draws)
def test_a_looser_constraint_never_costs(draw: Random) -> None:
    asked = problem(draw)
    try:
        found = best(asked)
    except Infeasible:
        return
    satellites = tuple(replace(each, memory_bytes=inf) for each in asked.satellites)
    for looser in (replace(asked, budget_nats=inf), replace(asked, satellites=satellites)):
        assert best(looser).delay_s <= found.delay_s * (1 + 1e-9)
