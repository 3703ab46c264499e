"""Each rule of policies and routes is held: `mutants.txt` breaks them one by one, and names what finds it.

Most are found by the adversary, which plays random graphs and policies and does not know which fault it looks for.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from mutant_lists import Mutant, read_mutants
from package_mutants import Package

HERE = Path(__file__).parent
PLAYS = 400


def adversary() -> None:
    """Play; the adversary is imported here, so that it meets the package with the fault."""
    play: Callable[[int], None] = importlib.import_module("xroute_adversary").play
    for seed in range(PLAYS):
        play(seed)


ROUTES = Package(
    "nodes.xroute",
    HERE.parent,
    "",
    ("xroute_adversary", "xroute_graphs", "xroute_policies", "xroute_words"),
    {"adversary": adversary},
)
MUTANTS = [
    (mutant, finder) for mutant in read_mutants(HERE / "mutants.txt") for _, _, finder in [mutant.what.partition(" | ")]
]


@pytest.mark.parametrize(("mutant", "finder"), [pytest.param(*row, id=row[0].what) for row in MUTANTS])
def test_fault_is_found(mutant: Mutant, finder: str) -> None:
    assert ROUTES.finds(mutant, finder), f"{mutant.file}: {mutant.what} is not found"


def test_without_a_fault_nothing_is_found() -> None:
    assert ROUTES.unsound(MUTANTS) == []
