"""Schemas: the JSON Schema of a scenario or of all over one topology, generated from the models and never by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from emulator.model.errors import SkyloomError, UsageError
from emulator.scenario.catalogue import bundled
from emulator.scenario.schema.models import Scenario
from emulator.scenario.schema.parameters import keys_of
from emulator.scenario.toml.loader import find, load
from emulator.scenario.topology import topology_code

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _TomlSchema(GenerateJsonSchema):
    """pydantic's generator without null, which TOML lacks, and with defaults as they stand in a file: "5 ms"."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        result = super().default_schema(schema)
        inner: Any = schema["schema"]
        while isinstance(inner, dict) and "serialization" not in inner:
            inner = inner.get("schema")
        if inner and isinstance(result.get("default"), float):
            result["default"] = inner["serialization"]["function"](result["default"])
        if result.get("default", ...) is None:
            del result["default"]
        return result


def schema(subject: str = "topologies.leo") -> dict[str, Any]:
    """JSON Schema of a scenario by bundled name or file, or of any scenario over a topology (module or .py file).

    Scenarios with a recipe have its parameters, and the tables of the topology that it composes by default.
    UsageError where there is no such scenario or topology.
    """
    if not _is_scenario(subject):
        return _merged(f"over {subject}", [Scenario, *_model(config_of(subject))])
    file = find(subject)
    keys = keys_of(file)
    if keys.recipe is None:
        return _merged(subject, [Scenario, *_model(keys.tables)])
    whole = _merged(subject, [Scenario, *_model(_composed_tables(file)), keys.recipe])
    own = [each.alias or name for name, each in keys.recipe.model_fields.items() if each.is_required()]
    return whole | {"required": own}


def _is_scenario(subject: str) -> bool:
    is_file = Path(subject).suffix != ".py" and Path(subject).exists()
    return is_file or subject in [entry.name for entry in bundled()]


def _composed_tables(file: Path) -> type[BaseModel] | None:
    """The model of the topology's tables with default parameters; None where those do not make a scenario."""
    try:
        tables = load(file).tables
    except SkyloomError:
        return None
    return None if tables is None else type(tables)


def _model(model: type[BaseModel] | None) -> list[type[BaseModel]]:
    return [] if model is None else [model]


def _merged(title: str, models: list[type[BaseModel]]) -> dict[str, Any]:
    """One closed object with the keys of all models; a later model wins."""
    references, shared = models_json_schema([(model, "validation") for model in models], schema_generator=_TomlSchema)
    definitions = shared["$defs"]
    merged: dict[str, Any] = {"$schema": DIALECT, "title": f"Skyloom scenario {title}", "type": "object"}
    merged |= {"additionalProperties": False, "properties": {}, "required": []}
    for model in models:
        part = definitions.pop(references[model, "validation"]["$ref"].rpartition("/")[2])
        merged["properties"] |= part["properties"]
        merged["required"] += part.get("required", [])
    merged["$defs"] = definitions
    return merged


def config_of(topology: str) -> type[BaseModel] | None:
    """The model of a topology's tables, None for a Mininet topology."""
    try:
        return topology_code(topology, Path.cwd()).config
    except LookupError as error:
        raise UsageError(f"topology {topology!r}: {error.args[0]}") from error
