"""Each rule of the name service is held by a test: `mutants.txt` breaks them one by one, and names who finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutant_lists import Mutant, read_mutants
from package_mutants import Package

HERE = Path(__file__).parent
NAMES = Package("nodes.xroute.names", HERE, "test_xroute_", ("xroute_names",))
MUTANTS = [
    (mutant, finder) for mutant in read_mutants(HERE / "mutants.txt") for _, _, finder in [mutant.what.partition(" | ")]
]


@pytest.mark.parametrize(("mutant", "finder"), [pytest.param(*row, id=row[0].what) for row in MUTANTS])
def test_fault_is_found(mutant: Mutant, finder: str) -> None:
    assert NAMES.finds(mutant, finder), f"{mutant.file}: {mutant.what} is not found"


def test_without_a_fault_nothing_is_found() -> None:
    assert NAMES.unsound(MUTANTS) == []
