"""Loader: from a bundled name or a path to a Scenario, or to one error with every problem in it.

Invariant: a stage that fails does not hide the problems of the others: parameters, core tables, the topology's tables,
each program's config and the rules between tables are all checked in one go. Loading imports the code that the scenario
names, and lets modules next to its file be imported.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from os.path import relpath
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from emulator.errors import Problem, ScenarioError, UsageError
from emulator.scenario import checks, imports, overrides, problems, recipe
from emulator.scenario.catalogue import SCENARIO_FILE, bundled
from emulator.scenario.lines import LineIndex
from emulator.scenario.models import Program, Scenario
from emulator.scenario.source import Source
from emulator.scenario.topology import topology_code
from emulator.scenario.writer import keys_and_texts
from emulator.tables import table_of


def load(
    source: str | Path, overrides: Iterable[str] = (), tle: str | Path | None = None, skip_bad: bool = False
) -> Scenario:
    """The scenario of a bundled name, a file, or a folder with a scenario.toml.

    `overrides` are "key.path=value" as for `--set`; `tle` is a file of element sets, relative to the working directory,
    that becomes `shell.tle`; `skip_bad` sets the key of that name. UsageError where there is no such scenario,
    ScenarioError with all problems where it is wrong.
    """
    file = find(source)
    data, lines = read(file)
    name = file.parent.name if file.name == SCENARIO_FILE else file.stem
    return _resolve(data, name, file.parent, Source(_label(file), lines), overrides, tle, skip_bad)


def read(file: Path) -> tuple[dict[str, Any], LineIndex]:
    """The data of a scenario file as written, and where its keys stand. ScenarioError where it is no TOML."""
    label = _label(file)
    text = _read(file, label)
    try:
        return tomllib.loads(text), LineIndex(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([_malformed(error, text, label)]) from None
    except RecursionError:
        raise ScenarioError([Problem(label, "", "values nested too deeply to read", "a scenario")]) from None


def from_topo_file(reference: str | Path, overrides: Iterable[str] = (), skip_bad: bool = False) -> Scenario:
    """The scenario that plays a topology file by itself: "file.py", or "file.py:NAME" where it holds several.

    In a Mininet file every node gets a namespace, and routing is left to the hosts, as in Mininet.
    """
    path, separator, chosen = str(reference).partition(".py:")
    file = Path(f"{path}.py") if separator else Path(path)
    if not file.is_file():
        raise UsageError(f"no topology file {str(file)!r}; wanted FILE.py, or FILE.py:NAME where it holds several")
    data: dict[str, Any] = {"topology": f"{file.name}:{chosen}" if separator else file.name}
    if _is_mininet(data["topology"], file.parent.resolve()):
        data |= {"materialise": "all", "routing": "none"}
    name = re.sub(r"[^A-Za-z0-9._-]", "-", file.stem).lstrip("._-") or "topology"
    return _resolve(data, name, file.parent, Source("--topo"), overrides, None, skip_bad)


def _is_mininet(reference: str, folder: Path) -> bool:
    imports.search_in(folder)
    try:
        return topology_code(reference, folder).config is None
    except LookupError:
        return True  # `_resolve` meets the same error and reports it


def find(source: str | Path) -> Path:
    """The file of a scenario: a bundled name wins only where no path of that name is a scenario file."""
    path = Path(source)
    if path.is_dir() and (path / SCENARIO_FILE).is_file():
        return path / SCENARIO_FILE
    if path.is_file() and path.suffix == ".py":
        raise UsageError(f"{str(source)!r} is a Python file, not a scenario; play a topology file by --topo")
    if path.is_file():
        return path
    known = {entry.name: entry.path for entry in bundled()}
    if str(source) in known:
        return known[str(source)]
    if path.suffix or path.parent != Path():
        raise UsageError(f"no scenario file {str(source)!r}; bundled ones go by name, see `skyloom list`")
    tail = checks.choices(str(source), list(known))
    raise UsageError(f"no scenario {str(source)!r}; wanted a path to a file or the name of a bundled one{tail}")


def _resolve(
    data: dict[str, Any],
    name: str,
    folder: Path,
    source: Source,
    items: Iterable[str],
    tle: str | Path | None,
    skip_bad: bool,
) -> Scenario:
    """Apply the overrides, ask the recipe, check everything, and put the parts together."""
    orders, found = overrides.read(items)
    first = [order for order in orders if order.keys[0] in recipe.FIRST]
    orders = [order for order in orders if order not in first]
    found += _apply(data, first, source)
    if skip_bad:
        data["skip_bad"] = True
    data.setdefault("name", name)
    written = data.get("directory", ".")
    directory = (folder / written).resolve() if isinstance(written, str) else folder.resolve()
    if "directory" not in data or isinstance(written, str):
        data["directory"] = str(directory)
    imports.search_in(directory)

    expanded = recipe.expand(data, orders, directory, source)
    data = expanded.data
    found += expanded.problems + _apply(data, expanded.later, source)
    if tle is not None and expanded.complete:
        shell = data.get("shell")
        data["shell"] = {**(shell if isinstance(shell, dict) else {}), "tle": str(Path(tle).resolve())}
        source.overrides["shell", "tle"] = "--tle"
    check = _Check(data, directory, expanded.complete, expanded.parameters)
    scenario = check.scenario()
    keys = problems.KeyTexts(data)
    found += [source.problem(path, keys, what, wanted) for path, what, wanted in check.findings]
    if found or scenario is None:
        raise ScenarioError(sorted(found, key=_position))
    scenario._source = source
    return scenario


def _apply(data: dict[str, Any], orders: Iterable[overrides.Override], source: Source) -> list[Problem]:
    places, found = overrides.apply(data, orders)
    source.overrides.update(places)
    return found


class _Check:
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
        for key in self.data:
            if key not in known and (imported or not isinstance(self.data[key], dict)):
                near = checks.choices(key, [*self.parameters, *known])
                self.findings.append(((key,), f"unknown key {key!r}", f"a known key{near}"))

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
                made(**dict(checked))  # its __post_init__ may know more than types do
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
        found, separator, wanted = str(error.args[0] if error.args else error).partition("; wanted ")
        self.findings.append((path, found, wanted) if separator else (path, "what does not fit", found))


def _config_class(reference: str, directory: Path) -> type:
    """The `Config` dataclass of a program "module:Class"."""
    from emulator.node import Node

    program = imports.attribute(reference, directory)
    if not (isinstance(program, type) and issubclass(program, Node)):
        raise LookupError(f"{reference!r} is not a node program; wanted a subclass of emulator.node.Node")
    config: type = program.Config
    return config


def _with_config(program: Program, config: BaseModel | None) -> Program:
    """The program with its config as resolved, defaults included."""
    if config is None:
        return program
    resolved = program.model_copy(update={"config": keys_and_texts(config)})
    resolved._config = config
    return resolved


def _read(file: Path, label: str) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScenarioError([Problem(label, "", f"bytes that are not UTF-8 ({error.reason})", "TOML text")]) from None
    except OSError as error:
        raise UsageError(f"scenario {label} cannot be read: {error.strerror}") from None


def _malformed(error: tomllib.TOMLDecodeError, text: str, label: str) -> Problem:
    """tomllib's message with its line brought to the front."""
    message = str(error)
    match = re.search(r" \(at line (\d+), column (\d+)\)| \(at end of document\)", message)
    line = int(match[1]) if match and match[1] else text.count("\n") + 1
    what = message[: match.start()] if match else message
    shown = text.split("\n")[line - 1].strip() if line <= text.count("\n") + 1 else ""
    return Problem(f"{label}:{line}", "", f"{shown or 'the end of the file'}", f"TOML ({what[:1].lower()}{what[1:]})")


def _label(file: Path) -> str:
    """The path as short as it is still clear."""
    inside = file.resolve().is_relative_to(Path.cwd())
    return relpath(file) if inside else str(file)


def _position(problem: Problem) -> tuple[str, int]:
    """Sorts by line within the file, options of the command line after it."""
    file, _, line = problem.where.rpartition(":")
    return (file, int(line)) if line.isdecimal() else ("~" + problem.where, 0)
