"""YAML as a tree that knows its lines, with the scalars of YAML 1.2, in which `no` and `22:22` are texts.

Invariant: the tree has at most as many items as the text has nodes: what an alias stands for is shared, never copied,
so aliases of aliases cost nothing. A key that stands twice, an anchor within itself, a tag, and any other syntax that
PyYAML refuses is a problem with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.model.errors import Problem, ScenarioError, UsageError
from emulator.model.inputs import read_text

if TYPE_CHECKING:
    import yaml

MOST_BYTES = 500_000  # ten seconds of PyYAML; a file of a thousand nodes has 200 kB
MERGE = "<<"

_WHOLE = re.compile(r"[-+]?\d+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None,
          "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """A value of a file: its line (of its key, in a table), its data, and a scalar's text as it is written."""

    line: int
    data: bool | int | float | str | list[Item] | dict[str, Item] | None
    text: str = ""

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        kinds: dict[type, str] = {dict: "a table", list: "a list", type(None): "nothing"}
        return kinds.get(type(self.data)) or repr(self.text if len(self.text) <= 60 else self.text[:57] + "…")

    def items(self) -> Iterator[tuple[str, Item]]:
        """The entries of a table; of anything else none."""
        yield from self.data.items() if isinstance(self.data, dict) else ()


def read(path: Path, label: str) -> Item:
    """The tree of a file. UsageError where it cannot be read, ScenarioError where it is no YAML."""
    try:
        text = read_text(path, MOST_BYTES, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScenarioError([Problem(label, "", f"bytes that are not UTF-8 ({error.reason})", "YAML text")]) from None
    except OSError as error:
        raise UsageError(f"{label} cannot be read: {error.strerror}") from None
    return parse(text, label)


def parse(text: str, label: str) -> Item:
    """The tree of a text; `label` names it in errors. ScenarioError where it is no YAML."""
    import yaml

    def refused(line: int, found: str, expected: str) -> ScenarioError:
        return ScenarioError([Problem(f"{label}:{line}", "", found, expected)])

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        lines = text.split("\n")
        shown = lines[line - 1].strip() if line <= len(lines) else ""
        words = "a tab, where YAML has blanks" if "'\\t'" in str(error.problem) else str(error.problem)
        raise refused(line, shown[:100] or "the end of the file", f"YAML ({words})") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise refused(line, f"the character {error.character!r}", "YAML text") from None
    except RecursionError:
        raise refused(1, "values nested too deep to read", "YAML of at most a few hundred levels") from None
    except ValueError as error:  # PyYAML, of escapes beyond Unicode
        raise refused(1, str(error)[:100], "YAML") from None
    if root is None:
        return Item(1, None)
    builder = _Builder(label)
    item = builder.item(root)
    if builder.problems:
        raise ScenarioError(builder.problems)
    return item


class _Builder:
    def __init__(self, label: str) -> None:
        self.problems: list[Problem] = []
        self._label = label
        self._made: dict[int, Item | None] = {}  # by identity of a node: None while it is being made

    def item(self, node: yaml.Node, line: int | None = None) -> Item:
        """The item of a node; in a table its line is that of its key."""
        at = node.start_mark.line + 1
        if id(node) not in self._made:
            self._made[id(node)] = None
            self._made[id(node)] = self._make(node, at)
        made = self._made[id(node)]
        if made is None:
            self._refuse(at, "an anchor within itself", "a tree")
            return Item(at, None)
        return made if line is None or line == made.line else Item(line, made.data, made.text)

    def _make(self, node: yaml.Node, line: int) -> Item:
        import yaml

        if not node.tag.startswith("tag:yaml.org,2002:"):
            self._refuse(line, f"the tag {node.tag}", "values without tags")
        if isinstance(node, yaml.SequenceNode):
            return Item(line, [self.item(each) for each in node.value])
        if isinstance(node, yaml.MappingNode):
            return Item(line, self._table(node.value))
        return _scalar(line, str(node.value), plain=getattr(node, "style", None) is None)

    def _table(self, pairs: list[tuple[yaml.Node, yaml.Node]]) -> dict[str, Item]:
        table: dict[str, Item] = {}
        merged: dict[str, Item] = {}
        for key, value in pairs:
            line = key.start_mark.line + 1
            if not isinstance(key.value, str):
                self._refuse(line, "a list or a table as a key", "a text")
                continue
            name = key.value
            if name == MERGE and getattr(key, "style", None) is None:
                for each in self._merges(value):
                    merged = {**dict(each.items()), **merged}
                continue
            if name in table:
                self._refuse(line, f"the key {name!r} again, first in line {table[name].line}", "each key once")
            table[name] = self.item(value, line)
        return {**merged, **table} if merged else table

    def _merges(self, node: yaml.Node) -> list[Item]:
        """The tables that `<<` takes over; the first of a list wins."""
        item = self.item(node)
        tables = item.data if isinstance(item.data, list) else [item]
        for each in tables:
            if not isinstance(each.data, dict):
                self._refuse(item.line, f"{each.kind} at '<<'", "a table, or a list of tables")
        return tables

    def _refuse(self, line: int, found: str, expected: str) -> None:
        self.problems.append(Problem(f"{self._label}:{line}", "", found, expected))


def _scalar(line: int, text: str, plain: bool) -> Item:
    data: Any = text
    if plain and text in _WORDS:
        data = _WORDS[text]
    elif plain and len(text) < 40 and _WHOLE.fullmatch(text):
        data = int(text)
    elif plain and len(text) < 40 and _FLOAT.fullmatch(text):
        data = float(text)
    return Item(line, data, text)
