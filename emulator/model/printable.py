"""Printable text: what a file, a name or another program says, as it may stand on a terminal.

Invariant: what comes out has no control character but line ends and tabs, no character that turns the direction of
writing, and can be encoded. Every text that is not our own passes through here before it is printed, tables too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# Controls (C0 without tab and line feed, DEL, C1), signs that join or turn text unseen, the line ends of Unicode, and
# halves of UTF-16 pairs, which stand for bytes of file names that are no UTF-8.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def printable(words: str) -> str:
    """The words with `\\u001b` in place of the escape character, and so on: JSON stays the same JSON."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", words)


def one_line(words: str) -> str:
    """The same on one line: `\\n` and `\\t` in place of line ends and tabs."""
    return printable(words).replace("\n", "\\n").replace("\t", "\\t")


def aligned(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A plain table, two spaces between columns, for a terminal and for a pipe alike: nothing is cut, and a cell has no
    control characters.

    Columns whose every filled cell begins with a digit or a sign stand to the right.
    """
    lines = [[one_line(cell) for cell in line] for line in (header, *rows)]
    out = [""] * len(lines)
    for column in range(len(header)):
        cells = [line[column] for line in lines]
        right = all(cell[0] in "0123456789+-" for cell in cells[1:] if cell) and len(cells) > 1
        width = max(map(len, cells))
        for number, cell in enumerate(cells):
            out[number] += ("  " if column else "") + (cell.rjust(width) if right else cell.ljust(width))
    return "".join(f"{line.rstrip()}\n" for line in out)
