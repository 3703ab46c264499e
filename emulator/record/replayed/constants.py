"""Which values of a link end are one for a whole run: its loss, and its delay.

Invariant: a value is given only where neither a table, a row of the schedule nor an action before `…_until_s` makes it
another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil, inf, isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator.record.packet_comments import concerned

if TYPE_CHECKING:
    from emulator.model.network import Floats, Network
    from emulator.record.load import Run

MOST_ROWS = 2000  # of a schedule that are computed again to see whether they change


@dataclass(frozen=True, slots=True)
class Constant:
    """Loss and delay of an end, and until when actions leave them; None where they change by schedule."""

    loss: float | None
    loss_until_s: float
    delay_s: float | None
    delay_until_s: float

    @property
    def loss_all_along(self) -> bool:
        """Whether the loss is one value to the end of the run."""
        return self.loss is not None and self.loss_until_s == inf


class Constants:
    """`of(end)` for the ends of a network that played for `duration_s` in `runs`."""

    def __init__(self, network: Network, duration_s: float, runs: Iterable[Run]) -> None:
        self._network = network
        self._duration_s = duration_s
        self._actions = [action for run in runs for action in _actions(run)]

    def of(self, end: int) -> Constant:
        schedule = self._network.end_spec(end).schedule
        if schedule is not None:
            loss, delay_s = _one(schedule.loss), _one(schedule.delay_s)
        else:
            losses, delays_s = self._of_rows
            loss, delay_s = (None if isnan(value) else float(value) for value in (losses[end], delays_s[end]))
        return Constant(loss, self._until_s(end, "loss"), delay_s, self._until_s(end, "delay_s"))

    def _until_s(self, end: int, key: str) -> float:
        times = (t_s for t_s, action in self._actions if key in action and concerned(self._network, action, [end]))
        return min(times, default=inf)

    @cached_property
    def _of_rows(self) -> tuple[Floats, Floats]:
        """Loss and delay of every end that follows the timeline; nan where rows differ or are too many to look at."""
        network, timeline = self._network, self._network.timeline
        unknown = np.full(2 * len(network.links), nan)
        if timeline is None:
            return unknown, unknown
        steps = ceil(self._duration_s / timeline.step_s)
        if steps > MOST_ROWS:
            return (unknown if timeline.rates is None else timeline.rates.loss), unknown
        losses, delays_s = unknown, unknown
        for row in timeline.rows(0, steps):
            if row.step == 0:
                losses, delays_s = row.loss.copy(), row.delay_start_s.copy()
            losses[row.loss != losses] = nan
            delays_s[(row.delay_start_s != delays_s) | (row.delay_end_s != delays_s)] = nan
        if network.substep is not None:
            losses[network.substep.ends] = delays_s[network.substep.ends] = nan
        return losses, delays_s


def _actions(run: Run) -> list[tuple[float, dict[str, Any]]]:
    """Actions that gave link ends another loss or delay, with their times."""
    import polars as pl

    rows = run.own_events.filter(pl.col("kind") == "action").select("t_s", "data").iter_rows()
    changes = ((t_s, json.loads(data)) for t_s, data in rows)
    return [(t_s, action) for t_s, action in changes if "loss" in action or "delay_s" in action]


def _one(values: Floats) -> float | None:
    return float(values[0]) if bool((values == values[0]).all()) else None
