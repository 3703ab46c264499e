"""A package with one fault in it, in this process, and whether a test finds that."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest
from faulty_imports import put
from mutant_lists import Mutant


@dataclass(frozen=True)
class Package:
    """A package, and the tests of it."""

    name: str  # "nodes.ibc.core"
    tests: Path  # their folder
    prefix: str  # of their files' names: "test_ibc_core_"
    own: tuple[str, ...]  # modules of support that use the package
    others: Mapping[str, Callable[[], object]] = field(default_factory=dict)  # finders that are no tests, by name

    def finds(self, mutant: Mutant, finder: str) -> bool:
        """Whether a test fails on the package with the fault: one of `others`, or "packets.test_…", which is in the
        file "…packets.py" and takes no fixtures."""
        with put(self.name, mutant, self._is_mine):
            return self._fails(finder)

    def unsound(self, rows: Iterable[tuple[Mutant, str]]) -> list[str]:
        """The finders, of mutants with what finds them, that fail on the package without a fault, too."""
        (mutant, _), *_ = rows = list(rows)
        with put(self.name, mutant._replace(new=mutant.old), self._is_mine):
            return [finder for finder in dict.fromkeys(finder for _, finder in rows) if self._fails(finder)]

    def _fails(self, finder: str) -> bool:
        for run in self._runs(finder):
            try:
                run()
            except (Exception, pytest.fail.Exception):
                return True
        return False

    def _is_mine(self, name: str) -> bool:
        return name == self.name or name.startswith(f"{self.name}.") or name in self.own

    def _runs(self, finder: str) -> Iterator[Callable[[], object]]:
        """A test with each of its parameters."""
        if finder in self.others:
            yield self.others[finder]
            return
        file, _, name = finder.partition(".")
        test = getattr(self._load(file), name)
        marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
        for row in product(*(_rows(*mark.args) for mark in marks)):
            given = {key: value for part in row for key, value in part.items()}
            inspect.signature(test).bind(**given)  # a test that asks for more would seem to find anything
            yield lambda given=given: test(**given)

    def _load(self, file: str) -> ModuleType:
        """A module of tests, anew."""
        path = self.tests / f"{self.prefix}{file}.py"
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


def _rows(names: str | tuple[str, ...], values: list[object]) -> list[dict[str, object]]:
    keys = [key.strip() for key in names.split(",")] if isinstance(names, str) else list(names)
    return [dict(zip(keys, value if len(keys) > 1 else (value,), strict=True)) for value in values]  # type: ignore[arg-type]
