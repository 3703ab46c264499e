"""The least that the rest of a plan can take, from each start of a stage: exact on a relaxation of the problem.

Relaxed are: satellites may run two stages, error is rounded down (and what is left of the budget up, against the
rounding of sums), and decoding what comes in does not count for the busiest stage. So the bound is never above what a
plan takes, and the first plan that the search takes from its queue is the best.
"""

from __future__ import annotations

from math import inf

import numpy as np

from nodes.pipeline.planner.edges import Edges, Times
from nodes.pipeline.planner.problem import Problem

LEVELS = 16  # of the budget
CELLS = 40  # of the busiest server's time


class Bound:
    """`least_s` of a row of labels; `rest` is (starts, satellites, levels, cells)."""

    def __init__(self, problem: Problem, edges: dict[tuple[int, int], Edges]) -> None:
        self.budget_nats = problem.budget_nats
        self.levels = LEVELS if 0 < self.budget_nats < inf else 0
        self.further = problem.chunks - 1
        self.above_s = _grid(edges)  # upper ends of the cells
        self.below_s = np.concatenate([[0.0], self.above_s[:-1]])
        self.rest = np.full((len(problem.cuts), len(problem.satellites), self.levels + 1, len(self.above_s)), inf)
        for start in range(len(problem.cuts) - 2, -1, -1):
            for (at, satellite), out in edges.items():
                if at == start:
                    self._relax(self.rest[start, satellite], out)

    def _relax(self, rest: Times, out: Edges) -> None:
        """The least over a satellite's edges; those of one border and error are taken together."""
        steps = np.floor(out.loss_nats * (self.levels / self.budget_nats if self.levels else 0.0)).astype(int)
        most_s = np.maximum(out.busy_s, out.sending_s)
        cost_s = np.where(most_s[:, None] <= self.above_s, out.cost_s[:, None], inf)
        ends = out.target < 0
        if ends.any():
            np.minimum(rest, cost_s[ends].min(axis=0), out=rest)
        for border, step in {*zip(out.border[~ends].tolist(), steps[~ends].tolist(), strict=True)}:
            these = ~ends & (out.border == border) & (steps == step)
            after = self.rest[border, out.target[these], : self.levels + 1 - step]
            np.minimum(rest[step:], (after + cost_s[these, None]).min(axis=0), out=rest[step:])

    def least_s(self, border: object, target: object, busiest_s: Times, loss_nats: Times) -> Times:
        """Of labels at (border, target): the fill to go and all that the busiest server adds."""
        left = self.rest[border, target, self._level(loss_nats)]  # type: ignore[index]
        waiting_s = self.further * np.maximum(busiest_s[:, None], self.below_s)
        least: Times = (left + waiting_s).min(axis=1)
        return least

    def fill_s(self, border: object, target: object, busiest_s: Times, loss_nats: Times) -> Times:
        """A weaker bound: the busiest server does not grow."""
        least: Times = self.rest[border, target, self._level(loss_nats), -1] + self.further * busiest_s  # type: ignore[index]
        return least

    def _level(self, loss_nats: Times) -> object:
        if not self.levels:
            return np.zeros(len(loss_nats), int)
        left = np.ceil((1 - loss_nats / self.budget_nats) * self.levels)
        return left.clip(0, self.levels).astype(int)


def _grid(edges: dict[tuple[int, int], Edges]) -> Times:
    """Times of the busiest server at which cells end, the last one the greatest there can be."""
    times = [np.maximum(out.busy_s, out.sending_s) for out in edges.values()]
    decoding_s = max((float(out.decoding_s.max()) for out in edges.values() if len(out.decoding_s)), default=0.0)
    every = np.unique(np.concatenate([*times, [0.0]]))
    if len(every) > CELLS:
        every = np.unique(np.quantile(every, np.linspace(0, 1, CELLS), method="higher"))
    every[-1] += decoding_s
    return every
