"""Overrides: `--set shell.planes=36` applied to the data of a scenario before anything is checked.

Invariant: key paths are those that errors print; a value is read as TOML, and as plain text where it is no TOML, so
`--set duration=60s` needs no quotes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from emulator.model.errors import Problem, Unfit, found_and_expected
from emulator.scenario.schema.checks import choices
from emulator.scenario.toml.spans import Path, split_keys


@dataclass(frozen=True, slots=True)
class Override:
    """One `--set KEY=VALUE`."""

    option: str  # "--set shell.planes", for messages
    keys: tuple[str, ...]
    value: Any


def read(items: Iterable[str]) -> tuple[list[Override], list[Problem]]:
    """The overrides of "key.path=value" texts, and what is no such text."""
    orders, problems = [], []
    for item in items:
        dotted, equals, text = item.partition("=")
        option = f"--set {dotted.strip()}"
        try:
            if not equals:
                raise Unfit(f"{item!r}", "KEY=VALUE, such as seed=7")
            value = _file_here(value_of(text.strip()))
            orders.append(Override(option, tuple(split_keys(dotted.strip())), value))
        except ValueError as error:
            problems.append(_problem(option, error))
    return orders, problems


def apply(data: dict[str, Any], orders: Iterable[Override]) -> tuple[dict[Path, str], list[Problem]]:
    """Change `data` in place. Returns which option gave each path its value, and what could not be applied."""
    places: dict[Path, str] = {}
    problems = []
    for order in orders:
        try:
            places[_set(data, order.keys, order.value)] = order.option
        except ValueError as error:
            problems.append(_problem(order.option, error))
    return places, problems


def _problem(option: str, error: ValueError) -> Problem:
    found, expected = found_and_expected(error)
    return Problem(option, "", found, expected or "KEY=VALUE with a dotted key path, such as seed=7")


def value_of(text: str) -> Any:
    """A TOML value, or the text itself where it is none."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except ValueError:
        return text
    return parsed["value"] if list(parsed) == ["value"] else text


def _file_here(value: Any) -> Any:
    """The path of a file as an absolute one. A relative path means the folder of whoever types it, not the scenario's;
    absolute, it means the same in the scenario that the run folder keeps. Names have neither a folder nor an ending."""
    if not isinstance(value, str) or not ("/" in value or FilePath(value).suffix):
        return value
    try:
        path = FilePath(value)
        return str(path.resolve()) if path.is_file() else value
    except (OSError, ValueError):  # too long a name, or a null character
        return value


def _set(data: dict[str, Any], keys: tuple[str, ...], value: Any) -> Path:
    """Set the value at a key path; returns the path with indexes. Missing tables on the way are made."""
    path: list[str | int] = []
    here: Any = data
    for number, key in enumerate(keys):
        last = number == len(keys) - 1
        if isinstance(here, list):
            index = _index(here, key, ".".join(keys[:number]))
            path.append(index)
            if last:
                here[index] = value
            here = here[index]
        elif isinstance(here, dict):
            path.append(key)
            if last:
                here[key] = value
            here = here.setdefault(key, {})
        else:
            raise Unfit(f"`{'.'.join(keys[:number])}` has no keys, it is {here!r}", "the key path of a table")
    return tuple(path)


def _index(array: list[Any], key: str, dotted: str) -> int:
    """Index of the element that a part of a key path means: its `name`, or its number from 0."""
    names = [item.get("name") if isinstance(item, dict) else None for item in array]
    if key in names:
        return names.index(key)
    if key.isdecimal() and int(key) < len(array):
        return int(key)
    known = [str(name) if isinstance(name, str) else str(number) for number, name in enumerate(names)]
    raise Unfit(f"`{dotted}` has no {key!r}", f"one of its {len(array)}{choices(key, known)}")
