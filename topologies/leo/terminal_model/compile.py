"""From the access model to tables that links play: knots within one step of the schedule.

Invariant: the table is the model, not a sample of it: each break of the model is two knots at one time, one with the
values just before and one with those just after, and between breaks the model is straight.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np

from emulator.model.network import Floats, SubstepTables
from topologies.leo.terminal_model.model import DOWN, GAPS, UP, AccessModel

SIDE_S = 1e-9  # values just before and just after a break are those this far from it


class StepMeans(NamedTuple):
    """What a step amounts to for each end (2 S; up and down of each terminal in turn)."""

    delay_s: Floats
    rate_bps: Floats
    loss: Floats


def knots_a_step(model: AccessModel, step_s: float) -> int:
    """Knots that an end may need in one step."""
    steps = ceil(step_s / model.constants.load_step_s) + 2
    grants = ceil(model.most_grants_a_second * step_s) + ceil(steps)
    return 2 + 2 * (steps + grants + 1 + 2 * GAPS)


def compile_step(
    model: AccessModel, begin_s: float, end_s: float, start_delay_s: Floats, end_delay_s: Floats, knots: int
) -> tuple[SubstepTables, StepMeans]:
    """Tables and means of both ends of every terminal for [begin_s, end_s], which lies within one slot.

    `start_delay_s`, `end_delay_s`: propagation delay (S) at both ends of the step.
    """
    number = model.slots.number(begin_s)
    size = 2 * len(model)
    count = np.zeros(size, dtype=np.int32)
    times, delays, rates, losses = (np.zeros((size, knots)) for _ in range(4))
    up = np.zeros((size, knots), dtype=bool)
    for way in (UP, DOWN):
        breaks = model.breaks(way, number, begin_s, end_s)
        used = 2 + 2 * breaks.shape[1]
        t_s = np.empty((len(model), used))
        t_s[:, 0], t_s[:, -1] = begin_s, end_s
        t_s[:, 1:-1] = np.repeat(breaks, 2, axis=1)
        side = np.where(np.arange(used) % 2 == 0, SIDE_S, -SIDE_S)
        asked = np.clip(t_s + side, begin_s + SIDE_S / 2, end_s - SIDE_S / 2)
        values = model.at(way, number, asked)
        share = (t_s - begin_s) / (end_s - begin_s)
        geometry = start_delay_s[:, None] + share * (end_delay_s - start_delay_s)[:, None]
        rows = slice(way, size, 2)
        times[rows, :used], delays[rows, :used] = t_s, geometry + values.delay_s
        rates[rows, :used], losses[rows, :used], up[rows, :used] = values.rate_bps, values.loss, values.up
        count[rows] = 2 + 2 * (breaks < end_s).sum(axis=1)  # what pads shorter rows stands at the end
    tables = SubstepTables(count, times, delays, rates, losses, up)
    return tables, _means(tables, end_s - begin_s)


def _means(tables: SubstepTables, step_s: float) -> StepMeans:
    width = np.diff(tables.t_s, axis=1)
    width[np.arange(width.shape[1]) >= tables.count[:, None] - 1] = 0.0
    middle = (tables.delay_s[:, 1:] + tables.delay_s[:, :-1]) / 2
    weights = width / step_s
    return StepMeans(
        (middle * weights).sum(axis=1), (tables.rate_bps[:, :-1] * weights).sum(axis=1),
        (tables.loss[:, :-1] * weights).sum(axis=1),
    )  # fmt: skip
