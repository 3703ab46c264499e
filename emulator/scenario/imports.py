"""Imports: code that a scenario names, by dotted name or by file, loaded with errors that a person can act on.

Invariant: every failure becomes a LookupError whose text reads "found; expected what"; importing runs the user's own
code, nothing else does. Modules next to the scenario file can be imported once `load` has named its folder here.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from emulator.model.errors import Absent


def search_in(directory: Path) -> None:
    """Let modules next to the scenario file be imported, after everything that is installed."""
    if str(directory) not in sys.path:
        sys.path.append(str(directory))


def module(name: str, directory: Path) -> ModuleType:
    """A module by dotted name, or by the path of a `.py` file relative to `directory`."""
    if name.endswith(".py") or "/" in name:
        return _from_file((directory / name).resolve())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            expected = "a module that can be imported, or the path of a .py file"
            raise Absent(f"no module {name!r}", expected) from None
        raise _failed(name, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(name, error) from error


def attribute(reference: str, directory: Path) -> Any:
    """The object that "module:Name" refers to."""
    module_name, _, name = reference.partition(":")
    loaded = module(module_name, directory)
    if not hasattr(loaded, name):
        from emulator.scenario.schema.checks import choices

        classes = [key for key, value in vars(loaded).items() if isinstance(value, type)]
        raise Absent(f"{module_name!r} has no {name!r}", f"a class of that module{choices(name, classes)}")
    return getattr(loaded, name)


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise Absent(f"no file {path}", "the path of a Python file")
    known = sys.modules.get(name := f"skyloom_file_{path.stem}_{abs(hash(path)):x}")
    if known:
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    if not spec or not spec.loader:
        raise Absent(f"{path} is not a Python file", "a file that ends in .py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded  # dataclasses look their module up there
    try:
        spec.loader.exec_module(loaded)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _failed(path.name, error) from error
    return loaded


def _failed(name: str, error: BaseException) -> Absent:
    expected = "a module that imports without an error"
    if isinstance(error, ModuleNotFoundError) and (extra := extra_of(error.name or "")):
        expected = f"{error.name}, an optional dependency: pip install 'skyloom[{extra}]'"
    return Absent(f"{name!r} fails to import: {describe(error)}", expected)


def extra_of(package: str) -> str | None:
    """The extra of Skyloom that brings a package of other people; None where none does."""
    try:
        wanted = metadata.requires("skyloom") or ()
    except metadata.PackageNotFoundError:
        return None
    pairs = (re.match(r"([\w.-]+).*extra == ['\"]([\w-]+)", line) for line in wanted)
    return next((pair[2] for pair in pairs if pair and pair[1] == package and pair[2] != "dev"), None)


def describe(error: BaseException) -> str:
    """One line on an exception from other people's code: what it says and the line of theirs that raised it."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{type(error).__name__}: {error.msg} ({Path(error.filename or '?').name}:{error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<frozen")]
    at = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{at}"
