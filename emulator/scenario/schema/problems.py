"""Problems: what pydantic refuses, in the words of a scenario file: where, key path, found, wanted.

Invariant: every problem of a file is kept, at most one a key; unknown keys are answered with the nearest known key.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from emulator.model.errors import found_and_expected
from emulator.model.units import EXAMPLES, SCALES, Unit
from emulator.scenario.schema.checks import Finding, choices
from emulator.scenario.toml.spans import Path

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_MISSING = ("missing", "missing_argument")
_WORDS = {  # pydantic's names of errors: what TOML calls the thing that is wanted
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "dataclass_type": "a table",
    "string_type": "text in quotes",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "too_short": "at least {min_length} of them",
    "string_too_short": "text that is not empty",
    "string_pattern_mismatch": "text of the form {pattern}",
}
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def findings(error: ValidationError, model: type[BaseModel], data: object, prefix: Path = ()) -> list[Finding]:
    """The errors of one model as findings, in order; the alternatives of a union become one finding."""
    merged: dict[Path, tuple[str, list[str]]] = {}
    for item in error.errors(include_url=False):
        path = _without_tags(item["loc"], data, missing=item["type"] in _MISSING)
        found, expected = _found_and_wanted(item, model, path)
        merged.setdefault((*prefix, *path), (found, []))[1].append(expected)
    return [(path, found, " or ".join(dict.fromkeys(expected))) for path, (found, expected) in merged.items()]


class KeyTexts:
    """Writes the paths of one scenario as `--set` takes them."""

    def __init__(self, data: object) -> None:
        self._data = data
        self._names: dict[int, Counter[object]] = {}  # of each array that was met, by identity

    def text(self, path: Path) -> str:
        """Keys joined by dots; elements of arrays go by their name where that is unique, else by index."""
        parts = []
        data = self._data
        for part in path:
            if isinstance(part, int):
                parts.append(self._element(part, data))
            else:
                parts.append(part if _BARE.fullmatch(part) else json.dumps(part, ensure_ascii=False))
            data = child(data, part)
        return ".".join(parts)

    def _element(self, index: int, array: object) -> str:
        name = child(child(array, index), "name")
        if not isinstance(array, list | tuple) or not isinstance(name, str):
            return str(index)
        if id(array) not in self._names:
            names = (item.get("name") for item in array if isinstance(item, Mapping))
            self._names[id(array)] = Counter(each for each in names if isinstance(each, str))
        unique = self._names[id(array)][name] == 1
        return name if unique and _BARE.fullmatch(name) and not name.isdigit() else str(index)


def child(data: object, part: str | int) -> Any:
    """The value below `data` at one step of a path, None where there is none."""
    if isinstance(data, Mapping):
        return data.get(part)
    if isinstance(data, list | tuple) and isinstance(part, int) and 0 <= part < len(data):
        return data[part]
    return None


def toml_text(value: object) -> str:
    """A short text of a TOML value for messages."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 60 else value[:57] + "…", ensure_ascii=False)
    return "true" if value is True else "false" if value is False else str(value)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field's annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def unit_of(annotation: Any, metadata: list[Any]) -> Unit | None:
    """The unit that a field is written with, also within Optional and Annotated."""
    for item in metadata:
        if isinstance(item, Unit):
            return item
    if hasattr(annotation, "__metadata__"):
        return unit_of(get_args(annotation)[0], list(annotation.__metadata__))
    if get_origin(annotation) in (Union, UnionType):
        return next((unit for argument in get_args(annotation) if (unit := unit_of(argument, []))), None)
    return None


def _without_tags(location: tuple[int | str, ...], data: object, missing: bool) -> Path:
    """pydantic's location without the names of union members that it mixes into it."""
    path: list[int | str] = []
    for number, part in enumerate(location):
        last = number == len(location) - 1
        known = isinstance(data, Mapping) and part in data
        indexed = isinstance(data, list) and isinstance(part, int)
        if known or indexed or (last and missing):
            path.append(part)
            data = child(data, part)
    return tuple(path)


def _found_and_wanted(item: Any, model: type[BaseModel], path: Path) -> tuple[str, str]:
    kind, message, context = item["type"], item["msg"], item.get("ctx", {})
    if kind in _UNKNOWN:
        known = _keys_at(model, path[:-1])
        unknown = str(path[-1]) if path else "?"
        return f"unknown key {unknown!r}", f"a known key{choices(unknown, known)}"
    if kind in _MISSING:
        return "nothing", f"this key, {_kind_at(model, path)}"
    if kind in ("value_error", "assertion_error"):
        found, expected = found_and_expected(context["error"])
        if expected:
            said = toml_text(item["input"])
            plain_value = isinstance(item["input"], str | int | float) and said.strip('"') not in found
            return (f"{said}: {found}" if plain_value else found), expected
        return toml_text(item["input"]), found
    if kind == "literal_error":
        expected = str(context["expected"])
        known = re.findall(r"'([^']*)'", expected)
        near = choices(str(item["input"]), known)
        return toml_text(item["input"]), f"{expected}{near if 'did you mean' in near else ''}"
    if kind in _WORDS:
        return toml_text(item["input"]), _WORDS[kind].format_map(context)
    return toml_text(item["input"]), re.sub(r"^Input should be ", "", message)


def _models_at(model: type[BaseModel], path: Path) -> list[type[BaseModel]]:
    """The models that may stand at a path below `model`; more than one where a field is a union."""
    models = [model]
    for part in path:
        if isinstance(part, int):
            continue
        fields = [field for each in models for field in each.model_fields.values() if field.alias == part]
        models = [found for field in fields for found in models_in(field.annotation)]
    return models


def _keys_at(model: type[BaseModel], path: Path) -> list[str]:
    return [field.alias or name for each in _models_at(model, path) for name, field in each.model_fields.items()]


def _kind_at(model: type[BaseModel], path: Path) -> str:
    """What a missing field is, in a few words."""
    for each in _models_at(model, path[:-1]):
        for name, field in each.model_fields.items():
            if (field.alias or name) != path[-1]:
                continue
            unit = unit_of(field.annotation, field.metadata)
            if unit:
                return f"a {unit.kind} such as {EXAMPLES[unit.kind]!r} (units: {', '.join(SCALES[unit.kind])})"
            return first_sentence(field.description) or "which has no default"
    return "which has no default"


def first_sentence(text: str | None) -> str:
    """The first sentence of a description, without its full stop."""
    return re.split(r"(?<=\w)[.;]\s|\.$", " ".join((text or "").split()))[0]
