"""Reads a text log that a program still writes, in whole lines.

Invariant: each byte is read once, and at most LINE_BYTES of a line without an end are kept.
"""

from __future__ import annotations

from pathlib import Path

LINE_BYTES = 1 << 20  # a longer line comes in pieces


class LogTail:
    """The part of a log that was not read yet. `rest` is the begin of its last line, as far as it is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.offset = 0
        self.rest = b""

    def read(self, most_bytes: int) -> list[bytes]:
        """The lines that at most so many further bytes bring to an end, without their line ends. OSError."""
        with open(self._path, "rb") as file:
            file.seek(self.offset)
            data = file.read(most_bytes)
        self.offset += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        if len(self.rest) > LINE_BYTES:
            lines, self.rest = [*lines, self.rest], b""
        return lines
