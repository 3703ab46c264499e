"""Tables of a scenario file as typed values: the base class of every table, and the one rule that names their keys.

Invariant: names in code carry their unit, keys in TOML do not, because there the unit stands in the value. A field
`step_s: Duration` is the key `step = "1 s"`, `rate_bps: Rate` is `rate`, `queue_bytes: Size` is `queue` and
`altitude_m: Length` is `altitude`. Any other name is its own key (`min_elevation_deg` stays a number of degrees).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, create_model
from pydantic_core import CoreSchema

from emulator.model.errors import Unfit

SUFFIXES = ("_s", "_bps", "_bytes", "_m")  # of Duration, Rate, Size and Length; a Share is a plain number and has none


def key_of(name: str) -> str:
    """TOML key of a field: its name without the suffix of a unit."""
    for suffix in SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return name.removesuffix(suffix)
    return name


def _make_scalars_strict(schema: Any) -> None:
    if isinstance(schema, list):
        for item in schema:
            _make_scalars_strict(item)
    elif isinstance(schema, dict):
        if schema.get("type") in ("int", "float", "bool", "str"):
            schema["strict"] = True
        for key, item in schema.items():
            if key != "default":
                _make_scalars_strict(item)


class Table(BaseModel):
    """A table of a scenario: immutable, refuses unknown keys and wrong types; docstrings below fields document them.

    Instances come from TOML, `Shell.model_validate({"altitude": "550 km"})`, and so take keys, not field names.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=key_of,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    def differs(self, name: str) -> bool:
        """Whether a field has another value than its default. Not whether it was given: `--set table.key=…` gives the
        defaults of the whole table, too."""
        return bool(getattr(self, name) != type(self).model_fields[name].get_default(call_default_factory=True))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make scalars strict: TOML has types, so "72" is no integer. Containers stay lax: lists become tuples."""
        schema = handler(source)
        _make_scalars_strict(schema)
        return schema


@cache
def table_of(config: type) -> type[Table]:
    """The Table with the fields of a dataclass: what checks the `config` of a node program.

    Node programs stay free of pydantic this way; nested dataclasses follow the same key rule. TypeError if it is none.
    """
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        raise TypeError(f"{config!r} is not a dataclass; expected a dataclass `Config`")
    hints = get_type_hints(config, include_extras=True)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        if not field.init:
            continue
        if field.default_factory is not dataclasses.MISSING:
            fields[field.name] = (hints[field.name], Field(default_factory=field.default_factory))
        else:
            default = ... if field.default is dataclasses.MISSING else field.default
            fields[field.name] = (hints[field.name], default)
    return create_model(config.__qualname__, __base__=Table, __module__=config.__module__, **fields)


def plain(value: Any) -> Any:
    """`value` as dicts by field name, lists, numbers, text and booleans: SI values, fit for msgpack."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return plain(value.value)
    return str(value) if isinstance(value, PurePath) else value


@dataclasses.dataclass(frozen=True, slots=True)
class RecipeOptions:
    """What `compose(parameters, options)` of a recipe is given beside its parameters."""

    seed: int  # of the scenario, overrides applied
    duration_s: float  # as the file or an option says, else the default of every scenario
    directory: str  # absolute; relative paths in parameters are relative to it


class ParameterError(Unfit):
    """A parameter of a recipe that cannot be: its key (dotted below tables), what was found, what is allowed."""

    def __init__(self, key: str, found: str, expected: str) -> None:
        super().__init__(found, expected)
        self.key = key
