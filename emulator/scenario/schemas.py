"""Schemas: the JSON Schema of scenario files over one topology, generated from the models and never by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from emulator.errors import UsageError
from emulator.scenario.models import Scenario
from emulator.scenario.topology import topology_code

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(topology: str = "topologies.leo") -> dict[str, Any]:
    """JSON Schema of a scenario whose `topology` is the given one. UsageError where there is no such topology."""
    models: list[type[BaseModel]] = [Scenario]
    config = config_of(topology)
    if config is not None:
        models.append(config)
    references, shared = models_json_schema([(model, "validation") for model in models])
    definitions = shared["$defs"]
    merged: dict[str, Any] = {"$schema": DIALECT, "title": f"Skyloom scenario over {topology}", "type": "object"}
    merged |= {"additionalProperties": False, "properties": {}, "required": []}
    for model in models:
        part = definitions.pop(references[model, "validation"]["$ref"].rpartition("/")[2])
        merged["properties"] |= part["properties"]
        merged["required"] += part.get("required", [])
    merged["required"].remove("name")  # the file's name stands in for it
    merged["$defs"] = definitions
    return merged


def config_of(topology: str) -> type[BaseModel] | None:
    """The model of a topology's tables, None for a Mininet topology."""
    try:
        return topology_code(topology, Path.cwd()).config
    except LookupError as error:
        raise UsageError(f"topology {topology!r}: {error.args[0]}") from error
