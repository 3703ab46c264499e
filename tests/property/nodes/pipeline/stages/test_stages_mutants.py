"""Each rule of stages and controller is held by a test: `mutants.txt` breaks them one by one, and names the finder."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutant_lists import Mutant, read_mutants
from package_mutants import Package

HERE = Path(__file__).parent
UNIT = Path(*("unit" if part == "property" else part for part in HERE.parts))
PACKAGES = {
    file: Package("nodes.pipeline.stages", folder, "test_stages_", ("pipeline_net",))
    for file, folder in {"adversary": HERE, "core": UNIT}.items()
}
MUTANTS = [
    (mutant, finder) for mutant in read_mutants(HERE / "mutants.txt") for _, _, finder in [mutant.what.partition(" | ")]
]


@pytest.mark.parametrize(("mutant", "finder"), [pytest.param(*row, id=row[0].what) for row in MUTANTS])
def test_fault_is_found(mutant: Mutant, finder: str) -> None:
    assert PACKAGES[finder.partition(".")[0]].finds(mutant, finder), f"{mutant.file}: {mutant.what} is not found"
