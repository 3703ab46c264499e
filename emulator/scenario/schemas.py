"""Schemas: the JSON Schema of scenario files over one topology, generated from the models and never by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from emulator.errors import UsageError
from emulator.scenario.models import Scenario
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


def schema(topology: str = "topologies.leo") -> dict[str, Any]:
    """JSON Schema of a scenario whose `topology` is the given one. UsageError where there is no such topology."""
    models: list[type[BaseModel]] = [Scenario]
    config = config_of(topology)
    if config is not None:
        models.append(config)
    references, shared = models_json_schema([(model, "validation") for model in models], schema_generator=_TomlSchema)
    definitions = shared["$defs"]
    merged: dict[str, Any] = {"$schema": DIALECT, "title": f"Skyloom scenario over {topology}", "type": "object"}
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
