"""Each fault of `mutants.txt` has its place in today's sources; `python -m tests.adversary.cluster` plays them."""

from __future__ import annotations

import pytest
from mutant_lists import Mutant

from .__main__ import MUTANTS, ROOT


@pytest.mark.parametrize(("mutant", "finder"), MUTANTS, ids=[mutant.what for mutant, _ in MUTANTS])
def test_a_fault_has_its_place_and_its_finder(mutant: Mutant, finder: str) -> None:
    text = (ROOT / mutant.file).read_text()
    assert mutant.applied(text) != text
    file, _, test = finder.partition("::")
    assert not test or f"def {test}(" in (ROOT / "tests" / file).read_text()
