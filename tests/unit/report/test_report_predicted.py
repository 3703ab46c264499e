"""Predictions beside observations, and what the summary says of rounds."""

import pytest

from emulator.report.predicted import compare, words
from emulator.report.summary import rounds_words


@pytest.mark.parametrize(
    ("predicted", "observed", "agrees", "remark"),
    [
        (4, 4, True, "as predicted"),
        (4, 4.0, True, "as predicted"),
        (4, 5, False, "differs"),
        (True, True, True, "as predicted"),
        (True, 1, False, "differs"),
        (False, True, False, "differs"),
        ("9f2c", "9f2d", False, "differs"),
        (4.0, 4.2, None, "+5.0 %"),
        (4.0, 4, None, "+0.0 %"),
        (0.0, 0.5, None, "+0.5"),
        (4.0, "x", False, "differs"),
        (4, None, None, "not observed"),
    ],
)
def test_whole_numbers_are_judged_and_expected_values_are_not(predicted, observed, agrees, remark):
    (one,) = compare({"figure": predicted}, {"figure": observed})
    assert (one.agrees, one.remark) == (agrees, remark)


def test_dotted_and_absent_figures():
    one, two = compare({"rtt_ms.p50": 3, "gone": 1}, {"rtt_ms": {"p50": 3}})
    assert one.agrees
    assert (two.observed, two.agrees) == ("-", None)


def test_prediction_as_one_line():
    assert words({"terminates": False, "cycle": 6, "rounds": 4.125}) == "terminates false, cycle 6, rounds 4.12"


def test_rounds_as_one_line():
    counts = {"rounds": 12, "messages": 84, "received": 84, "in_slot": 84, "fidelity": 1.0, "stopped": ""}
    assert rounds_words(counts) == "rounds 12, 84 messages, round fidelity 1.0"


def test_fidelity_is_never_rounded_up_to_one():
    counts = {"rounds": 2, "messages": 100000, "received": 100000, "in_slot": 99999, "fidelity": 0.99999}
    said = rounds_words(counts | {"stopped": "rounds.max_rounds: 3 rounds begun, 2 allowed"})
    assert "round fidelity 0.9999 (99,999 of 100,000 in their round)" in said
    assert said.endswith("stopped: rounds.max_rounds: 3 rounds begun, 2 allowed")
