"""Draws one widget into a given area, or as many of a panel's widgets as fit.

Invariant: a picture is never larger than the room it was given; widgets come in the order in which the panel names
them, and the first ones get the room where it is scarce.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.report.text import UNICODE, Signs
from emulator.sdk.protocol import PanelView, Widget
from emulator.ui.widgets.chart import chart
from emulator.ui.widgets.lines import Lines, side_by_side
from emulator.ui.widgets.tables import bars, facts, grid, listing

WIDE = 100  # columns from which widgets stand beside one another
GAP = 2
CHART_ROWS = 7, 12  # least, and preferred
CHART_MOST = 24


def draw(widget: Widget, width: int, height: int, signs: Signs = UNICODE) -> Lines:
    """The widget in at most `width` columns and `height` rows. A kind that is not known is left out."""
    if width < 1 or height < 1 or "kind" not in widget:
        return Lines(max(0, width))
    if widget["kind"] == "facts":
        return facts(widget, width, height, signs)
    if widget["kind"] == "chart":
        return chart(widget, width, height, signs)
    if widget["kind"] == "bars":
        return bars(widget, width, height, signs)
    if widget["kind"] == "listing":
        return listing(widget, width, height, signs)
    if widget["kind"] == "grid":
        return grid(widget, width, height, signs)
    return Lines(width)


def draw_all(view: PanelView, width: int, height: int, signs: Signs = UNICODE) -> Lines:
    """The widgets of a panel (without its title), in two columns where it is wide."""
    widgets = view.get("widgets", [])
    if width < WIDE or len(widgets) < 2:
        return _column(widgets, width, height, signs)
    part = (width - GAP) // 2
    columns: tuple[list[Widget], list[Widget]] = [], []
    used = [0, 0]
    for widget in widgets:
        shorter = used[1] < used[0]
        columns[shorter].append(widget)
        used[shorter] += wish(widget)[1] + 1
    return side_by_side([_column(column, part, height, signs) for column in columns], GAP).cut(height)


def _column(widgets: Sequence[Widget], width: int, height: int, signs: Signs) -> Lines:
    """Widgets below one another with a line between, in order, each at least as high as makes sense."""
    picture = Lines(width)
    rows = share_out([wish(widget) for widget in widgets], height)
    for widget, granted in zip(widgets, rows, strict=True):
        if not granted:
            continue
        if picture.height and picture.height + granted < height:
            picture.lines.append([])
        picture.lines += draw(widget, width, min(granted, height - picture.height), signs).lines
    return picture.cut(height)


def wish(widget: Widget) -> tuple[int, int]:
    """Rows that a widget needs at least, and that it would like."""
    if widget.get("kind") == "chart":
        return CHART_ROWS
    rows = len(widget.get("rows", ()))  # type: ignore[arg-type]
    rows += bool(widget.get("title")) + bool(widget.get("columns")) + bool(widget.get("legend"))
    return min(4, rows), rows


def share_out(wishes: Sequence[tuple[int, int]], height: int) -> list[int]:
    """Rows for each: first what the foremost need at least, then what they would like; 0 is none. A line stands between
    two, and what is over goes to those that would like most."""
    granted = [0] * len(wishes)
    left = height
    for number, (least, _) in enumerate(wishes):
        cost = least + (number > 0)
        if cost > left:
            if number == 0:
                granted[0] = left
                left = 0
            break
        granted[number] = least
        left -= cost
    for number, (_, preferred) in enumerate(wishes):
        if granted[number]:
            more = max(0, min(left, preferred - granted[number]))
            granted[number] += more
            left -= more
    charts = [number for number, wished in enumerate(wishes) if wished == CHART_ROWS and granted[number]]
    for place, number in enumerate(charts):
        more = min(left // (len(charts) - place), CHART_MOST - granted[number])
        granted[number] += max(0, more)
        left -= max(0, more)
    return granted
