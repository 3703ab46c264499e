"""The list of faults in mutants.txt, with which the tests of proofs are tested by hand, fits the sources."""

from pathlib import Path

from mutant_lists import read_mutants

import nodes.ibc.proofs

MUTANTS = read_mutants(Path(__file__).with_name("mutants.txt"))


def test_every_fault_has_its_place_in_the_sources() -> None:
    folder = Path(nodes.ibc.proofs.__path__[0])
    places = {mutant.what: (folder / mutant.file).read_text().count(mutant.old) for mutant in MUTANTS}
    assert {what: count for what, count in places.items() if count != 1} == {}
    assert len(places) == len(MUTANTS)
