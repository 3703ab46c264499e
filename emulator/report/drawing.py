"""Drawings: matplotlib figures in one house style, and their SVG.

Invariant: the same figure always gives the same bytes of SVG, and nothing here touches pyplot or any other global state
of matplotlib. It is imported inside functions, because it costs a third of a second.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulator.report.style import GRID, INK, PALETTE, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from emulator.record.load import Run

__all__ = [
    "GRID",
    "INK",
    "OVER_TIME",
    "PALETTE",
    "Drawing",
    "is_over_time",
    "mark_figure",
    "mark_times",
    "new",
    "over_time",
    "panels",
    "style",
    "svg",
]

OVER_TIME = "scenario time in s"
"""The label of an x axis of scenario time. What has it gets faults and handovers behind it in a report."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of a report. `name` is its file name without ".svg"; the caption says what to see in it."""

    name: str
    title: str
    caption: str
    figure: Figure


def new(width_in: float = 7.0, height_in: float = 3.8) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes, on which all is drawn in the house style."""
    figure, (axes,) = panels(1, width_in, height_in)
    return figure, axes


def panels(count: int, width_in: float = 7.0, height_in: float = 3.8) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes beside one another; otherwise as `new`."""
    from matplotlib.figure import Figure

    from emulator.report.axes import HouseAxes

    with style():
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        return figure, [figure.add_subplot(1, count, number + 1, axes_class=HouseAxes) for number in range(count)]


def over_time(axes: Axes) -> Axes:
    """Label the x axis as scenario time; the report then marks faults and handovers behind the plot."""
    axes.set_xlabel(OVER_TIME)
    return axes


def is_over_time(axes: Axes) -> bool:
    """Whether the x axis, or one that it shares its x axis with, is labelled as scenario time."""
    together = axes.get_shared_x_axes().get_siblings(axes)
    return any(one.get_xlabel().lower().startswith("scenario time") for one in (axes, *together))


def mark_times(axes: Axes, run: Run) -> None:
    """Shade the faults of a run behind a plot over its time; draw thin lines at handovers (at some, of many)."""
    from emulator.report import fault_spans

    with style():
        fault_spans.shade(axes, fault_spans.of_run(run), fault_spans.handovers(run))


def mark_figure(figure: Figure, run: Run) -> str:
    """`mark_times` for each pair of axes over time; says what the marks mean, "" where there are none."""
    from emulator.report import fault_spans

    timed = [axes for axes in figure.axes if is_over_time(axes)]
    if not timed:
        return ""
    spans, moments = fault_spans.of_run(run), fault_spans.handovers(run)
    with style():
        for axes in timed:
            fault_spans.shade(axes, spans, moments)
    limits = [axes.get_xlim() for axes in timed]
    return fault_spans.words(spans, moments, (min(low for low, _ in limits), max(high for _, high in limits)))


def svg(figure: Figure) -> str:
    """The figure as an SVG document with text as text. No date and no random ids stand in it."""
    document = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with style():
        figure.savefig(document, format="svg", metadata=nothing)
    return document.getvalue()
