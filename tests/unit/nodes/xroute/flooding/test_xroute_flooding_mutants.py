"""Each rule of flooding is held by a test: `mutants.txt` breaks them one by one, and names the test that finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutant_lists import Mutant, read_mutants
from package_mutants import Package

HERE = Path(__file__).parent
FLOODING = Package("nodes.xroute.flooding", HERE, "test_xroute_", ("xroute_flood",))
MUTANTS = [
    (mutant, finder) for mutant in read_mutants(HERE / "mutants.txt") for _, _, finder in [mutant.what.partition(" | ")]
]


@pytest.mark.parametrize(("mutant", "finder"), [pytest.param(*row, id=row[0].what) for row in MUTANTS])
def test_fault_is_found(mutant: Mutant, finder: str) -> None:
    assert FLOODING.finds(mutant, finder), f"{mutant.file}: {mutant.what} is not found"


def test_without_a_fault_nothing_is_found() -> None:
    assert FLOODING.unsound(MUTANTS) == []
