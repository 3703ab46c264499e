"""Faults that are put into copies of sources, one at a time, as a `mutants.txt` lists them.

An entry is "#### file: what is wrong", the place in that file, a line "====", and what stands there instead. Invariant:
the place stands in the file exactly once.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Mutant(NamedTuple):
    what: str
    file: str  # below the folder of the sources
    old: str
    new: str

    def applied(self, text: str) -> str:
        """The text of the file with this fault. ValueError where the place is not in it once."""
        if (count := text.count(self.old)) != 1:
            raise ValueError(f"{self.what}: {self.file} has the place {count} times, expected 1")
        return text.replace(self.old, self.new)


def read_mutants(path: Path) -> list[Mutant]:
    """The entries of a `mutants.txt`."""
    found = []
    for part in path.read_text().removeprefix("#### ").split("\n#### "):
        head, body = part.split("\n", 1)
        file, what = head.split(": ", 1)
        old, new = body.rstrip("\n").split("\n====", 1)
        found.append(Mutant(what, file, old, new.removeprefix("\n")))
    return found
