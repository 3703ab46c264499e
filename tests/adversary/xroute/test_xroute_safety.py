"""Whatever is tried, no message is accepted that was not sent, or against its policy: the count of those is 0.

The judge (`tests.support.xroute_judge`) stands beside each chain of the tests of the module. Here it looks at a hostile
search; and as it is the one who finds faults, some are put into the product, of which the search is not told.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from faulty_imports import put
from mutant_lists import Mutant, read_mutants
from xroute_hunt import Hunt

from tests.support.xroute_judge import Violation

STEPS = 10
PACKAGE = "nodes.xroute"
FRESH = {
    *(f"{PACKAGE}.policy.{name}" for name in ("conjunction", "evaluation")),
    *(f"{PACKAGE}.names.{name}" for name in ("binding", "registry")),
    *(f"{PACKAGE}.proofs.{name}" for name in ("links", "parcel", "power", "verify")),
    *(
        f"{PACKAGE}.module.{name}"
        for name in ("events", "fees", "incoming", "model", "module", "outgoing", "policies", "quorum", "stake")
    ),
    "tests.support.xroute_world",
    "xroute_hunt",
}
FOUND_WITHIN = 8  # searches
MUTANTS = read_mutants(Path(__file__).with_name("hunted.txt"))


def hunted(kind: type[Hunt], seed: int) -> Hunt:
    hunt = kind(seed)
    for _ in range(STEPS):
        hunt.step()
    return hunt


def is_seen(kind: type[Hunt], seed: int) -> bool:
    try:
        hunted(kind, seed)
    except Violation:
        return True
    return False


def test_nothing_is_accepted_that_must_not_be() -> None:
    hunts = [hunted(Hunt, seed) for seed in range(8)]
    accepted = sum(hunt.world.judge.accepted for hunt in hunts)
    tried = sum(hunt.tried.total() for hunt in hunts)
    assert 0.1 < accepted / tried < 0.9, (accepted, tried)


@pytest.mark.parametrize("mutant", [pytest.param(each, id=each.what) for each in MUTANTS])
def test_the_judge_sees_a_fault(mutant: Mutant) -> None:
    with put(PACKAGE, mutant, FRESH.__contains__):
        hunt = importlib.import_module("xroute_hunt").Hunt
        assert any(is_seen(hunt, seed) for seed in range(FOUND_WITHIN)), f"{mutant.file}: {mutant.what} is not found"
