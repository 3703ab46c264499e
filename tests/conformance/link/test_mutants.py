"""The list of faults in mutants.py, with which the differential tests are tested by hand, fits the engine's sources."""

from mutants import MUTANTS, SOURCES


def test_every_fault_has_its_place_in_the_sources():
    texts = {path.name: path.read_text() for path in SOURCES.glob("*.c")}
    places = {mutant.what: texts[mutant.file].count(mutant.old) for mutant in MUTANTS}
    assert {what: count for what, count in places.items() if count != 1} == {}
    assert len(places) == len(MUTANTS)
