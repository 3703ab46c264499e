"""Lines over a common axis, in braille, and sparklines.

Invariant: what is not a number leaves a gap and never moves an axis; each line has a letter beside its colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor, log10

from emulator.report import text
from emulator.report.text import ASCII, UNICODE, Signs
from emulator.sdk.protocol import Chart
from emulator.ui.widgets.canvas import Canvas
from emulator.ui.widgets.lines import DIM, HEAD, SERIES, Lines, Word, cell_len, clean, padded, segment, shorten

LARGEST = 1e100  # numbers beyond are no figures of a network, and would overflow
AXES_FROM = 5  # rows from which the x axis is written out
LEGEND_BELOW_FROM = 6  # rows from which names that do not fit beside the title stand below it
LONGEST_LABEL = 10
BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-:=+*#"
ASCII_LINES = ("*", "+", "o", "x", "#", "%")


def chart(widget: Chart, width: int, height: int, signs: Signs = UNICODE) -> Lines:
    """Title and legend above, the lines between their axes, the x axis below where there is room."""
    picture = Lines(width)
    plain = signs == ASCII
    series = [
        (clean(one.get("name", "")), _points(widget.get("x", []), one.get("values", [])))
        for one in widget.get("series", [])
    ]
    _head(picture, widget, series, height)
    points = [point for _, found in series for point in found if point is not None]
    rows = height - picture.height - (height >= AXES_FROM)
    if rows < 1 or width < 4:
        return picture.cut(height)
    if not points:
        picture.add(("  nothing yet", DIM))
        return picture.cut(height)
    low, high, step = nice_range([y for _, y in points], rows)
    labels = _labels(low, high, step, rows)
    margin = max(map(len, labels.values()))
    if margin + 4 > width:
        margin, labels = 0, {}
    canvas = Canvas(width - margin - 1, rows)
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    for number, (_, found) in enumerate(series):
        _draw(canvas, found, (first, last), (low, high), number, letter_of(number) if len(series) > 1 else "")
    styles = [SERIES[layer % len(SERIES)] for layer in range(min(len(series), 250))]
    drawn = canvas.lines(styles, [ASCII_LINES[i % len(ASCII_LINES)] for i in range(len(styles))] if plain else None)
    for row, line in enumerate(drawn):
        tick = row in labels
        edge = ("+" if tick else "|") if plain else ("┤" if tick else "│")
        picture.lines.append([segment(labels.get(row, "").rjust(margin) + edge, DIM), *line])
    if height >= AXES_FROM:
        words = [text.number(first), clean(widget.get("x_label", "")), text.number(last)]
        picture.lines.append([segment(" " * (margin + 1) + _spread(words, width - margin - 1), DIM)])
    return picture.cut(height)


def sparkline(percent: Sequence[float | None], width: int, signs: Signs = UNICODE) -> str:
    """The last `width` values between 0 and 100, a character each, at the right edge; None is a gap."""
    blocks = ASCII_BLOCKS if signs == ASCII else BLOCKS
    shown = percent[-width:] if width > 0 else []
    drawn = [
        " " if value is None or value != value else blocks[int(min(7.0, max(0.0, value * 0.08)))] for value in shown
    ]
    return "".join(drawn).rjust(max(0, width))


Point = tuple[float, float] | None


def _points(x: Sequence[float], values: Sequence[float | None]) -> list[Point]:
    return [
        (at, value) if value is not None and abs(value) < LARGEST and abs(at) < LARGEST else None
        for at, value in zip(x, values, strict=False)
    ]


def _head(picture: Lines, widget: Chart, series: Sequence[tuple[str, list[Point]]], height: int) -> None:
    """Title and unit, then the lines' names with letters and last values: beside the title, or below it where there are
    too many for that and rows enough."""
    title: list[Word] = [(clean(widget.get("title", "")), HEAD)]
    if widget.get("y_label"):
        title.append((f"  {clean(widget['y_label'])}", DIM))
    entries: list[list[Word]] = []
    for number, (name, found) in enumerate(series):
        last = next((point[1] for point in reversed(found) if point is not None), None)
        letter = f"{letter_of(number)} " if len(series) > 1 else ""
        value = [(f" {text.number(last)}", DIM)] if last is not None else []
        entries.append([(f"{letter}{name}", SERIES[number % len(SERIES)]), *value])
    lines: list[list[Word]] = [title]
    room = picture.width - _width(title)
    for entry in entries:
        if _width(entry) + 2 > room and len(lines) <= (height - LEGEND_BELOW_FROM) // 3:
            lines.append([])
            room = picture.width + 2
        lines[-1] += [("  ", ""), *entry] if lines[-1] else entry
        room -= _width(entry) + 2
    for line in lines:
        picture.add(*line)


def _width(words: Iterable[Word]) -> int:
    return sum(cell_len(word) for word, _ in words)


def letter_of(number: int) -> str:
    """a, b, c, … of the lines of a chart."""
    return "abcdefghijklmnopqrstuvwxyz"[number % 26]


def nice_range(values: Sequence[float], rows: int) -> tuple[float, float, float]:
    """Round ends of an axis around all values, from zero where that costs little, and the step between its ticks."""
    low, high = min(values), max(values)
    if 0 <= low <= high / 2:
        low = 0.0
    elif high <= 0 and high >= low / 2:
        high = 0.0
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        pad = abs(high) / 2 or 1.0
        low, high = (min(0.0, low), low + pad) if low >= 0 else (low - pad, max(0.0, high))
    spacing = (high - low) / max(1, min(4, rows // 2))
    power = 10.0 ** floor(log10(spacing)) if spacing > 1e-290 else spacing or 1.0
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= spacing * 0.999 or factor == 10)
    return floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step, step


def _labels(low: float, high: float, step: float, rows: int) -> dict[int, str]:
    """What stands beside which row."""
    found: dict[int, str] = {}
    for tick in range(max(1, round((high - low) / step)) + 1):
        value = low + tick * step
        row = min(rows - 1, int((high - value) / ((high - low) or 1.0) * rows))
        found.setdefault(row, shorten(text.number(0.0 if abs(value) < step * 1e-6 else value), LONGEST_LABEL))
    return found


def _draw(
    canvas: Canvas,
    points: Sequence[Point],
    across: tuple[float, float],
    down: tuple[float, float],
    number: int,
    letter: str,
) -> None:
    """One line; its letter stands where it ends."""
    layer = number % 250 + 1
    wide, high = (across[1] - across[0]) or 1.0, (down[1] - down[0]) or 1.0
    pieces: list[list[tuple[int, int]]] = [[]]
    for point in points:
        if point is None:
            pieces.append([])
            continue
        x = int((point[0] - across[0]) / wide * (canvas.columns - 1) + 0.5)
        y = int((down[1] - point[1]) / high * (canvas.rows - 1) + 0.5)
        pieces[-1].append((x, y))
    drawn = [piece for piece in pieces if piece]
    for piece in drawn:
        canvas.lines_between(piece, layer)
    if letter and drawn:
        column, row = drawn[-1][-1]
        canvas.write(column // 2, row // 4, letter, layer)


def _spread(words: Sequence[str], width: int) -> str:
    """Three words over a width: left, middle, right; the middle is left out where it does not fit."""
    left, middle, right = words
    if cell_len(left) + cell_len(right) + 1 > width:
        return shorten(left, width)
    room = width - cell_len(left) - cell_len(right)
    middle = shorten(middle, room - 2) if room > 4 else ""
    gap = (room - cell_len(middle)) // 2
    return left + " " * gap + padded(middle, room - gap) + right
