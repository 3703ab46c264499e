"""Modules with one fault in them, as long as a test looks for it.

Invariant: after a trial all modules are those that were there before, and so are the messages that are known by name.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from mutant_lists import Mutant

from nodes.ibc.proto import wire

ROOT = Path(__file__).parents[2]


class _Faulty(SourceFileLoader):
    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, package: str, mutant: Mutant) -> None:
        path = ROOT / package.replace(".", "/") / mutant.file
        self._name = f"{package}.{mutant.file.removesuffix('.py').replace('/', '.')}"
        self._loader = _Faulty(self._name, str(path), mutant.applied(path.read_text()))

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self._loader) if name == self._name else None


@contextmanager
def put(package: str, mutant: Mutant, is_fresh: Callable[[str], bool]) -> Iterator[None]:
    """While inside, the mutant's file below a package is imported with its fault.

    `is_fresh` tells of the modules, by their names, that are imported anew inside: all that use the one with the fault.
    """
    saved = _taken_out(is_fresh)
    messages = dict(wire._BY_NAME)
    finder = _Finder(package, mutant)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _taken_out(is_fresh)
        sys.modules.update(saved)
        wire._BY_NAME.clear()
        wire._BY_NAME.update(messages)
        for name, module in saved.items():
            parent, _, child = name.rpartition(".")
            if parent in sys.modules:
                setattr(sys.modules[parent], child, module)


def _taken_out(is_fresh: Callable[[str], bool]) -> dict[str, ModuleType]:
    """Modules, once neither the interpreter nor their packages know them any more."""
    taken = {name: sys.modules.pop(name) for name in list(sys.modules) if is_fresh(name)}
    for name in taken:
        parent, _, child = name.rpartition(".")
        if parent in sys.modules and hasattr(sys.modules[parent], child):
            delattr(sys.modules[parent], child)
    return taken
