"""Bounded summaries for panels: quantiles of any number of values, and lines over time or rounds for a chart.

Invariant: memory does not grow with the records that come in, and what is shown does not depend on their order. When a
chart's bins are full each two neighbours become one, so it always shows the whole run, at a coarser grain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from emulator.sdk.protocol import Chart, Series

__all__ = ["Binned", "Quantiles"]

How = Literal["mean", "median", "rate"]
POINTS = 48  # of a chart: two charts of five lines are then within the size of a panel's view
_GROWTH = math.log(1.005)  # of the buckets of `Quantiles`
_SMALLEST, _LARGEST = 1e-9, 1e12


class Quantiles:
    """Quantiles of values above 0, each within 0.25 % of a value that came in, from counts in buckets 0.5 % wide."""

    def __init__(self) -> None:
        self.count = 0
        self._buckets: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Count a value; those below 1e-9 or above 1e12 count as these, and what is no number does not count."""
        if value != value:
            return
        bucket = round(math.log(min(max(value, _SMALLEST), _LARGEST)) / _GROWTH)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1

    def merge(self, other: Quantiles) -> None:
        """Count all that the other has counted."""
        for bucket, count in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count
        self.count += other.count

    def quantile(self, share: float) -> float | None:
        """The smallest value that at least this share of the values does not exceed; None where there are no values."""
        left = max(1, math.ceil(share * self.count))
        for bucket in sorted(self._buckets):
            left -= self._buckets[bucket]
            if left <= 0:
                return math.exp(bucket * _GROWTH)
        return None


class _Mean:
    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value

    def merge(self, other: _Mean) -> None:
        self.count += other.count
        self.total += other.total


_Cell = _Mean | Quantiles


class Binned:
    """Lines of a chart: of the values that came in each bin of x their mean, their median, or their sum a unit of x.

    `width` is that of a bin at first; `step` is the distance of two x where they are whole, such as rounds, else 0.
    At most `lines` are kept, the first to come. `add` costs about a microsecond.
    """

    def __init__(
        self, width: float, how: How = "mean", *, step: float = 0.0, points: int = POINTS, lines: int = 8
    ) -> None:
        self._width = width
        self._how = how
        self._step = step
        self._points = points
        self._most_lines = lines
        self._new: Callable[[], _Cell] = Quantiles if how == "median" else _Mean
        self._lines: dict[str, dict[int, _Cell]] = {}

    @property
    def lines(self) -> list[str]:
        """The names of the lines, in the order in which they came."""
        return list(self._lines)

    def add(self, line: str, x: float, value: float) -> None:
        """Count a value at x. What is before 0, or no finite number, does not count."""
        if not (0.0 <= x < math.inf and -math.inf < value < math.inf):
            return
        while x >= self._width * self._points:
            self._widen()
        cells = self._lines.get(line)
        if cells is None:
            if len(self._lines) >= self._most_lines:
                return
            cells = self._lines[line] = {}
        place = int(x / self._width)
        cell = cells.get(place)
        if cell is None:
            cell = cells[place] = self._new()
        cell.add(value)

    def _widen(self) -> None:
        self._width *= 2
        for line, cells in self._lines.items():
            merged: dict[int, _Cell] = {}
            for place, cell in cells.items():
                if place // 2 in merged:
                    merged[place // 2].merge(cell)  # type: ignore[arg-type]  # of one kind, all
                else:
                    merged[place // 2] = cell
            self._lines[line] = merged

    def chart(
        self, title: str, x_label: str, y_label: str, *,
        scale: float = 1.0, lines: Sequence[str] | None = None, until: float = math.inf,
    ) -> Chart | None:  # fmt: skip
        """The chart of these lines (all, where none are named), or None where there is nothing in them.

        `scale` multiplies the values. `until` is the present x: the bin in which it lies is left out of a rate.
        """
        chosen = [line for line in (self._lines if lines is None else lines) if self._lines.get(line)]
        places = range(1 + max((max(self._lines[line]) for line in chosen), default=-1))
        if self._how == "rate":
            places = range(min(len(places), int(until / self._width) if until < math.inf else len(places)))
        if not places:
            return None
        series: list[Series] = [
            {"name": line, "values": [self._value(self._lines[line].get(place), scale) for place in places]}
            for line in chosen
        ]
        x = [_short(place * self._width + (self._width - self._step) / 2) for place in places]
        return {"kind": "chart", "title": title, "x_label": x_label, "y_label": y_label, "x": x, "series": series}

    def _value(self, cell: _Cell | None, scale: float) -> float | None:
        if isinstance(cell, Quantiles):
            middle = cell.quantile(0.5)
            return None if middle is None else _short(middle * scale)
        if self._how == "rate":
            return _short(cell.total / self._width * scale) if cell is not None else 0.0
        return _short(cell.total / cell.count * scale) if cell is not None else None


def _short(value: float) -> float:
    """Five digits, which is more than a screen can show."""
    return float(f"{value:.5g}")
