"""Widgets made of words: facts, bars, listings, grids.

Invariant: what does not fit is counted ("… 12 more"), not hidden; only the columns of a grid are cut in silence on the
left, because a grid grows to the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from rich.segment import Segment

from emulator.report.text import ASCII, UNICODE, Signs
from emulator.sdk.protocol import Bars, Grid, KeyValues, Table
from emulator.ui.widgets.lines import DIM, HEAD, SERIES, TONES, Lines, cell_len, clean, padded, segment, side_by_side

LONGEST_NAME = 28
EIGHTHS = " ▏▎▍▌▋▊▉"
NUMERIC = frozenset("0123456789+-.–")


def facts(widget: KeyValues, width: int, height: int, signs: Signs = UNICODE) -> Lines:
    """A line each; in columns beside one another where there are more than fit."""
    rows = [(clean(row[0]) if row else "", clean(" ".join(row[1:]))) for row in widget.get("rows", [])]
    if not rows or height < 1:
        return Lines(width)
    name = min(LONGEST_NAME, max(cell_len(row[0]) for row in rows))
    preferred = name + 2 + min(40, max(cell_len(row[1]) for row in rows))
    columns = max(1, min(-(-len(rows) // height), (width + 3) // (preferred + 3)))
    each = -(-len(rows) // columns)
    part = (width - 3 * (columns - 1)) // columns
    parts = []
    for first in range(0, len(rows), each):
        column = Lines(part)
        for left, right in rows[first : first + each]:
            column.add((padded(left, name) + "  ", DIM), (right, ""))
        parts.append(column)
    return counted(side_by_side(parts, 3), height, width, signs)


def bars(widget: Bars, width: int, height: int, signs: Signs = UNICODE) -> Lines:
    """Label, bar, words."""
    rows = [(clean(row[0]), row[1], clean(row[2]) if len(row) > 2 else "") for row in widget.get("rows", [])]
    picture = titled(widget.get("title", ""), width)
    label = min(LONGEST_NAME, width // 3, max((cell_len(row[0]) for row in rows), default=0))
    words = min(width // 3, max((cell_len(row[2]) for row in rows), default=0))
    room = max(0, width - label - words - 2)
    for name, share, said in rows:
        share = min(1.0, max(0.0, share)) if isfinite(share) else 0.0
        full, rest = divmod(round(share * room * 8), 8)
        bar = "#" * round(share * room) if signs == ASCII else "█" * full + (EIGHTHS[rest] if rest else "")
        picture.add((padded(name, label) + " ", ""), (padded(bar, room), SERIES[0]), (" " + said, ""))
    return counted(picture, height, width, signs)


def listing(widget: Table, width: int, height: int, signs: Signs = UNICODE) -> Lines:
    """A table: columns of numbers to the right, the widest columns give way where there is not room."""
    heads = [clean(head) for head in widget.get("columns", [])]
    rows = [[clean(cell) for cell in row] for row in widget.get("rows", [])]
    count = max([len(heads), *map(len, rows)], default=0)
    cells = [[*row, *[""] * (count - len(row))] for row in (heads, *rows)]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(count)]
    shrink(widths, width - 2 * max(0, count - 1))
    right = [numeric([row[column] for row in cells[1:]]) for column in range(count)]
    picture = titled(widget.get("title", ""), width)
    for number, row in enumerate(cells):
        if number == 0 and not any(heads):
            continue
        words = [padded(cell, widths[column], right[column]) for column, cell in enumerate(row) if widths[column]]
        picture.add(("  ".join(words), "" if number else DIM))
    return counted(picture, height, width, signs)


def grid(widget: Grid, width: int, height: int, signs: Signs = UNICODE) -> Lines:
    """Labels, then the last cells that fit, coloured by their tones; the legend below."""
    rows = widget.get("rows", [])
    tones = {sign: TONES.get(tone, "") for sign, tone in widget.get("tones", {}).items()}
    label = min(LONGEST_NAME, width // 3, max((cell_len(clean(row[0])) for row in rows), default=0))
    room = max(0, width - label - 1)
    longest = max((len(row[1]) for row in rows), default=0)
    first = max(0, longest - room)
    picture = titled(widget.get("title", ""), width)
    for name, cells in rows:
        shown = clean(cells)[first : first + room]
        if not shown.isascii():  # one column a cell, whatever it holds
            shown = "".join(sign if cell_len(sign) == 1 else "?" for sign in shown)
        picture.lines.append([*_label(padded(name, label) + " ", DIM), *_coloured(shown, tones)])
    legend = clean(widget.get("legend", ""))
    if legend and picture.height < height:
        picture.add((legend, DIM))
    elif legend and height > 4:
        picture = counted(picture, height - 1, width, signs)
        picture.add((legend, DIM))
    return counted(picture, height, width, signs)


def _label(text: str, style: str) -> list[Segment]:
    return [segment(text, style)] if text.strip() else [Segment(text)]


def _coloured(cells: str, tones: dict[str, str]) -> list[Segment]:
    """Neighbours of one style together."""
    found: list[Segment] = []
    begin = 0
    for place in range(1, len(cells) + 1):
        if place == len(cells) or tones.get(cells[place], "") != tones.get(cells[begin], ""):
            found.append(segment(cells[begin:place], tones.get(cells[begin], "")))
            begin = place
    return found


def titled(title: str, width: int) -> Lines:
    """An empty picture below its title, if it has one."""
    picture = Lines(width)
    if title:
        picture.add((title, HEAD))
    return picture


def counted(picture: Lines, height: int, width: int, signs: Signs = UNICODE) -> Lines:
    """The picture within a height; where lines are left out, the last one says how many."""
    if picture.height <= height:
        return picture
    if height < 2:
        return picture.cut(height)
    hidden = picture.height - height + 1
    picture = picture.cut(height - 1)
    picture.add((f"{'...' if signs == ASCII else '…'} {hidden} more", DIM))
    return picture


def shrink(widths: list[int], room: int) -> None:
    """Take columns from the widest until all fit; in place."""
    while sum(widths) > max(0, room) and any(widths):
        widest = max(range(len(widths)), key=widths.__getitem__)
        others = max((width for column, width in enumerate(widths) if column != widest), default=0)
        excess = sum(widths) - max(0, room)
        widths[widest] -= max(1, min(excess, widths[widest] - others))


def numeric(cells: Sequence[str]) -> bool:
    """Whether all filled cells begin like numbers."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(cell[0] in NUMERIC for cell in filled)
