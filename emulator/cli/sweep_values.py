"""The values of a sweep: a list for each key, and every combination of them.

Invariant: a value stays the text of the command line, so that it means what it means for `--set`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import isfinite
from typing import Any

from emulator.model.errors import Unfit, UsageError
from emulator.record.sweep import ABOUT

CLOSES = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Combination:
    """One value for each swept key: plain values for the table, `--set` items for the loader."""

    values: dict[str, Any]
    overrides: list[str]

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self.values.items())


def combinations(over: list[str], seeds: int) -> list[Combination]:
    """Every combination of the values of `over`, items "KEY=V1,V2,…", the last key fastest. UsageError on nonsense."""
    keys = [_key_and_texts(item) for item in over]
    names = [key for key, _ in keys]
    for key in names:
        if names.count(key) > 1:
            raise UsageError(f"--over {key}: given twice; expected all its values in one list")
        if key == "seed" and seeds > 1:
            raise UsageError("--over seed with --seeds; expected one of them")
        if key in ABOUT and key != "seed":
            raise UsageError(f"--over {key}: the table of a sweep has a column {key} of its own; expected another key")
    return [
        Combination(
            {key: _value(text) for key, text in zip(names, texts, strict=True)},
            [f"{key}={text}" for key, text in zip(names, texts, strict=True)],
        )
        for texts in product(*(texts for _, texts in keys))
    ]


def values_by_key(grid: list[Combination]) -> dict[str, list[Any]]:
    """Each swept key with its values in order, each once; 1 and true are two."""
    return {key: list({repr(each.values[key]): each.values[key] for each in grid}.values()) for key in grid[0].values}


def _key_and_texts(item: str) -> tuple[str, list[str]]:
    key, equals, text = item.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UsageError(f"--over {item}: no values; expected KEY=V1,V2,... such as opinions=2,4,8")
    try:
        texts = [part.strip() for part in split(text)]
    except ValueError as error:
        raise UsageError(f"--over {key}: {error}") from None
    if "" in texts:
        raise UsageError(f'--over {key}: an empty value in {text!r}; expected KEY=V1,V2,... ("" for an empty text)')
    if len(set(texts)) < len(texts):
        raise UsageError(f"--over {key}: a value stands twice in {text!r}; expected each once (see --seeds)")
    return key, texts


def split(text: str) -> Iterator[str]:
    """Parts of the text between commas that stand outside of brackets and quotes. ValueError where one stays open."""
    open_ones: list[str] = []  # closing characters that are waited for
    quote = ""
    escaped = False
    part = ""
    for character in text:
        if quote:
            if character == quote and not escaped:
                quote = ""
            escaped = character == "\\" and quote == '"' and not escaped
        elif character in "\"'":
            quote = character
        elif character in CLOSES:
            open_ones.append(CLOSES[character])
        elif open_ones and character == open_ones[-1]:
            open_ones.pop()
        elif character == "," and not open_ones:
            yield part
            part = ""
            continue
        part += character
    if quote or open_ones:
        raise Unfit(f"{text!r}, in which {quote or open_ones[-1]} is missing", "it closed")
    yield part


def _value(text: str) -> Any:
    """The value as it stands in the table: a number, truth value or text; anything else as its text."""
    from emulator.scenario.toml.overrides import value_of

    value = value_of(text)
    finite = isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value))
    return value if finite else text
