"""Inspection: the data of a scenario against all models that have a say in it, and the rules between them.

Invariant: no part hides the mistakes of another: core tables, the topology's tables, each program's config and the
rules between tables are all looked at, whatever is wrong with the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from emulator.model.errors import Absent, found_and_expected
from emulator.model.tables import table_of
from emulator.scenario import imports
from emulator.scenario.schema import checks, problems
from emulator.scenario.schema.models import Scenario
from emulator.scenario.schema.program import Program
from emulator.scenario.toml.writer import keys_and_texts
from emulator.scenario.topology import topology_code


class Inspection:
    """One pass over the data of a scenario that collects what is wrong."""

    def __init__(self, data: dict[str, Any], directory: Path, complete: bool, parameters: list[str] | None) -> None:
        self.data = data
        self.directory = directory
        self.complete = complete  # False: a recipe did not give its part, so nothing is missing or unmatched
        self.parameters = parameters  # keys that a recipe took, known or not
        self.findings: list[checks.Finding] = []

    def scenario(self) -> Scenario | None:
        """The scenario, or None where anything in its data is wrong."""
        config, imported = self._topology()
        own = [str(field.alias) for field in Scenario.model_fields.values()]
        theirs = [field.alias or name for name, field in config.model_fields.items()] if config else []
        self._unknown([*own, *theirs], imported)
        core = {key: value for key, value in self.data.items() if key in own}
        scenario: Scenario | None = self._model(Scenario, core if self.complete else {"topology": "any", **core})
        tables = self._model(config, {key: self.data[key] for key in theirs if key in self.data}) if config else None
        configs = [self._config(index, program) for index, program in enumerate(self._programs())]
        if self.complete:
            self.findings += checks.between(self.data)
        if scenario is None or self.findings or not self.complete:
            return None
        programs = tuple(map(_with_config, scenario.programs, configs))
        scenario = scenario.model_copy(update={"programs": programs})
        scenario._tables = tables
        return scenario

    def _unknown(self, known: list[str], imported: bool) -> None:
        """Note keys that nobody knows; where a topology cannot be asked, any table may be one of its own."""
        if self.parameters is None:
            return
        for key, value in self.data.items():
            if key not in known and (imported or not isinstance(value, dict)):
                self.findings.append(((key,), *self._about(key, known)))

    def _about(self, key: str, known: list[str]) -> tuple[str, str]:
        """What is found and wanted at an unknown key."""
        if self.parameters and key in self.parameters:
            return f"a table {key!r}", f"{key!r} as a parameter, without keys below it"
        given = self.data.get("parameters")
        if not self.parameters and isinstance(given, Mapping) and key in given:
            expected = f"a known key; this file is composed already, set {key!r} in the scenario with the recipe"
            return f"unknown key {key!r}", expected
        return f"unknown key {key!r}", f"a known key{checks.choices(key, [*(self.parameters or ()), *known])}"

    def _topology(self) -> tuple[type[BaseModel] | None, bool]:
        """The model of the topology's tables, and whether the topology could be imported at all."""
        reference = self.data.get("topology")
        if not isinstance(reference, str) or not reference:
            return None, False
        try:
            return topology_code(reference, self.directory).config, True
        except LookupError as error:
            self._amiss(("topology",), error)
            return None, False

    def _programs(self) -> list[Any]:
        programs = self.data.get("program")
        return programs if isinstance(programs, list) else []

    def _config(self, index: int, program: Any) -> BaseModel | None:
        """The checked config of a program, None where it has none or it is wrong."""
        reference = program.get("run") if isinstance(program, Mapping) else None
        if not isinstance(reference, str) or reference.count(":") != 1:
            return None
        config = program.get("config", {})
        try:
            made = _config_class(reference, self.directory)
            model = table_of(made)
        except (LookupError, TypeError) as error:
            self._amiss(("program", index, "run"), error)
            return None
        if not isinstance(config, Mapping):
            return None
        path = ("program", index, "config")
        checked: BaseModel | None = self._model(model, config, path)
        if checked is not None:
            try:
                made(**vars(checked))  # its __post_init__ may know more than types do
            except (ValueError, TypeError) as error:
                self._amiss(path, error)
        return checked

    def _model(self, model: type[BaseModel], data: Mapping[str, Any], prefix: tuple[str | int, ...] = ()) -> Any:
        """An instance of the model, or None and findings."""
        try:
            return model.model_validate(data, context={"directory": str(self.directory)})
        except ValidationError as error:
            self.findings += problems.findings(error, model, data, prefix)
            return None

    def _amiss(self, path: tuple[str | int, ...], error: Exception) -> None:
        found, expected = found_and_expected(error)
        self.findings.append((path, found, expected) if expected else (path, "what does not fit", found))


def _config_class(reference: str, directory: Path) -> type:
    """The `Config` dataclass of a program "module:Class"."""
    from emulator.sdk.node import Node

    program = imports.attribute(reference, directory)
    if not (isinstance(program, type) and issubclass(program, Node)):
        raise Absent(f"{reference!r} is not a node program", "a subclass of emulator.sdk.node.Node")
    config: type = program.Config
    return config


def _with_config(program: Program, config: BaseModel | None) -> Program:
    """The program with its config as resolved, defaults included."""
    if config is None:
        return program
    resolved = program.model_copy(update={"config": keys_and_texts(config)})
    resolved._config = config
    return resolved
