"""Rows of a timeline that are computed when somebody asks for them: the rows of a run that is over.

Invariant: rows are pure functions of their step, so these are the rows that were played.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.model.network import ScheduleRow, Timeline


class RecomputedRows:
    """A `RowSource` of steps 0 to `steps` - 1, none without a timeline; at most `kept` rows are remembered."""

    bytes_per_row = 0.0  # no ring's memory, which would have to be copied in time

    def __init__(self, timeline: Timeline | None, steps: int, kept: int) -> None:
        self._timeline = timeline
        self._kept = kept
        self._rows: OrderedDict[int, ScheduleRow] = OrderedDict()
        self.latest = steps - 1 if timeline is not None else -1

    def row(self, step: int) -> ScheduleRow:
        if step not in self._rows:
            if self._timeline is None or not 0 <= step <= self.latest:
                raise LookupError(f"there is no row {step}; expected one from 0 to {self.latest}")
            self._rows[step] = next(iter(self._timeline.rows(step, 1)))
            while len(self._rows) > self._kept:
                self._rows.popitem(last=False)
        return self._rows[step]

    def copied(self, step: int) -> ScheduleRow:
        """As `row`, which nobody writes again."""
        return self.row(step)

    def holds(self, step: int) -> bool:
        """Whether what was read of a row is of that row: always, for none is written anew."""
        return True
