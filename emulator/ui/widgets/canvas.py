"""A canvas of dots: two by four to a character, drawn as braille, or as plain signs on a terminal without it.

Invariant: a dot outside the canvas is left out, never an error; where layers meet in one character it takes the colour
of the highest. Layers are small numbers from 1 up, 0 is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from rich.segment import Segment
from rich.style import Style

BRAILLE = {bits: 0x2800 + bits for bits in range(1, 256)} | {0: 0x20}
BITS = (0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80)  # of the dots of a character, row by row
ASCII_BITS = {bits: ord(" '.:"[bool(bits & 0x1B) + 2 * bool(bits & 0xE4)]) for bits in range(256)}
RUNS = re.compile(rb"(.)(?:\1|\x00)*", re.DOTALL)  # characters of one layer, with the empty ones behind them


class Canvas:
    """`width` × `height` characters; dots count from the top left, `columns` × `rows` of them."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = max(0, width), max(0, height)
        self.columns, self.rows = 2 * self.width, 4 * self.height
        self._bits = bytearray(self.width * self.height)
        self._layers = bytearray(self.width * self.height)
        self._signs: dict[int, str] = {}  # characters that stand for themselves, by cell

    def copy(self) -> Canvas:
        """Another canvas with the same dots."""
        twin = Canvas(0, 0)
        twin.width, twin.height, twin.columns, twin.rows = self.width, self.height, self.columns, self.rows
        twin._bits, twin._layers, twin._signs = self._bits[:], self._layers[:], dict(self._signs)
        return twin

    def dots(self, points: Iterable[tuple[int, int]], layer: int, alone: bool = False) -> None:
        """Set the dots (x, y); `alone` takes away those of lower layers in the same characters."""
        width, columns, rows = self.width, self.columns, self.rows
        inside = [
            (((y >> 2) * width + (x >> 1)) << 3) + ((y & 3) << 1) + (x & 1)
            for x, y in points
            if 0 <= x < columns and 0 <= y < rows
        ]
        if alone:
            for number in inside:
                if self._layers[number >> 3] < layer:
                    self._bits[number >> 3] = 0
        self.numbered(inside, layer)

    def of_row(self, y: int) -> int:
        """What a dot's row contributes to its number."""
        return ((y >> 2) * self.width << 3) + ((y & 3) << 1)

    def of_column(self, x: int) -> int:
        """What a dot's column contributes to its number."""
        return (x >> 1 << 3) + (x & 1)

    def numbered(self, numbers: Iterable[int], layer: int) -> None:
        """Set dots by their numbers, `of_row(y) + of_column(x)`: for thousands of them, all on the canvas."""
        bits, layers = self._bits, self._layers
        for number in numbers:
            cell = number >> 3
            bits[cell] |= BITS[number & 7]
            if layers[cell] < layer:
                layers[cell] = layer

    def lines_between(self, points: Sequence[tuple[int, int]], layer: int, alone: bool = False) -> None:
        """Straight lines from dot to dot (Bresenham); all within a few canvases of this one."""
        found = list(points[:1])
        add = found.append
        for (x, y), (x1, y1) in pairwise(points):
            across, down = abs(x1 - x), -abs(y1 - y)
            right, below = (1 if x < x1 else -1), (1 if y < y1 else -1)
            error = across + down
            while x != x1 or y != y1:
                twice = 2 * error
                if twice >= down:
                    error += down
                    x += right
                if twice <= across:
                    error += across
                    y += below
                add((x, y))
        self.dots(found, layer, alone)

    def write(self, column: int, row: int, text: str, layer: int) -> None:
        """Characters (each one column wide) in place of dots; what does not fit is cut."""
        if not 0 <= row < self.height:
            return
        for place, sign in enumerate(text, column):
            if 0 <= place < self.width:
                cell = row * self.width + place
                self._signs[cell] = sign
                self._layers[cell] = layer

    def empty(self, column: int, row: int, count: int = 1) -> bool:
        """Whether these characters lie on the canvas and no text was written there; dots do not count."""
        if not (0 <= row < self.height and column >= 0 and column + count <= self.width):
            return False
        first = row * self.width + column
        return not any(cell in self._signs for cell in range(first, first + count))

    def lines(self, styles: Sequence[str], ascii_signs: Sequence[str] | None = None) -> list[list[Segment]]:
        """Rows of segments; `styles` by layer, 0 apart. `ascii_signs`: a sign for the dots of each layer instead of
        braille, "" for signs that follow the dots' height."""
        parsed = [None, *(Style.parse(style) if style else None for style in styles)]
        if ascii_signs is None:
            text = bytes(self._bits).decode("latin-1").translate(BRAILLE)
        else:
            text = bytes(self._bits).decode("latin-1").translate(ASCII_BITS)
            if any(ascii_signs):
                by_layer = dict(enumerate(ascii_signs, 1))
                text = "".join(
                    by_layer.get(layer) or sign if layer else sign
                    for sign, layer in zip(text, self._layers, strict=True)
                )
        width = self.width or 1
        rows = [text[first : first + width] for first in range(0, len(text), width)]
        for row, signs in self._signs_by_row().items():
            patched = list(rows[row])
            for column, sign in signs:
                patched[column] = sign
            rows[row] = "".join(patched)
        return [
            [
                Segment(row[run.start() : run.end()], parsed[run[1][0]])
                for run in RUNS.finditer(self._layers[number * width : (number + 1) * width])
            ]
            for number, row in enumerate(rows)
        ]

    def _signs_by_row(self) -> dict[int, list[tuple[int, str]]]:
        found: dict[int, list[tuple[int, str]]] = {}
        for cell, sign in self._signs.items():
            row, column = divmod(cell, self.width)
            found.setdefault(row, []).append((column, sign))
        return found
