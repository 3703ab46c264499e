"""Parameters: the keys of a scenario that are there to be set, with their values: what `skyloom list NAME` prints.

Invariant: keys are those that `--set` takes. A scenario with a recipe has the recipe's parameters, any other the tables
of its topology; duration and seed are every scenario's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from emulator.model.errors import UsageError
from emulator.scenario import imports
from emulator.scenario.recipe import recipe_code
from emulator.scenario.schema.models import Scenario
from emulator.scenario.schema.problems import models_in, unit_of
from emulator.scenario.toml.loader import find, read
from emulator.scenario.toml.writer import default_in_toml
from emulator.scenario.topology import topology_code

CORE = ("duration_s", "seed")
_NAMES: dict[Any, str] = {
    str: "text", int: "integer", float: "number", bool: "true or false", dict: "table", datetime: "date and time",
    Any: "anything",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """A key that `--set` takes."""

    key: str  # "agents" or "shell.planes"
    type: str  # in the words of TOML: "duration", "integer", '"ends", "all" or list of text'
    default: Any  # the value without an option, as TOML has it; None where the key is absent
    meaning: str


@dataclass(frozen=True, slots=True)
class Keys:
    """What a scenario file is written with, beside the core keys."""

    data: dict[str, Any]  # of the file
    recipe: type[BaseModel] | None
    tables: type[BaseModel] | None  # of the topology that the file itself names


def keys_of(file: Path) -> Keys:
    """The models behind the keys of a scenario file. ScenarioError: no TOML. UsageError: it names what is not there."""
    data, _ = read(file)
    written = data.get("directory", ".")
    directory = (file.parent / (written if isinstance(written, str) else ".")).resolve()
    imports.search_in(directory)
    recipe, topology = data.get("recipe"), data.get("topology")
    try:
        if isinstance(recipe, str):
            return Keys(data, recipe_code(recipe, directory).parameters, None)
        return Keys(data, None, topology_code(topology, directory).config if isinstance(topology, str) else None)
    except LookupError as error:
        raise UsageError(f"scenario {file}: {error.args[0]}") from error


def parameters_of(source: str | Path) -> list[Parameter]:
    """What can be set in a scenario, by bundled name or file: its own parameters, then duration and seed."""
    keys = keys_of(find(source))
    model = keys.recipe or keys.tables
    own = list(_flat(model, "", keys.data)) if model else []
    core = {"duration": None, **keys.data} if keys.recipe else keys.data  # a recipe may know how long its run takes
    return [*own, *_flat(Scenario, "", core, only=CORE)]


def _flat(
    model: type[BaseModel], prefix: str, written: Mapping[str, Any], only: tuple[str, ...] = ()
) -> Iterator[Parameter]:
    for name, field in model.model_fields.items():
        if only and name not in only:
            continue
        key = field.alias or name
        below = list(models_in(field.annotation))
        value = written.get(key, default_in_toml(field))
        if below and get_origin(field.annotation) is not tuple:
            inner = value if isinstance(value, Mapping) else {}
            yield from (each for table in below for each in _flat(table, f"{prefix}{key}.", inner))
            continue
        unit = unit_of(field.annotation, field.metadata)
        meaning = " ".join((field.description or "").split())
        kind = unit.kind if unit else type_text(field.annotation).replace("`", "")
        yield Parameter(prefix + key, kind, value, meaning)


def type_text(annotation: Any) -> str:
    """A type in the words of TOML."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        unit = unit_of(annotation, [])
        return unit.kind if unit else type_text(arguments[0])
    if origin is Literal:
        return ", ".join(f'`"{value}"`' for value in arguments)
    if origin in (Union, UnionType):
        words = dict.fromkeys(type_text(argument) for argument in arguments if argument is not NoneType)
        if {"integer", "number"} <= set(words):
            del words["integer"]
        return " or ".join(words)
    if origin in (tuple, list):
        return f"list of {type_text(arguments[0])}"
    if origin is dict:
        return f"table of {type_text(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "tables"
    return _NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))
