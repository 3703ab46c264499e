"""The core of IBC with one fault in it, and whether a test finds that."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

import pytest
from faulty_imports import ROOT, put
from mutant_lists import Mutant

CORE = "nodes.ibc.core"
TESTS = ROOT / "tests/unit/nodes/ibc/core"
OWN = ("ibc_world", "ibc_traffic")  # modules of support that use the core
WALKS = 12


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


def _is_fresh(name: str) -> bool:
    return name == CORE or name.startswith(f"{CORE}.") or name in OWN


def finds(mutant: Mutant, finder: str) -> bool:
    """Whether the test fails on the core with the fault."""
    with put(CORE, mutant, _is_fresh):
        test = named(finder)
        try:
            test()
        except (Exception, pytest.fail.Exception):
            return True
    return False
