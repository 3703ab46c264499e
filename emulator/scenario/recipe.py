"""Recipe: a module that composes a scenario's data from a few parameters, so that `--set agents=64` is one key.

Invariant: `compose` sees checked parameters only, and what it gives is data like that of a file: merged with the file,
which wins, and then checked like any other. Options that concern parameters come before composing, all others after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from emulator.model.errors import Absent, Problem, ScenarioError, SkyloomError, Unfit, found_and_expected
from emulator.model.tables import ParameterError, RecipeOptions
from emulator.scenario import imports
from emulator.scenario.schema import problems
from emulator.scenario.schema.checks import Finding
from emulator.scenario.schema.models import Scenario
from emulator.scenario.source import Source
from emulator.scenario.toml import overrides
from emulator.scenario.toml.writer import default_in_toml, keys_and_texts

FIRST = ("recipe", "seed", "duration", "directory")  # what must be known before a recipe can be asked
RESERVED = ("recipe", "seed", "directory", "name", "parameters")  # what a recipe cannot give
LISTS = ("program", "host", "file", "action", "expect")  # the file's elements follow those of the recipe


@dataclass(frozen=True, slots=True)
class RecipeCode:
    """The two things that a recipe module has: the model of its parameters, and the function that composes."""

    name: str
    parameters: type[BaseModel]
    compose: Callable[[Any, RecipeOptions], Any]

    @property
    def keys(self) -> list[str]:
        """Keys of the parameters in a file."""
        return [each.alias or name for name, each in self.parameters.model_fields.items()]


@dataclass(slots=True)
class Expanded:
    """A scenario's data with the recipe's part in it."""

    data: dict[str, Any]
    later: list[overrides.Override]  # options that concern what is in `data` now
    complete: bool = True  # False: the recipe could not be asked; the data are those of the file, without parameters
    parameters: list[str] | None = field(default_factory=list)  # their keys; None where they are not known
    problems: list[Problem] = field(default_factory=list)


def recipe_code(reference: str, directory: Path) -> RecipeCode:
    """The code that `recipe = "module"` refers to. LookupError where it is amiss."""
    loaded = imports.module(reference, directory)
    model, compose = getattr(loaded, "Parameters", None), getattr(loaded, "compose", None)
    if not (isinstance(model, type) and issubclass(model, BaseModel)) or not callable(compose):
        raise Absent(f"{reference!r} is no recipe", "a module with a Table `Parameters` and a `compose`")
    code = RecipeCode(reference, model, compose)
    for key in code.keys:
        if key in FIRST or key in RESERVED:
            raise Absent(f"{reference!r} has a parameter {key!r}", "another name, each scenario has this key")
    return code


def expand(data: dict[str, Any], orders: list[overrides.Override], directory: Path, source: Source) -> Expanded:
    """Ask the recipe that the data name, if any. `source` learns what it composed."""
    reference = data.get("recipe")
    if "recipe" not in data:
        return Expanded(data, orders)
    simple = [order for order in orders if len(order.keys) == 1]
    if not isinstance(reference, str) or not reference:
        return Expanded(data, simple, complete=False, parameters=None)  # the core model refuses the key
    del data["recipe"]
    source.recipe = reference
    try:
        code = recipe_code(reference, directory)
    except LookupError as error:
        finding = _split(("recipe",), error, "fails")
        return Expanded(data, [], complete=False, parameters=None, problems=_problems([finding], source, {}))
    return _Expansion(code, data, orders, directory, source).expanded()


class _Expansion:
    """One recipe asked once."""

    def __init__(
        self, code: RecipeCode, data: dict[str, Any], orders: list[overrides.Override], directory: Path, source: Source
    ) -> None:
        self.code = code
        self.values = {key: data.pop(key) for key in code.keys if key in data}
        self.data = data
        self.directory = directory
        self.source = source
        own = [order for order in orders if self._is_of_a_parameter(order)]
        self.later = [order for order in orders if order not in own]
        for order in own:
            if len(order.keys) > 1 and order.keys[0] not in self.values:
                self.values[order.keys[0]] = self._default(order.keys[0])
        places, self.problems = overrides.apply(self.values, own)
        self.value_source = Source(source.file, source.lines, {**source.overrides, **places}, recipe=code.name)

    def expanded(self) -> Expanded:
        """The data of file and recipe together, or those of the file where the recipe could not be asked."""
        findings: list[Finding] = []
        if "parameters" in self.data:
            findings.append((("parameters",), "`parameters` beside `recipe`", "each parameter as a key of its own"))
            del self.data["parameters"]
        parameters = self._parameters(findings)
        options = self._options()
        composed = None
        if parameters is not None and options is not None and not self.problems:
            composed = self._compose(parameters, options, findings)
        self.problems += _problems(findings, self.value_source, self.values)
        if parameters is None or composed is None:
            later = [order for order in self.later if len(order.keys) == 1]
            return Expanded(self.data, later, complete=False, parameters=self.code.keys, problems=self.problems)
        self.source.composed, self.source.taken = composed, frozenset(self.code.keys)
        merged = merge(composed, self.data) | {"parameters": keys_and_texts(parameters)}
        return Expanded(merged, self.later, parameters=self.code.keys, problems=self.problems)

    def _is_of_a_parameter(self, order: overrides.Override) -> bool:
        """`graph=petersen` is of the parameter `graph`; `graph.delay=1s` is not where that is a text."""
        key = order.keys[0]
        if key not in self.code.keys:
            return False
        return len(order.keys) == 1 or isinstance(self.values.get(key, self._default(key)), dict | list)

    def _default(self, key: str) -> Any:
        fields = self.code.parameters.model_fields
        return next(default_in_toml(each) for name, each in fields.items() if (each.alias or name) == key)

    def _parameters(self, findings: list[Finding]) -> BaseModel | None:
        try:
            return self.code.parameters.model_validate(self.values, context={"directory": str(self.directory)})
        except ValidationError as error:
            findings += [
                (path or ("recipe",), found, expected)
                for path, found, expected in problems.findings(error, self.code.parameters, self.values)
            ]
            return None

    def _options(self) -> RecipeOptions | None:
        """None where seed or duration are wrong, which the core model reports."""
        common = {key: self.data[key] for key in ("seed", "duration") if key in self.data}
        try:
            core = Scenario.model_validate({"topology": "any", **common})
        except ValidationError:
            return None
        return RecipeOptions(core.seed, core.duration_s, str(self.directory))

    def _compose(self, parameters: BaseModel, options: RecipeOptions, findings: list[Finding]) -> dict[str, Any] | None:
        try:
            composed = _as_toml(self.code.compose(parameters, options), "")
        except ScenarioError as error:
            self.problems += error.problems
            return None
        except SkyloomError as error:
            findings.append((("recipe",), str(error), "files and parameters that it can compose a scenario from"))
            return None
        except Exception as error:  # of other people's code
            path = tuple(error.key.split(".")) if isinstance(error, ParameterError) else ("recipe",)
            findings.append(_split(path, error, f"{self.code.name!r} fails: {imports.describe(error)}"))
            return None
        if not isinstance(composed, dict):
            findings.append((("recipe",), f"{self.code.name!r} composed no table", "a dict of keys of a scenario"))
            return None
        amiss = [f"composed the key {key!r}" for key in RESERVED if key in composed]
        if "topology" not in composed and "topology" not in self.data:
            amiss.append("composed no `topology`")
        findings += [
            (("recipe",), f"{self.code.name!r} {what}", "a topology, its tables and what runs there") for what in amiss
        ]
        return None if amiss else composed


def merge(composed: Mapping[str, Any], written: Mapping[str, Any], top: bool = True) -> dict[str, Any]:
    """Tables are merged, values that are written win, and the lists of a scenario are put one after the other."""
    merged = dict(composed)
    for key, value in written.items():
        there = merged.get(key)
        if top and key in LISTS and isinstance(there, list) and isinstance(value, list):
            merged[key] = [*there, *value]
        elif isinstance(there, dict) and isinstance(value, dict):
            merged[key] = merge(there, value, top=False)
        else:
            merged[key] = value
    return merged


def _as_toml(value: Any, at: str) -> Any:
    """A copy of what a recipe gave, of plain types. ValueError where TOML has no such value."""
    if isinstance(value, Mapping):
        return {str(key): _as_toml(item, f"{at}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_toml(item, f"{at}.{number}") for number, item in enumerate(value)]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, date | time):
        return value
    raise Unfit(f"composed `{at}` as {value!r}", "text, a number, a boolean, a list or a table")


def _split(path: tuple[str | int, ...], error: Exception, otherwise: str) -> Finding:
    """A finding from an error that says what was expected, else one that says what happened."""
    found, expected = ("", "") if isinstance(error, ValidationError) else found_and_expected(error)
    return (path, found, expected) if expected else (path, otherwise, "a recipe that composes without an error")


def _problems(findings: Iterable[Finding], source: Source, data: object) -> list[Problem]:
    keys = problems.KeyTexts(data)
    return [source.problem(path, keys, found, expected) for path, found, expected in findings]
