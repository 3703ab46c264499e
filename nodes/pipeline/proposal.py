"""A policy's plan with all that it is to be seen beside: the other policies' plans, and what each constraint costs."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.errors import Absent, DataError
from nodes.pipeline.planner.explain import Cost, costs
from nodes.pipeline.planner.policies import POLICIES, Chosen, choose, offered_to
from nodes.pipeline.planner.problem import Problem
from nodes.pipeline.planner.search import Exhausted, Infeasible

OPTIMAL = ("joint", "fp16", "int8")
"""Policies whose plan is the best there is with their codecs: constraints cost them delay."""


@dataclass(frozen=True, slots=True)
class Proposal:
    problem: Problem
    chosen: Chosen
    others: dict[str, Chosen | str]  # by policy; words where it has no plan
    costs: list[Cost]


def propose(problem: Problem, policy: str) -> Proposal:
    """DataError where the policy has no plan; it says which constraint is in the way."""
    try:
        chosen = choose(policy, problem)
    except Infeasible as error:
        raise DataError(f"no plan by policy {policy}: {_in_the_way(problem, policy, error)}") from None
    except Absent as error:
        raise DataError(f"no plan by policy {policy}: {error}, calibrated") from None
    except Exhausted as error:
        raise DataError(f"no plan by policy {policy}: {error}") from None
    others = {other: _chosen(problem, other) for other in POLICIES if other != policy}
    return Proposal(problem, chosen, others, costs(offered_to(policy, problem)) if policy in OPTIMAL else [])


def _chosen(problem: Problem, policy: str) -> Chosen | str:
    try:
        return choose(policy, problem)
    except (Infeasible, Exhausted, Absent) as error:
        return error.found


def _in_the_way(problem: Problem, policy: str, error: Infeasible) -> str:
    if policy == "memory-proportional":  # it looks at memory alone
        return str(error)
    tried = costs(offered_to(policy, problem))
    alone = [f"{each.constraint} ({each.without_s:.2f} s without it)" for each in tried if each.without_s is not None]
    if alone:
        return f"in the way: {'; '.join(alone)}. Expected one of these to be wider"
    names = " and ".join(each.constraint for each in tried)
    return f"{names} are in the way together. Expected both to be wider, or more satellites" if tried else str(error)
