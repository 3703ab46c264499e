"""Lines of a frame: styled pieces of text, cut and filled to exact widths.

Invariant: nothing that a run says (names, texts of programs) reaches a terminal with a control character in it, and a
line is never wider than it was asked to be. rich's own tables would take ten times as long as the whole frame may.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style

from emulator.report.text import DIM, HEAD

Line = list[Segment]
Cell = str | tuple[str, str]  # words, or words and their style
SELECTED = "reverse"
POINTER = "›"  # before the selected row: colours alone say nothing


@lru_cache(maxsize=256)
def style_of(name: str) -> Style | None:
    """rich's style of that name; "" is none."""
    return Style.parse(name) if name else None


def line(*parts: Cell) -> Line:
    """A line of words, each with its style."""
    made: Line = []
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        if words:
            made.append(Segment(printable(words), style_of(style)))
    return made


def printable(words: str) -> str:
    """Without control characters: a blank stands for each."""
    if words.isprintable():
        return words
    return "".join(character if character.isprintable() else " " for character in words)


def length(pieces: Iterable[Segment]) -> int:
    """Columns that a line takes."""
    columns = 0
    for words, _, _ in pieces:
        columns += len(words) if words.isascii() else cell_len(words)
    return columns


def crop(pieces: Line, width: int) -> Line:
    """The line, cut to `width` columns, with "…" where something is missing."""
    if length(pieces) <= width:
        return pieces
    kept: Line = []
    left = max(0, width - 1)
    for piece in pieces:
        size = cell_len(piece.text)
        if size > left:
            kept.append(Segment(set_cell_size(piece.text, left), piece.style))
            break
        kept.append(piece)
        left -= size
    if width > 0:
        kept.append(Segment("…", kept[-1].style if kept else None))
    return kept


def beside(left: Line, right: Line, width: int) -> Line:
    """Two lines on one, the second at the right edge; the first gives way."""
    right = crop(right, width)
    room = width - length(right)
    left = crop(left, room - 1) if right else crop(left, room)
    return [*left, Segment(" " * (room - length(left))), *right]


def fit(words: str, width: int, right: bool = False) -> str:
    """Exactly `width` columns: cut with "…" where it is longer, filled where it is shorter."""
    if not words.isprintable():
        words = printable(words)
    if words.isascii():
        size = len(words)
        if size > width:
            return words[: width - 1] + "…" if width > 0 else ""
    else:
        size = cell_len(words)
        if size > width:
            return set_cell_size(words, width - 1) + "…" if width > 0 else ""
    return " " * (width - size) + words if right else words + " " * (width - size)


class Column(NamedTuple):
    """A column of a table: its head, how a row fills it, and when it is worth its room."""

    head: str
    width: int  # 0: shares what the others leave
    cell: Callable[[Any], Cell]
    key: str = ""  # of the row, to sort by; "" where it cannot be sorted
    falls: bool = False  # sorted, the largest stands first
    from_width: int = 0  # of the screen; narrower ones leave the column out


def widths(columns: Sequence[Column], width: int) -> list[int]:
    """Columns that share get equal parts of what is left, one blank between any two columns."""
    shared = sum(not column.width for column in columns)
    left = max(0, width - sum(column.width for column in columns) - len(columns) + 1)
    return [column.width or max(4, left // shared) for column in columns]


def table(
    columns: Sequence[Column], rows: Iterable[Any], width: int, selected: int | None = None, sort: str = ""
) -> list[Line]:
    """The heads and a line a row, those columns that `width` is enough for.

    `selected` is the number of the row that stands out (None: rows are not chosen), `sort` a key of the columns.
    """
    margin = 0 if selected is None else 1
    shown = [column for column in columns if width >= column.from_width]
    sizes = widths(shown, width - margin)
    fits = margin + sum(sizes) + len(sizes) - 1 <= width
    heads = [
        (column.head + ("" if not column.key or column.key != sort.lstrip("-") else "↓" if sort[0] == "-" else "↑"))
        for column in shown
    ]
    head = " ".join(
        fit(words, size, bool(column.width)) for words, size, column in zip(heads, sizes, shown, strict=True)
    )
    lines = [crop(line((" " * margin + head, DIM)), width)]
    plan = [(column.cell, size, bool(column.width)) for column, size in zip(shown, sizes, strict=True)]
    for number, row in enumerate(rows):
        made: Line = []
        words, style = (POINTER if number == selected else " " * margin), ""
        for cell, size, right in plan:
            value = cell(row)
            text, its_style = (value, "") if isinstance(value, str) else value
            if its_style != style:
                made.append(Segment(words, style_of(style)))
                words, style = "", its_style
            words += fit(text, size, right) + " "
        made.append(Segment(words[:-1], style_of(style)))
        if number == selected:
            made = [Segment("".join(piece.text for piece in made), style_of(SELECTED))]
        lines.append(made if fits else crop(made, width))
    return lines


def title(words: str, width: int, note: str = "") -> Line:
    """The head of a panel, and a remark at its right edge."""
    return beside(line((words, HEAD)), line((note, DIM)), width)


def columns(sides: Sequence[Sequence[Line]], width: int, gap: int = 2) -> list[Line]:
    """Blocks of lines beside one another, each as wide as the others."""
    each = side_width(len(sides), width, gap)
    made = []
    for row in range(max(map(len, sides), default=0)):
        pieces: Line = []
        for number, side in enumerate(sides):
            part = crop(side[row], each) if row < len(side) else []
            pieces += part
            if number < len(sides) - 1:
                pieces.append(Segment(" " * (each + gap - length(part))))
        made.append(pieces)
    return made


def side_width(count: int, width: int, gap: int = 2) -> int:
    """How wide each of `count` blocks beside one another is."""
    return (width - gap * (count - 1)) // count


_inner = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", legacy_windows=False, _environ={})


def drawn(renderable: RenderableType, width: int, rows: int) -> list[Line]:
    """What rich makes of something, as at most `rows` lines of at most `width` columns."""
    if width < 1 or rows < 1:
        return []
    options = _inner.options.update(width=width, height=rows)
    found = _inner.render_lines(renderable, options.update(height=None), pad=False)[:rows]
    return [[piece for piece in pieces if piece.text and not piece.control] for pieces in found]


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole screen, ready to be put on a terminal; rich can print it too."""

    lines: list[Line]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for pieces in self.lines:
            yield from pieces
            yield Segment.line()
