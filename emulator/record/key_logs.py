"""Reads the TLS keys that programs log while they run (format of SSLKEYLOGFILE), one file a process in one folder.

Invariant: a program writes a key before it sends what that key protects, so a reader that calls `news` after it got a
packet has that packet's key. Half a line is kept until its rest comes.
"""

from __future__ import annotations

import os
from pathlib import Path

SUFFIX = ".keys"


class KeyLogs:
    """Follows the files `*.keys` of a folder, which may come later or never."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}  # bytes of each file that were handed out

    def news(self) -> bytes:
        """Whole lines that have been written since the last time."""
        found: list[bytes] = []
        try:
            with os.scandir(self._folder) as entries:
                grown = [
                    entry.name
                    for entry in entries
                    if entry.name.endswith(SUFFIX) and entry.stat().st_size > self._read.get(entry.name, 0)
                ]
            found = [self._more(name) for name in sorted(grown)]
        except OSError:  # nobody has written a key yet
            pass
        return b"".join(found)

    def _more(self, name: str) -> bytes:
        known = self._read.get(name, 0)
        with open(self._folder / name, "rb") as file:
            file.seek(known)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read[name] = known + len(whole)
        return whole
