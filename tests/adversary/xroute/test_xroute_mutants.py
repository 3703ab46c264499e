"""Each check of a route is held by an attack: `mutants.txt` takes checks out one by one, and names what gets past."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import xroute_attacks  # noqa: F401 - so that all messages are known before the first trial
from faulty_imports import put
from mutant_lists import Mutant, read_mutants

from tests.support.xroute_judge import Violation

PACKAGE = "nodes.xroute"
# Messages are not imported anew: their classes are known by name, once for all.
FRESH = {
    *(f"{PACKAGE}.proofs.{name}" for name in ("links", "parcel", "power", "verify")),
    *(
        f"{PACKAGE}.module.{name}"
        for name in ("events", "fees", "incoming", "model", "module", "outgoing", "policies", "quorum", "stake")
    ),
    "tests.support.xroute_world",
    "xroute_attacks",
}
MUTANTS = read_mutants(Path(__file__).with_name("mutants.txt"))


@pytest.mark.parametrize("mutant", [pytest.param(each, id=each.what) for each in MUTANTS])
def test_attack_gets_further_without_the_check(mutant: Mutant) -> None:
    with put(PACKAGE, mutant, FRESH.__contains__):
        run, refusal = importlib.import_module("xroute_attacks").ATTACKS[mutant.what.partition(" | ")[2]]
        try:
            result = run()
        except Violation:  # the message was accepted, and should not have been
            return
    assert not result.panicked, result.log
    where = "" if refusal.place is None else f" {refusal.place}"
    assert f"{refusal.check.name.lower()}{where}: " not in result.log, f"{mutant.what} is not found: {result.log}"
