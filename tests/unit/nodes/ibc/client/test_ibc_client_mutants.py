"""Each rule of upgrades is held by a test: `mutants.txt` breaks them one by one, and names the test that finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutant_lists import Mutant, read_mutants
from package_mutants import Package

import tests.support.ibc_relayed  # noqa: F401 - relayers must know clients as they are before one has a fault

HERE = Path(__file__).parent
SUPPORT = tuple(f"tests.support.ibc_{name}" for name in ("chain", "forged", "relayed"))
CLIENT = Package("nodes.ibc.client", HERE, "test_ibc_client_", (*SUPPORT, "nodes.ibc.chain.genesis"))
MUTANTS = [
    (mutant, finder) for mutant in read_mutants(HERE / "mutants.txt") for _, _, finder in [mutant.what.partition(" | ")]
]


@pytest.mark.parametrize(("mutant", "finder"), [pytest.param(*row, id=row[0].what) for row in MUTANTS])
def test_fault_is_found(mutant: Mutant, finder: str) -> None:
    assert CLIENT.finds(mutant, finder), f"{mutant.file}: {mutant.what} is not found"


def test_without_a_fault_nothing_is_found() -> None:
    assert CLIENT.unsound(MUTANTS) == []
