"""Each rule of the planner is held by a test: `mutants.txt` breaks them one by one, and names the one that finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutant_lists import Mutant, read_mutants
from package_mutants import Package


def _trials() -> None:
    from pipeline_problems import trials  # of the package with the fault

    trials()


HERE = Path(__file__).parent
PLANNER = Package(
    "nodes.pipeline.planner",
    HERE,
    "test_planner_",
    ("pipeline_problems", "oracle.pipeline_exhaustive"),
    {"trials": _trials},
)


MUTANTS = [
    (mutant, finder) for mutant in read_mutants(HERE / "mutants.txt") for _, _, finder in [mutant.what.partition(" | ")]
]


@pytest.mark.parametrize(("mutant", "finder"), [pytest.param(*row, id=row[0].what) for row in MUTANTS])
def test_fault_is_found(mutant: Mutant, finder: str) -> None:
    assert PLANNER.finds(mutant, finder), f"{mutant.file}: {mutant.what} is not found"


def test_without_a_fault_nothing_is_found() -> None:
    assert PLANNER.unsound(MUTANTS) == []
