"""Each rule is held by a test: the lists in `mutants` break them one by one, and name the test that finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutant_lists import Mutant, read_mutants
from package_mutants import Package

import tests.support.ibc_relayed  # noqa: F401 - relayers must know chains as they are before a chain has a fault

HERE = Path(__file__).parent
SUPPORT = tuple(f"tests.support.ibc_{name}" for name in ("chain", "forged", "lenient", "relayed"))
PACKAGES = {name: Package(f"nodes.ibc.{name}", HERE, "test_ibc_relayer_", SUPPORT) for name in ("chain", "relayer")}
MUTANTS = [
    (name, mutant, finder)
    for name in PACKAGES
    for mutant in read_mutants(HERE / "mutants" / f"{name}.txt")
    for _, _, finder in [mutant.what.partition(" | ")]
]


@pytest.mark.parametrize(("name", "mutant", "finder"), [pytest.param(*row, id=row[1].what) for row in MUTANTS])
def test_fault_is_found(name: str, mutant: Mutant, finder: str) -> None:
    assert PACKAGES[name].finds(mutant, finder), f"{name}/{mutant.file}: {mutant.what} is not found"


@pytest.mark.parametrize("name", PACKAGES)
def test_without_a_fault_nothing_is_found(name: str) -> None:
    assert PACKAGES[name].unsound((mutant, finder) for of, mutant, finder in MUTANTS if of == name) == []
