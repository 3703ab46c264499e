"""The plan of least delay: label-setting A* over (where a stage starts, on which satellite).

A label is a plan so far: delay, busiest server, error, satellites in use. Labels leave the queue by a bound of the
whole delay that is never too high, so the first complete plan to leave it is the best. A label that another one at the
same place beats in everything that the rest can see is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.errors import Unfit
from nodes.pipeline.planner.bound import Bound
from nodes.pipeline.planner.edges import Edges, Times, edges_of
from nodes.pipeline.planner.plan import Crossing, Plan, Stage
from nodes.pipeline.planner.problem import Problem

Heuristic = Literal["full", "fill", "none"]
MOST_LABELS = 4_000_000  # some 1.5 GB, and a minute
_ROUNDING = 1e-12  # of sums of errors


class Infeasible(Unfit):
    """No plan keeps every constraint."""


class Exhausted(Unfit):
    """The search has grown too large before it came to a plan."""


@dataclass(frozen=True, slots=True)
class Found:
    plan: Plan
    delay_s: float
    popped: int  # labels that left the queue


class _Label(NamedTuple):
    delay_s: float  # until what is decoded is there; over moving links an instant
    busiest_s: float
    decoding_s: float  # of what is there, which the coming stage is busy with too
    loss_nats: float
    used: int  # satellites, a bit each
    start: int
    satellite: int
    before: int  # label
    edge: int


def best(problem: Problem, heuristic: Heuristic = "full") -> Found:
    """The best plan, and how much was searched. Infeasible where there is none, Exhausted where there are too many.

    Unfit for several chunks or tokens over links that move: `moving.best_of_windows` plans them.
    """
    if problem.moves and max(problem.chunks, problem.answer_tokens) > 1:
        raise Unfit("several chunks or tokens over moving links", "one of each")
    return _Search(problem, heuristic).found()


class _Search:
    def __init__(self, problem: Problem, heuristic: Heuristic) -> None:
        self.problem, self.heuristic = problem, heuristic
        self.edges = edges_of(problem)
        self.bound = Bound(problem, self.edges)
        self.further = problem.chunks - 1
        self.labels = [_Label(0.0, 0.0, 0.0, 0.0, 1 << problem.source, 0, problem.source, -1, -1)]
        self.queue: list[tuple[float, int]] = [(0.0, 0)]
        self.most_s = inf  # delay of the best plan so far
        self.fronts: dict[tuple[int, int, int], _Front] = {}

    def found(self) -> Found:
        popped = 0
        while self.queue:
            if len(self.labels) > MOST_LABELS:
                raise Exhausted(
                    f"{len(self.problem.satellites)} satellites and {len(self.problem.cuts) - 2} cuts, whose plans are "
                    "too many to be searched",
                    "fewer of them",
                )
            delay_s, number = heappop(self.queue)
            label = self.labels[number]
            popped += 1
            if label.satellite < 0:
                return Found(self._plan(number), delay_s, popped)
            if not self._beaten(label):
                self._expand(number)
        raise Infeasible("no plan within memory, error budget, links and number of stages", "one or more")

    def _beaten(self, label: _Label) -> bool:
        stages = label.used.bit_count() if self.problem.stages is not None else 0
        front = self.fronts.setdefault((label.start, label.satellite, stages), _Front())
        if front.beats(label, self.further):
            return True
        front.add(label)
        return False

    def _expand(self, number: int) -> None:
        label = self.labels[number]
        out = self.edges[label.start, label.satellite]
        loss_nats = label.loss_nats + out.loss_nats
        allowed = ((label.used >> np.maximum(out.target, 0)) & 1 == 0) | (out.target < 0)
        allowed &= loss_nats <= self.problem.budget_nats + _ROUNDING
        if self.problem.stages is not None:
            ends = label.used.bit_count() == self.problem.stages
            allowed &= (out.target < 0) == ends
        (chosen,) = allowed.nonzero()
        if not len(chosen):
            return
        targets, loss_nats = out.target[chosen], loss_nats[chosen]
        busy_s = np.maximum(label.decoding_s + out.busy_s[chosen], out.sending_s[chosen])
        busiest_s = np.maximum(label.busiest_s, busy_s)
        delay_s = label.delay_s + (self._moving_s(label, out, chosen) if self.problem.moves else out.cost_s[chosen])
        least_s = delay_s + self._rest_s(out.border[chosen], targets, busiest_s, loss_nats)
        for at in (least_s < self.most_s).nonzero()[0].tolist():
            edge, target = int(chosen[at]), int(targets[at])
            used = label.used | 1 << target if target >= 0 else label.used
            if target < 0:
                self.most_s = min(self.most_s, float(least_s[at]))
            heappush(self.queue, (float(least_s[at]), len(self.labels)))
            self.labels.append(
                _Label(
                    delay_s=float(delay_s[at]),
                    busiest_s=float(busiest_s[at]),
                    decoding_s=float(out.decoding_s[edge]),
                    loss_nats=float(loss_nats[at]),
                    used=used,
                    start=int(out.border[edge]),
                    satellite=target,
                    before=number,
                    edge=edge,
                )
            )

    def _rest_s(self, borders: NDArray[np.intp], targets: NDArray[np.intp], busiest_s: Times, loss: Times) -> Times:
        """The least from here to the end, of each; where a plan ends, exactly."""
        rest_s = self.further * busiest_s
        if self.heuristic != "none":
            on = targets >= 0
            bound = self.bound.least_s if self.heuristic == "full" else self.bound.fill_s
            rest_s[on] = bound(borders[on], targets[on], busiest_s[on], loss[on])
        return rest_s

    def _moving_s(self, label: _Label, out: Edges, chosen: NDArray[np.intp]) -> Times:
        """Costs of edges that begin at the label's instant."""
        problem = self.problem
        costs_s = []
        for edge in chosen.tolist():
            crossing, target = out.crossing[edge], int(out.target[edge])
            if crossing is None:
                costs_s.append(float(out.cost_s[edge]))
                continue
            link = problem.links[label.satellite, target]
            sent_s = problem.start_s + label.delay_s + float(out.busy_s[edge])
            crossing_s = sum(link.crossing_s(sent_s, crossing.codec.size_bytes))
            costs_s.append(float(out.busy_s[edge]) + crossing_s + float(out.decoding_s[edge]))
        return np.array(costs_s)

    def _plan(self, number: int) -> Plan:
        stages: list[Stage] = []
        crossings: list[Crossing] = []
        cuts = self.problem.cuts
        while (label := self.labels[number]).before >= 0:
            before = self.labels[label.before]
            stages.append(Stage(before.satellite, cuts[before.start], cuts[label.start]))
            crossing = self.edges[before.start, before.satellite].crossing[label.edge]
            if crossing is not None:
                crossings.append(crossing)
            number = label.before
        return Plan(tuple(reversed(stages)), tuple(reversed(crossings)))


class _Front:
    """Labels that were expanded at one place, a row each."""

    def __init__(self) -> None:
        self.rows = np.empty((16, 4))
        self.used = np.empty(16, np.int64)
        self.count = 0

    def beats(self, label: _Label, further: int) -> bool:
        """Whether one of them is at least as good, whatever follows.

        What is decoded first counts for the coming stage alone, so a difference there, as one of the busiest server,
        costs at most so much a further chunk.
        """
        rows, used = self.rows[: self.count], self.used[: self.count]
        worse_s = np.maximum(rows[:, 1] - label.busiest_s, rows[:, 2] - label.decoding_s).clip(0)
        within = rows[:, 0] + further * worse_s <= label.delay_s
        return bool((within & (rows[:, 3] <= label.loss_nats) & (used & ~label.used == 0)).any())

    def add(self, label: _Label) -> None:
        if self.count == len(self.used):
            self.rows = np.concatenate([self.rows, np.empty_like(self.rows)])
            self.used = np.concatenate([self.used, np.empty_like(self.used)])
        self.rows[self.count] = label[:4]
        self.used[self.count] = label.used
        self.count += 1
