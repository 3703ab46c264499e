"""Plots of a sweep whose scenario brings none: each figure over a swept key, mean and range of the seeds.

Invariant: late and broken runs are in no mean and no band, and a figure that never changes is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from emulator.record.sweep import TRUSTED, Row, Sweep
from emulator.report.drawing import PALETTE, Drawing, new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_DRAWINGS = 12
MOST_LINES = 7  # combinations of the other swept keys, each a line
Band = tuple[float, float, float, float]  # x, mean, least, largest


def drawings(sweep: Sweep) -> list[Drawing]:
    """At most MOST_DRAWINGS, of the chief figures first."""
    rows = [row for row in sweep.rows if row.get("exit_code") in TRUSTED]
    keys = [key for key in sweep.over if len({_number(row.get(key)) for row in rows} - {None}) > 1]
    figures = [name for name in sweep.figures() if len({_number(row.get(name)) for row in rows} - {None}) > 1]
    figures.sort(key=lambda name: name.count("."))
    wanted = [(key, figure) for figure in figures for key in keys]
    return [_drawn(rows, sweep, key, figure) for key, figure in wanted[:MOST_DRAWINGS]]


def bands(rows: Sequence[Row], key: str, figure: str) -> list[Band]:
    """For each value of the key: mean, least and largest of the figure over the runs that have both."""
    found: dict[float, list[float]] = {}
    for row in rows:
        x, y = _number(row.get(key)), _number(row.get(figure))
        if x is not None and y is not None:
            found.setdefault(x, []).append(y)
    return [(x, math.fsum(found[x]) / len(found[x]), min(found[x]), max(found[x])) for x in sorted(found)]


def _drawn(rows: Sequence[Row], sweep: Sweep, key: str, figure: str) -> Drawing:
    others = [name for name in sweep.over if name != key]
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(", ".join(f"{name.rpartition('.')[2]} {row.get(name)}" for name in others), []).append(row)
    drawn, axes = new()
    for colour, (label, some) in zip(PALETTE, list(groups.items())[:MOST_LINES], strict=False):
        _band(axes, bands(some, key, figure), colour, label)
    axes.set(xlabel=key, ylabel=figure)
    if others:
        axes.legend()
    caption = f"{figure} over {key}: mean of {len(rows):,} runs that count; the band is the range over the seeds."
    if len(groups) > MOST_LINES:
        caption += f" {MOST_LINES} of {len(groups)} combinations of the other keys are drawn."
    return Drawing(_name(f"{figure}-over-{key}"), f"{figure} over {key}", caption, drawn)


def _band(axes: Axes, values: Sequence[Band], colour: str, label: str) -> None:
    xs, means, least, largest = (list(column) for column in zip(*values, strict=True)) if values else ([], [], [], [])
    axes.plot(xs, means, "o-", color=colour, label=label or None)
    axes.fill_between(xs, least, largest, color=colour, alpha=0.18, linewidth=0)


def _name(text: str) -> str:
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in text)[:80]


def _number(value: Any) -> float | None:
    """A figure or a value of a key as a number: 3, true, "20 ms" (in its own unit's base), else None."""
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        from emulator.model.units import parse

        for kind in ("duration", "rate", "size", "share"):
            try:
                found = float(parse(value, kind))
            except ValueError:
                continue
            return found if math.isfinite(found) else None
    return None
