"""The edges of the search: each runs a stage's blocks on its satellite and crosses to the next stage, or ends there.

Invariant: what is additive in the delay of a plan is in `cost_s`; what may be the busiest server is in `busy_s` and
`sending_s`. Over moving links both are those of the link at its best, so that bounds made of them are too low, never
too high.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

from nodes.pipeline.planner.plan import Crossing, crossing_loss_nats
from nodes.pipeline.planner.problem import CodecCost, Link, Problem

Times = NDArray[np.float64]


@dataclass(slots=True)
class Edges:
    """Those out of one start of a stage on one satellite; a column each. `target` is -1 where the plan ends."""

    border: NDArray[np.intp]  # index of the cut at which the stage stops
    target: NDArray[np.intp]
    crossing: list[Crossing | None]
    busy_s: Times  # of the stage, without decoding what comes in
    sending_s: Times
    decoding_s: Times  # of the next stage
    cost_s: Times
    loss_nats: Times


@dataclass(slots=True)
class _Rows:
    rows: list[tuple[int, int, float, float, float, float, float]] = field(default_factory=list)
    crossings: list[Crossing | None] = field(default_factory=list)

    def edges(self) -> Edges:
        columns = np.array(self.rows, float).reshape(len(self.rows), 7).T
        border, target = columns[:2].astype(np.intp)
        return Edges(border, target, self.crossings, *columns[2:])


def edges_of(problem: Problem) -> dict[tuple[int, int], Edges]:
    """By index of the cut where the stage starts, and satellite; none that no plan within the budget has."""
    crossings = {cut: _crossings(problem, cut) for cut in problem.cuts[1:-1]}
    found = {}
    for start, first in enumerate(problem.cuts[:-1]):
        for satellite in [problem.source] if not start else range(len(problem.satellites)):
            rows = _Rows()
            for border, stop in list(enumerate(problem.cuts))[start + 1 :]:
                if not problem.holds(problem.satellites[satellite], first, stop):
                    continue
                if stop == problem.blocks:
                    _end(problem, rows, satellite, first, border)
                else:
                    _cross(problem, rows, satellite, first, border, crossings[stop])
            found[start, satellite] = rows.edges()
    return found


def _end(problem: Problem, rows: _Rows, satellite: int, first: int, border: int) -> None:
    returning_s = problem.returning_s(satellite)
    if returning_s == inf:
        return
    speed, blocks = problem.satellites[satellite].speed, problem.blocks - first
    busy_s = (blocks * problem.chunk.block_s + problem.chunk.head_s) / speed
    token_s = (blocks * problem.token.block_s + problem.token.head_s) / speed + returning_s
    cost_s = busy_s + returning_s + (problem.answer_tokens - 1) * token_s
    rows.rows.append((border, -1, busy_s, 0.0, 0.0, cost_s, 0.0))
    rows.crossings.append(None)


def _cross(
    problem: Problem, rows: _Rows, satellite: int, first: int, border: int, crossings: list[tuple[float, Crossing]]
) -> None:
    speed, blocks = problem.satellites[satellite].speed, problem.cuts[border] - first
    further = problem.answer_tokens - 1
    for target, other in enumerate(problem.satellites):
        link = problem.links.get((satellite, target))
        if target in (satellite, problem.source) or link is None or not link.most_rate_bps:
            continue
        for loss_nats, crossing in crossings:
            codec, token_codec = crossing.codec, crossing.token_codec
            busy_s = (blocks * problem.chunk.block_s + codec.encode_s) / speed
            sending_s, delay_s = _at_best(link, codec.size_bytes)
            decoding_s = codec.decode_s / other.speed
            token_s = sum(_at_best(link, token_codec.token_bytes))
            token_s += (blocks * problem.token.block_s + token_codec.token_encode_s) / speed
            token_s += token_codec.token_decode_s / other.speed
            cost_s = busy_s + sending_s + delay_s + decoding_s + further * token_s
            rows.rows.append((border, target, busy_s, sending_s, decoding_s, cost_s, loss_nats))
            rows.crossings.append(crossing)


def _at_best(link: Link, size_bytes: float) -> tuple[float, float]:
    return 8 * size_bytes / link.most_rate_bps, link.least_delay_s


def _crossings(problem: Problem, cut: int) -> list[tuple[float, Crossing]]:
    """Codecs of chunks, each with those of tokens that no other one beats in both cost and error."""
    if problem.answer_tokens == 1:
        pairs = [Crossing(codec, codec) for codec in problem.codecs]
    else:
        pairs = [Crossing(codec, token) for codec in problem.codecs for token in problem.codecs]
    rated = [(crossing_loss_nats(problem, pair, cut), pair) for pair in pairs]
    within = [(loss, pair) for loss, pair in rated if loss <= problem.budget_nats]
    return [
        (loss, pair)
        for loss, pair in within
        if not any(
            other.codec is pair.codec and other_loss <= loss and _cheaper(other.token_codec, pair.token_codec)
            for other_loss, other in within
        )
    ]


def _cheaper(one: CodecCost, other: CodecCost) -> bool:
    """Whether a token costs less by the one, on every link and satellite."""
    ours = (one.token_encode_s, one.token_decode_s, one.token_bytes)
    theirs = (other.token_encode_s, other.token_decode_s, other.token_bytes)
    return ours != theirs and all(mine <= its for mine, its in zip(ours, theirs, strict=True))
