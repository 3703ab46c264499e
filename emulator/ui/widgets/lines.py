"""Lines of coloured text of a known size: what every widget draws itself into.

Invariant: no line is wider than the picture it belongs to, whatever text a widget was given; characters that would
move the cursor are replaced before they get here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from rich.cells import cell_len as cell_len_of_any
from rich.cells import set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

from emulator.sdk.protocol import Tone

TONES: dict[Tone, str] = {"good": "green", "bad": "red", "warn": "yellow", "dim": "dim", "plain": ""}
HEAD, DIM = "bold", "dim"
SERIES = ("cyan", "yellow", "magenta", "green", "red", "blue")  # lines, spans and bars that must be told apart

Word = tuple[str, str]  # text, and a style as rich names it ("bold red", "")


class Lines:
    """A picture of `width` columns, a list of segments each line. Something that rich draws."""

    def __init__(self, width: int, lines: Iterable[Sequence[Segment]] = ()) -> None:
        self.width = width
        self.lines = [list(line) for line in lines]

    def add(self, *words: Word) -> None:
        """Append a line of words, cut where the width ends."""
        self.lines.append(line(words, self.width))

    @property
    def height(self) -> int:
        return len(self.lines)

    def cut(self, height: int) -> Lines:
        """The first `height` lines."""
        return Lines(self.width, self.lines[: max(0, height)])

    def text(self) -> str:
        """Without colours, lines without trailing spaces."""
        return "\n".join("".join(segment.text for segment in line).rstrip() for line in self.lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        end = Segment.line()
        for one in self.lines:
            yield from one
            yield end

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.width, self.width)


def line(words: Iterable[Word], width: int) -> list[Segment]:
    """Words as segments, at most `width` columns of them."""
    found: list[Segment] = []
    left = max(0, width)
    for text, style in words:
        if not text:
            continue
        if left <= 0:
            break
        text = clean(text)
        taken = cell_len(text)
        if taken > left:
            text, taken = shorten(text, left), left
        found.append(segment(text, style))
        left -= taken
    return found


def cell_len(text: str) -> int:
    """Columns that clean text takes."""
    return len(text) if text.isascii() else cell_len_of_any(text)


def segment(text: str, style: str) -> Segment:
    """Clean text in a style."""
    return Segment(text, style_of(style))


@lru_cache(maxsize=64)
def style_of(name: str) -> Style | None:
    """rich's style of that name; "" is none."""
    return Style.parse(name) if name else None


def clean(text: str) -> str:
    """`text` on one line: tabs and line ends become spaces, other control characters "?"."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else " " if sign in "\t\n\r" else "?" for sign in text)


def shorten(text: str, width: int) -> str:
    """Clean text as exactly `width` columns or fewer: cut text ends in "…" where there is room for it."""
    if cell_len(text) <= width:
        return text
    if text.isascii():
        return text[: width - 1] + "…" if width > 2 else text[: max(0, width)]
    return set_cell_size(text, width - 1) + "…" if width > 2 else set_cell_size(text, width)


def padded(text: str, width: int, right: bool = False) -> str:
    """Clean text as exactly `width` columns, to the left or to the right of them."""
    text = shorten(clean(text), width)
    spaces = " " * (width - cell_len(text))
    return spaces + text if right else text + spaces


def side_by_side(parts: Sequence[Lines], gap: int = 2) -> Lines:
    """Pictures beside one another, as high as the highest."""
    whole = Lines(sum(part.width for part in parts) + gap * max(0, len(parts) - 1))
    for row in range(max((part.height for part in parts), default=0)):
        joined: list[Segment] = []
        for number, part in enumerate(parts):
            segments = part.lines[row] if row < part.height else []
            joined += segments
            if number < len(parts) - 1:
                missing = part.width + gap - sum(segment.cell_length for segment in segments)
                joined.append(Segment(" " * missing))
        whole.lines.append(joined)
    return whole
