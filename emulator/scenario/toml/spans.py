"""Spans: the line of each key in a TOML text, which tomllib does not report.

Invariant: the text has already been accepted by tomllib, so this scanner may assume correct syntax; it only keeps
its place. Paths are tuples of keys and of indexes in arrays: ("program", 0, "config", "interval").
"""

from __future__ import annotations

import re
import tomllib

Path = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\[\s\S])*?"""(?:"{0,2})'  # closing quotes may be preceded by two of the content
    r"|'''[\s\S]*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_BARE = re.compile(r"[^\s.=\]\"'#]+")


class KeyLines:
    """Lines of the keys of one file by their paths."""

    def __init__(self, lines: dict[Path, int]) -> None:
        self._lines: dict[Path, int] = {(): 1, **lines}

    def line(self, path: Path) -> int:
        """Line of `path`, or of its nearest ancestor that stands in the text."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def has(self, path: Path) -> bool:
        """Whether the key itself stands in the text."""
        return path in self._lines


class LineIndex(KeyLines):
    """Lines of the keys of one TOML text."""

    def __init__(self, text: str) -> None:
        super().__init__({})
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._counted_to = 0
        self._line = 1
        self._elements: dict[Path, int] = {}  # arrays of tables: index of the last element
        self._scan()

    def _scan(self) -> None:
        table: Path = ()
        while self._skip(_SPACE) < len(self._text):
            line = self._line_here()
            if self._text.startswith("[[", self._at):
                self._at += 2
                table = self._resolve(self._keys(), line)
                index = self._elements.get(table, -1) + 1
                self._elements[table] = index
                table = (*table, index)
                self._lines[table] = line
                self._at += 2
            elif self._text[self._at] == "[":
                self._at += 1
                table = self._resolve(self._keys(), line)
                self._at += 1
            else:
                self._pair(table)

    def _pair(self, table: Path) -> None:
        """One `key = value`, also within an inline table."""
        line = self._line_here()
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_BLANK)
        opening = self._text[self._at]
        if opening == "[":
            self._at += 1
            index = 0
            while not self._closed_by("]"):
                self._note((*path, index), self._line_here())
                self._value((*path, index))
                index += 1
        elif opening == "{":
            self._at += 1
            while not self._closed_by("}"):
                self._pair(path)
        else:
            match = (_STRING if opening in "\"'" else _SCALAR).match(self._text, self._at)
            assert match, "tomllib accepted this text"
            self._at = match.end()

    def _closed_by(self, bracket: str) -> bool:
        """Go past blanks and commas to the next element, or past the closing bracket."""
        while True:
            self._skip(_SPACE)
            here = self._text[self._at]
            if here not in (bracket, ","):
                return False
            self._at += 1
            if here == bracket:
                return True

    def _keys(self) -> list[str]:
        """The parts of a dotted key; ends before `=` or `]`."""
        parts = []
        while True:
            self._skip(_BLANK)
            match = (_STRING if self._text[self._at] in "\"'" else _BARE).match(self._text, self._at)
            assert match, "tomllib accepted this text"
            self._at = match.end()
            parts.append(unquote(match[0]))
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _resolve(self, keys: list[str], line: int) -> Path:
        """Path of a table header: a key that names an array of tables means its last element."""
        path: Path = ()
        for number, key in enumerate(keys):
            path = (*path, key)
            self._note(path, line)
            if path in self._elements and number < len(keys) - 1:
                path = (*path, self._elements[path])
        return path

    def _note(self, path: Path, line: int) -> None:
        self._lines.setdefault(path, line)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line


def unquote(part: str) -> str:
    """A part of a dotted key without its quotes."""
    if part[:1] not in ("'", '"'):
        return part
    return str(tomllib.loads(f"key = {part}")["key"])


def split_keys(dotted: str) -> list[str]:
    """Parts of a key path as errors print it and `--set` takes it: `program.probe.config."odd key"`.

    ValueError where the path is empty or its quotes do not match.
    """
    parts, at = [], 0
    while True:
        match = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^.\"']+").match(dotted, at)
        if not match or (match.end() < len(dotted) and dotted[match.end()] != "."):
            raise ValueError(f"{dotted!r} is not a key path")
        parts.append(unquote(match[0].strip()))
        if match.end() == len(dotted):
            return parts
        at = match.end() + 1
