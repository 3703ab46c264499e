"""The hostile search, a little of it, and that the list of faults it is tried on fits the sources."""

from __future__ import annotations

from collections import Counter

import pytest

from . import committees, schedules, uncertified
from .mutants import MUTANTS, SOURCES

FIRST = 10_000  # of other seeds than those of the mutants' table


@pytest.mark.parametrize("part", range(4))
def test_no_schedule_breaks_what_must_hold(part):
    counts: Counter[str] = Counter()
    for seed in range(FIRST + 8 * part, FIRST + 8 * part + 8):
        counts += schedules.play(seed)
    assert counts["moved"] > 2
    assert counts["places"] > 3_000
    assert counts["early results"] > 500
    assert counts["replays"] >= 24  # three at the end of each


@pytest.mark.parametrize("part", range(3))
def test_no_committee_breaks_what_must_hold(part):
    counts: Counter[str] = Counter()
    for seed in range(FIRST + 5 * part, FIRST + 5 * part + 5):
        counts += committees.play(seed)
    assert counts["replays"] > 10
    assert counts["results"] > 100


def test_no_committee_without_certificates_breaks_what_must_hold():
    counts: Counter[str] = Counter()
    for seed in range(FIRST, FIRST + 6):
        counts += uncertified.play(seed)
    assert counts["moved"] > 4
    assert counts["results"] > 100


def test_the_same_seed_is_the_same_schedule():
    assert schedules.play(FIRST) == schedules.play(FIRST)
    assert committees.play(FIRST) == committees.play(FIRST)
    assert uncertified.play(FIRST) == uncertified.play(FIRST)


def test_every_fault_has_its_place_in_the_sources():
    places = {mutant.what: (SOURCES / mutant.file).read_text().count(mutant.old) for mutant in MUTANTS}
    assert {what: count for what, count in places.items() if count != 1} == {}
    assert len(places) == len(MUTANTS)
