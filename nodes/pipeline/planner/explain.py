"""What each constraint of a problem costs, and which one is in the way where no plan keeps all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf

from nodes.pipeline.planner.moving import best_of_windows
from nodes.pipeline.planner.problem import Problem
from nodes.pipeline.planner.search import Exhausted, Infeasible


@dataclass(frozen=True, slots=True)
class Cost:
    """The delay without one constraint; None where no plan is found then either."""

    constraint: str
    without_s: float | None


def costs(problem: Problem) -> list[Cost]:
    """Of each constraint that the problem has. Where it has no plan, those with a delay are in the way."""
    return [Cost(name, _delay_s(relaxed)) for name, relaxed in _relaxed(problem)]


def _relaxed(problem: Problem) -> Iterator[tuple[str, Problem]]:
    if problem.budget_nats < inf:
        yield "error budget", replace(problem, budget_nats=inf)
    satellites = problem.satellites
    if any(each.memory_bytes < inf for each in satellites):
        yield "memory", replace(problem, satellites=tuple(replace(each, memory_bytes=inf) for each in satellites))
    if any(each.first or each.stop is not None for each in satellites):
        held = tuple(replace(each, first=0, stop=None) for each in satellites)
        yield "blocks that satellites hold", replace(problem, satellites=held)
    if problem.stages is not None:
        yield "number of stages", replace(problem, stages=None)


def _delay_s(problem: Problem) -> float | None:
    try:
        return best_of_windows(problem).delay_s
    except (Infeasible, Exhausted):
        return None
