"""The core of IBC with one fault in it, and whether a test finds that.

Invariant: after a trial all modules are those that were there before.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import pytest
from mutant_lists import Mutant

CORE = "nodes.ibc.core"
ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "nodes/ibc/core"
TESTS = ROOT / "tests/unit/nodes/ibc/core"
OWN = ("ibc_world", "ibc_traffic")  # modules of support that use the core
WALKS = 12


class _Faulty(SourceFileLoader):
    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        path = SOURCES / mutant.file
        self._name = f"{CORE}.{path.stem}"
        self._loader = _Faulty(self._name, str(path), mutant.applied(path.read_text()))

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self._loader) if name == self._name else None


@contextmanager
def put(mutant: Mutant) -> Iterator[None]:
    """While inside, imports of the core find the fault."""
    mine = [name for name in sys.modules if name == CORE or name.startswith(f"{CORE}.") or name in OWN]
    saved = {name: sys.modules.pop(name) for name in mine}
    finder = _Finder(mutant)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.startswith(CORE) or name in OWN]:
            del sys.modules[name]
        sys.modules.update(saved)
        if CORE in saved:
            sys.modules["nodes.ibc"].core = saved[CORE]  # type: ignore[attr-defined]


def named(finder: str) -> Callable[[], object]:
    """The test of a name as `mutants.txt` has it: `packets.test_…`, or `walk` for random traffic."""
    if finder == "walk":
        walk = importlib.import_module("ibc_traffic").walk
        return lambda: [walk(seed) for seed in range(WALKS)]
    file, _, name = finder.partition(".")
    return getattr(load(file), name)  # type: ignore[no-any-return]


def load(file: str) -> ModuleType:
    """A module of tests, anew."""
    path = TESTS / f"test_ibc_core_{file}.py"
    spec = importlib.util.spec_from_file_location(f"trial_{file}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module


def finds(mutant: Mutant, finder: str) -> bool:
    """Whether the test fails on the core with the fault."""
    with put(mutant):
        test = named(finder)
        try:
            test()
        except (Exception, pytest.fail.Exception):
            return True
    return False
