"""A scenario in the making: its tables as the loader takes them, the line each key comes from, and what was found.

Invariant: every value that is read as the wrong kind becomes a problem with its line and key, and a stand-in value, so
that one import tells all the problems of a file.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.model.errors import Problem
from emulator.scenario.importers.variables import Variables
from emulator.scenario.importers.yaml_tree import Item
from emulator.scenario.toml.spans import Path

DURATION = "60 s"  # where neither the file nor an option says how long
NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,50}", re.ASCII)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d|w)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", re.ASCII)
_BYTES = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


@dataclass(slots=True)
class Draft:
    """Tables and findings of one file; `label` names it in both."""

    label: str
    variables: Variables = field(default_factory=lambda: Variables({}))
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    options: dict[Path, str] = field(default_factory=dict)  # the option of the command line that gave a key
    holders: dict[str, str] = field(default_factory=dict)  # the node that has a named volume
    problems: list[Problem] = field(default_factory=list)
    refused: set[tuple[int, str]] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)

    def put(self, table: str, values: Mapping[str, tuple[Any, int]], line: int) -> None:
        """Add an element to an array of tables: each key with its value and line. A value None is left out."""
        rows = self.data.setdefault(table, [])
        path: Path = (table, len(rows))
        kept = {key: value for key, (value, _) in values.items() if value is not None}
        rows.append(kept)
        self.lines[path] = line
        self.lines |= {(*path, key): values[key][1] for key in kept}

    def take(self, key: str, item: Item) -> None:
        """Put a table of the file into the scenario as it is."""
        self.data[key] = self._plain(item, (key,))

    def begin(self, top: Mapping[str, Item]) -> None:
        """Take what stands at the top of a file of any kind: its name, and the tables below `x-skyloom`."""
        self.data["duration"] = DURATION
        if name := re.sub(r"[^A-Za-z0-9._-]", "-", self.text(top.get("name"), "name")).strip("._-"):
            self.data["name"] = name
        for key, item in self.table(top.get("x-skyloom"), "x-skyloom").items():
            self.take(key, item)

    def _plain(self, item: Item, path: Path) -> Any:
        self.lines[path] = item.line
        if isinstance(item.data, dict):
            return {key: self._plain(value, (*path, key)) for key, value in item.data.items()}
        if isinstance(item.data, list):
            return [self._plain(value, (*path, number)) for number, value in enumerate(item.data)]
        return self.text(item, ".".join(map(str, path))) if isinstance(item.data, str) else item.data

    def refuse(self, line: int, key: str, found: str, expected: str) -> None:
        """Note a problem; only the first of a line and key counts."""
        if (line, key) not in self.refused:
            self.refused.add((line, key))
            self.problems.append(Problem(f"{self.label}:{line}", key, found, expected))

    def warn(self, line: int, key: str, what: str) -> None:
        self.warnings.append(f"{self.label}:{line}  {key}: {what}")

    def table(self, item: Item | None, key: str) -> dict[str, Item]:
        """The entries of a table; an absent or empty one has none."""
        if item is None or item.data is None:
            return {}
        if not isinstance(item.data, dict):
            self.refuse(item.line, key, item.kind, "a table")
            return {}
        return item.data

    def elements(self, item: Item | None, key: str) -> list[Item]:
        """The elements of a list."""
        if item is None or item.data is None:
            return []
        if not isinstance(item.data, list):
            self.refuse(item.line, key, item.kind, "a list")
            return []
        return item.data

    def text(self, item: Item | None, key: str) -> str:
        """A scalar as text with its variables filled in, "" where there is none."""
        if item is None or item.data is None:
            return ""
        if isinstance(item.data, dict | list):
            self.refuse(item.line, key, item.kind, "a text")
            return ""
        try:
            return self.variables.fill(item.text)
        except ValueError as error:
            self.refuse(item.line, key, *_parts(error))
            return ""

    def texts(self, item: Item | None, key: str) -> list[str]:
        """A list of texts; one text stands for a list of it."""
        if item is not None and not isinstance(item.data, list):
            return [self.text(item, key)] if item.data is not None else []
        return [self.text(each, f"{key}.{number}") for number, each in enumerate(self.elements(item, key))]

    def words(self, item: Item | None, key: str) -> list[str]:
        """A command: a list, or one text split as a shell does."""
        if item is None or isinstance(item.data, list):
            return self.texts(item, key)
        try:
            return shlex.split(self.text(item, key))
        except ValueError as error:
            self.refuse(item.line, key, str(error), "a command with its quotes closed")
            return []

    def pairs(self, item: Item | None, key: str) -> dict[str, tuple[str | None, int]]:
        """Names with values and lines, from a table or a list of NAME=value; None where a name has no value."""
        if item is None or item.data is None:
            return {}
        if isinstance(item.data, list):
            found = {}
            for number, each in enumerate(item.data):
                name, equals, value = self.text(each, f"{key}.{number}").partition("=")
                found[name] = (value if equals else None, each.line)
            return found
        return {name: (None if each.data is None else self.text(each, f"{key}.{name}"), each.line)
                for name, each in self.table(item, key).items()}  # fmt: skip

    def whole(self, item: Item | None, key: str, least: int, most: int) -> int | None:
        """A whole number within bounds; None where there is none."""
        if item is None or item.data is None:
            return None
        text = self.text(item, key)
        if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
            self.refuse(item.line, key, item.kind, f"a whole number, {least} to {most}")
            return None
        return int(text)

    def number(self, item: Item | None, key: str) -> float | None:
        """A number above 0; None where there is none."""
        if item is None or item.data is None:
            return None
        text = self.text(item, key)
        if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?|\.\d{1,9}", text, re.ASCII) or not float(text):
            self.refuse(item.line, key, item.kind, "a number above 0")
            return None
        return float(text)

    def seconds(self, item: Item | None, key: str, default_s: float) -> float:
        """A duration as Go writes it: 1m30s."""
        if item is None or item.data is None:
            return default_s
        text = self.text(item, key)
        parts = _DURATION.findall(text)
        if "".join(number + unit for number, unit in parts) != text or len(text) > 40:
            self.refuse(item.line, key, item.kind, "a duration such as 10s or 1m30s")
            return default_s
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)

    def bytes(self, item: Item | None, key: str) -> int | None:
        """A size as Docker writes it, 256m or 1g; None where there is none."""
        if item is None or item.data is None:
            return None
        match = _SIZE.fullmatch(self.text(item, key).lower())
        if not match or len(match[1]) > 18 or not float(match[1]):
            self.refuse(item.line, key, item.kind, "a size such as 256m or 1g")
            return None
        return round(float(match[1]) * _BYTES[match[2]])

    def refuse_rest(self, table: Mapping[str, Item], key: str, known: Iterable[str], expected: str) -> None:
        """Refuse the keys that are not known."""
        known = list(known)
        for name, item in table.items():
            if name not in known and not name.startswith("x-"):
                near = difflib.get_close_matches(name, known, 1, 0.85)
                meant = f"; did you mean {near[0]!r}?" if near else ""
                self.refuse(item.line, f"{key}.{name}".lstrip("."), f"the key {name!r}", f"{expected}{meant}")

    def sift(
        self, table: Mapping[str, Item], key: str, known: Iterable[str], ignored: Mapping[str, str], expected: str
    ) -> None:
        """Refuse the keys that are neither known nor ignored, and warn of those that are ignored, with the reason."""
        self.refuse_rest(table, key, (*known, *ignored), expected)
        for name, item in table.items():
            if name in ignored:
                self.warn(item.line, f"{key}.{name}".lstrip("."), ignored[name])


def escaped(text: str) -> str:
    """A text in which the scenario's placeholders are plain braces."""
    return text.replace("{", "{{").replace("}", "}}")


def _parts(error: ValueError) -> tuple[str, str]:
    from emulator.model.errors import found_and_expected

    found, expected = found_and_expected(error)
    return found, expected or "a value that Compose takes"
