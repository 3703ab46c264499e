"""links.parquet of a finished run at any instant: the last interval of each end, and its sums so far.

Invariant: the values for an instant are those that the live screen had then; each call costs some searches in sorted
arrays and the rows of one interval, however long the run was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from emulator.record.links import CAUSES, LinkInterval

if TYPE_CHECKING:
    import polars as pl

SLACK_S = 0.1  # by which an interval may be longer than the one before
DROPS = [f"drop_{cause}" for cause in CAUSES]


class Intervals:
    """The table by time and by end. `t_s` is the cursor; rows that end after it have not happened."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame.select(LinkInterval._fields)
        self._at_s = frame["t_s"].to_numpy()
        self._cuts_s = np.unique(self._at_s)
        self.names: list[str] = frame["end"].unique().sort().to_list()
        place = frame["end"].rank("dense").to_numpy().astype(np.int32) - 1  # numpy takes ten times as long for texts
        self._order = np.argsort(place, kind="stable").astype(np.int64)  # rows of one end together, in order of time
        self._first = np.searchsorted(place[self._order], np.arange(len(self.names) + 1))
        self._number = {name: number for number, name in enumerate(self.names)}
        self._delivered_bps = frame["delivered_bps"].to_numpy()
        self._drops = {name: frame[name].to_numpy() for name in DROPS}
        self._drops_so_far = {name: np.cumsum(drops) for name, drops in self._drops.items()}
        self.t_s = 0.0
        self._latest_of: tuple[int, int] = (0, 0)
        self._latest: dict[str, LinkInterval] = {}

    @property
    def until_s(self) -> float:
        """When the last interval ended; 0 where nothing was recorded."""
        return float(self._cuts_s[-1]) if len(self._cuts_s) else 0.0

    def latest(self) -> dict[str, LinkInterval]:
        """The last interval before the cursor of each active end, by its name."""
        stop = int(np.searchsorted(self._at_s, self.t_s, side="right"))
        if not stop:
            return {}
        start = int(np.searchsorted(self._at_s, self._at_s[stop - 1], side="left"))
        if self._latest_of != (start, stop):
            rows = self._frame.slice(start, stop - start).rows()
            self._latest_of, self._latest = (start, stop), {row[2]: LinkInterval(*row) for row in rows}
        length_s = next(iter(self._latest.values())).interval_s
        quiet = self.t_s >= self._at_s[stop - 1] + length_s + SLACK_S
        return {} if quiet else self._latest

    def history_bps(self, end: str, count: int) -> list[float]:
        """Delivered rates of the last `count` intervals of an end, from its first one on, oldest first."""
        rows = self._rows(end)
        if not len(rows):
            return []
        stop = int(np.searchsorted(self._cuts_s, self.t_s, side="right"))
        begin = int(np.searchsorted(self._cuts_s, self._at_s[rows[0]], side="left"))
        cuts = self._cuts_s[max(begin, stop - count) : stop]
        rates = np.zeros(len(cuts))
        few = rows[self._at_s[rows] >= cuts[0]]
        rates[np.searchsorted(cuts, self._at_s[few])] = self._delivered_bps[few]
        found: list[float] = rates.tolist()
        return found

    def drops(self) -> dict[str, int]:
        """Drops of all ends so far, by cause."""
        stop = int(np.searchsorted(self._at_s, self.t_s, side="right"))
        return {
            cause: int(self._drops_so_far[name][stop - 1]) if stop else 0
            for cause, name in zip(CAUSES, DROPS, strict=True)
        }

    def drops_of(self, end: str) -> dict[str, int]:
        """Drops of one end so far, by cause; only causes that occurred."""
        rows = self._rows(end)
        found = {cause: int(self._drops[name][rows].sum()) for cause, name in zip(CAUSES, DROPS, strict=True)}
        return {cause: count for cause, count in found.items() if count}

    def _rows(self, end: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Numbers of the rows of an end that have happened."""
        number = self._number.get(end)
        if number is None:
            return self._order[:0]
        rows = self._order[self._first[number] : self._first[number + 1]]
        return rows[: np.searchsorted(self._at_s[rows], self.t_s, side="right")]


class Histories(Mapping[str, list[float]]):
    """Rates of the last intervals by end, computed on access."""

    def __init__(self, intervals: Intervals, count: int) -> None:
        self._intervals = intervals
        self._count = count

    def __getitem__(self, end: str) -> list[float]:
        return self._intervals.history_bps(end, self._count)

    def __iter__(self) -> Iterator[str]:
        return iter(self._intervals.names)

    def __len__(self) -> int:
        return len(self._intervals.names)
