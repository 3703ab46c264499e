"""Each rule of validators is held by a test: `mutants.txt` breaks them one by one, and names the test that finds it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from mutant_lists import Mutant, read_mutants
from package_mutants import Package

WALKS = 12


def walk() -> None:
    """Random walks."""
    walks = importlib.import_module("ibc_validator_walk")
    for seed in range(WALKS):
        walks.walk(seed)


HERE = Path(__file__).parent
OWN = ("ibc_committee", "ibc_validator_walk")
VALIDATOR = Package("nodes.ibc.validator", HERE, "test_ibc_validator_", OWN, {"walk": walk})
MUTANTS = [
    (mutant, finder) for mutant in read_mutants(HERE / "mutants.txt") for _, _, finder in [mutant.what.partition(" | ")]
]


@pytest.mark.parametrize(("mutant", "finder"), [pytest.param(*row, id=row[0].what) for row in MUTANTS])
def test_fault_is_found(mutant: Mutant, finder: str) -> None:
    assert VALIDATOR.finds(mutant, finder), f"{mutant.file}: {mutant.what} is not found"


def test_without_a_fault_nothing_is_found() -> None:
    assert VALIDATOR.unsound(MUTANTS) == []
