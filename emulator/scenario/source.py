"""Source: where the keys of a loaded scenario come from: a line of its file, an option, or its recipe.

Invariant: paths are those of the scenario as resolved, where the programs, actions and expects that a recipe composed
stand before those of the file; only this module knows how they are numbered in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.model.errors import Problem
from emulator.scenario.schema.problems import KeyTexts, child
from emulator.scenario.toml.spans import KeyLines, Path


@dataclass(slots=True, eq=False)
class Source:
    """Where the keys of a loaded scenario stand. Never makes two scenarios differ."""

    file: str = "<scenario>"
    lines: KeyLines | None = None
    overrides: dict[Path, str] = field(default_factory=dict)  # key path: the option that gave its value
    recipe: str = ""
    composed: Mapping[str, Any] = field(default_factory=dict)  # what the recipe gave
    taken: frozenset[str] = frozenset()  # top-level keys of the file that are parameters of the recipe
    notes: tuple[str, ...] = ()  # what an importer could not take over, with its line, though nothing depends on it

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source)

    def problem(self, path: Path, keys: KeyTexts, found: str, expected: str) -> Problem:
        """A Problem at a key; its text tells where the recipe gave that key."""
        place, composed = self._locate(path)
        by = f" (composed by {self.recipe})" if composed else ""
        return Problem(place, keys.text(path), found + by, expected)

    def place(self, path: Path) -> str:
        """Where a key stands: "leo.toml:31" or "--set shell.planes"; for an absent key where its table stands."""
        return self._locate(path)[0]

    def _locate(self, path: Path) -> tuple[str, bool]:
        """The place of a key, and whether the recipe composed it."""
        for length in range(len(path), 0, -1):
            here = path[:length]
            if here in self.overrides:
                return self.overrides[here], False
            if in_file := self._in_file(here):
                return self._line(in_file), False
            if _holds(self.composed, here):
                return self._line(("recipe",)), True
            for made, option in self.overrides.items():  # a table that is there only because an option made it
                if made[:length] == here:
                    return option, False
        return self._line(("recipe",) if self.recipe else ()), False

    def _in_file(self, path: Path) -> Path | None:
        """The path as the file numbers it, None where the file does not have it."""
        if not self.lines or path[0] in self.taken:
            return None
        before = self.composed.get(str(path[0]))
        if isinstance(before, list) and len(path) > 1 and isinstance(path[1], int):
            path = (path[0], path[1] - len(before), *path[2:])
        return path if self.lines.has(path) else None

    def _line(self, path: Path) -> str:
        return f"{self.file}:{self.lines.line(path)}" if self.lines else self.file


def _holds(data: Any, path: Path) -> bool:
    for part in path:
        data = child(data, part)
    return data is not None
