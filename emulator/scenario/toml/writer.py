"""Writer: a scenario as TOML text that loads back to an equal scenario.

Invariant: the text is complete (defaults are written out, so that a run folder keeps its meaning when a default
changes), and keys without a value are left out because TOML has no null.

tomli-w writes the same data, but gives each element of a list a line of its own, and writes short `[[program]]` tables
as elements of a list: a resolved scenario would be longer, and look unlike the file it came from (docs/performance.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from emulator.model.tables import plain
from emulator.model.units import show
from emulator.scenario.schema.problems import unit_of

if TYPE_CHECKING:
    from emulator.scenario.schema.models import Scenario

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def scenario_toml(scenario: Scenario) -> str:
    """The scenario and its topology's tables as TOML."""
    data = {key: value for key, value in keys_and_texts(scenario).items() if value != {}}
    data["program"] = [{key: value for key, value in each.items() if value != {}} for each in data["program"]]
    if scenario.tables is not None:
        data |= keys_and_texts(scenario.tables)
    return dumps(data)


def keys_and_texts(model: BaseModel) -> dict[str, Any]:
    """A model as its TOML keys and values: texts with units, lists, no nulls."""
    data: dict[str, Any] = _without_nulls(model.model_dump(mode="json", by_alias=True))
    return data


def default_in_toml(field: FieldInfo) -> Any:
    """A field's default as it would stand in a scenario file; None where there is none or it cannot be written."""
    value = field.get_default(call_default_factory=True) if not field.is_required() else None
    unit = unit_of(field.annotation, field.metadata)
    if isinstance(value, float) and unit:
        return show(value, unit.kind) if isfinite(value) else None
    return keys_and_texts(value) if isinstance(value, BaseModel) else plain(value)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def dumps(data: Mapping[str, Any]) -> str:
    """TOML text of nested dicts, lists, text, numbers and booleans. TypeError for anything else."""
    return "\n".join(_table((), data)).strip("\n") + "\n"


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[str]:
    below = {key: value for key, value in table.items() if isinstance(value, Mapping) or _is_array_of_tables(value)}
    for key, value in table.items():
        if key not in below:
            yield f"{_key(key)} = {value_text(value)}"
    for key, value in below.items():
        inner = (*path, key)
        header = ".".join(map(_key, inner))
        if isinstance(value, Mapping):
            yield f"\n[{header}]"
            yield from _table(inner, value)
            continue
        for element in value:
            yield f"\n[[{header}]]"
            yield from _table(inner, element)


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def value_text(value: Any) -> str:
    """A value on one line of TOML. TypeError where TOML has no such value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_key(key)} = {value_text(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    raise TypeError(f"{value!r} cannot be written as TOML")
