"""Loader: from a bundled name or a path to a Scenario, or to one error with every problem in it.

Invariant: a stage that fails does not hide the problems of the others: options, parameters and everything that
`inspection.py` looks at are checked in one go. Loading imports the code that the scenario names, and lets modules next
to its file be imported.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from os.path import relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.model.errors import Problem, ScenarioError, UsageError
from emulator.model.inputs import read_text
from emulator.scenario import imports, recipe
from emulator.scenario.catalogue import SCENARIO_FILE, bundled
from emulator.scenario.schema import checks, problems
from emulator.scenario.schema.inspection import Inspection
from emulator.scenario.schema.models import Scenario
from emulator.scenario.source import Source
from emulator.scenario.toml import overrides
from emulator.scenario.toml.spans import KeyLines, LineIndex
from emulator.scenario.topology import topology_code

if TYPE_CHECKING:
    from emulator.scenario.importers import ImportOptions

_ON_RECORD = ("an option on `parameters`, which are a record", "the parameter as a key of its own: --set agents=64")


def load(
    source: str | Path,
    overrides: Iterable[str] = (),
    elements: str | Path | None = None,
    skip_bad: bool = False,
    options: ImportOptions | None = None,
) -> Scenario:
    """The scenario of a bundled name, a file, or a folder with a scenario.toml. A file .yaml or .yml is one of another
    tool, which is imported with `options`.

    `overrides` are "key.path=value" as for `--set`; `elements` is a file of element sets, relative to the working
    directory, that becomes `shell.elements`; `skip_bad` sets the key of that name. UsageError where there is no such
    scenario, ScenarioError with all problems where it is wrong.
    """
    file = find(source)
    if file.suffix in (".yaml", ".yml"):
        from emulator.scenario import importers

        draft = importers.read(file, _label(file), options or importers.ImportOptions())
        origin = Source(_label(file), KeyLines(draft.lines), dict(draft.options), notes=tuple(draft.warnings))
        name = importers.name_of(file)
        return _resolve(draft.data, name, file.parent, origin, overrides, elements, skip_bad)
    if options is not None and (options.wan is not None or options.images):
        raise UsageError("--wan and --image go with docker-compose and containerlab files (.yaml, .yml) only")
    data, lines = read(file)
    name = file.parent.name if file.name == SCENARIO_FILE else file.stem
    return _resolve(data, name, file.parent, Source(_label(file), lines), overrides, elements, skip_bad)


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


def from_topo_file(
    reference: str | Path, overrides: Iterable[str] = (), elements: str | Path | None = None, skip_bad: bool = False
) -> Scenario:
    """The scenario that plays a topology file by itself: "file.py", or "file.py:NAME" where it holds several.

    `overrides`, `elements`, `skip_bad` and errors as of `load`; a topology without `shell` refuses `elements`. In a
    Mininet file every node gets a namespace, and routing is left to the hosts, as in Mininet.
    """
    path, separator, chosen = str(reference).partition(".py:")
    file = Path(f"{path}.py") if separator else Path(path)
    if not file.is_file():
        raise UsageError(f"no topology file {str(file)!r}; expected FILE.py, or FILE.py:NAME where it holds several")
    data: dict[str, Any] = {"topology": f"{file.name}:{chosen}" if separator else file.name}
    if _is_mininet(data["topology"], file.parent.resolve()):
        data |= {"materialise": "all", "routing": "none"}
    name = re.sub(r"[^A-Za-z0-9._-]", "-", file.stem).lstrip("._-") or "topology"
    return _resolve(data, name, file.parent, Source("--topo"), overrides, elements, skip_bad)


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
    raise UsageError(f"no scenario {str(source)!r}; expected a path to a file or the name of a bundled one{tail}")


def _resolve(
    data: dict[str, Any],
    name: str,
    folder: Path,
    source: Source,
    items: Iterable[str],
    elements: str | Path | None,
    skip_bad: bool,
) -> Scenario:
    """Apply the overrides, ask the recipe, check everything, and put the parts together."""
    orders, found = overrides.read(items)
    first = [order for order in orders if order.keys[0] in recipe.FIRST]
    orders = [order for order in orders if order not in first]
    found += [Problem(each.option, "", *_ON_RECORD) for each in orders if each.keys[0] == "parameters"]
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
    if elements is not None and expanded.complete:
        shell = data.get("shell")
        data["shell"] = {**(shell if isinstance(shell, dict) else {}), "elements": str(Path(elements).resolve())}
        source.overrides["shell", "elements"] = "--elements"
    inspection = Inspection(data, directory, expanded.complete, expanded.parameters)
    scenario = inspection.scenario()
    keys = problems.KeyTexts(data)
    found += [source.problem(path, keys, what, expected) for path, what, expected in inspection.findings]
    if found or scenario is None:
        raise ScenarioError(sorted(found, key=_position))
    scenario._source = source
    return scenario


def _apply(data: dict[str, Any], orders: Iterable[overrides.Override], source: Source) -> list[Problem]:
    places, found = overrides.apply(data, orders)
    source.overrides.update(places)
    return found


def _read(file: Path, label: str) -> str:
    try:
        return read_text(file, encoding="utf-8-sig")
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
