"""Units: every value that can be written reads back, and nothing without a unit is accepted."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.units import EXAMPLES, SCALES, TARGETS, parse, show, split

KINDS = sorted(set(SCALES) - {"queue"})
numbers = st.floats(min_value=0, max_value=1e15, allow_nan=False) | st.integers(0, 10**12)


@given(st.sampled_from(KINDS), st.data())
def test_parse_is_number_times_scale(kind: str, data: st.DataObject) -> None:
    unit = data.draw(st.sampled_from(sorted(SCALES[kind])))
    number = data.draw(numbers)
    blank = data.draw(st.sampled_from(["", " ", "  "]))
    assert parse(f"{number!r}{blank}{unit}", kind) == float(number) * SCALES[kind][unit]


@given(st.sampled_from(KINDS), st.data())
def test_what_was_read_is_shown_and_read_back_exactly(kind: str, data: st.DataObject) -> None:
    unit = data.draw(st.sampled_from(sorted(SCALES[kind])))
    value = parse(f"{data.draw(numbers)!r} {unit}", kind)
    assert parse(show(value, kind), kind) == value


@given(st.sampled_from(sorted(set(KINDS) - {"share"})), st.floats(min_value=0, allow_infinity=False, allow_nan=False))
def test_any_value_is_shown_and_read_back_exactly(kind: str, value: float) -> None:
    assert parse(show(value, kind), kind) == value


@given(st.sampled_from(sorted(SCALES)), st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.text()))
def test_what_is_not_text_is_refused(kind: str, value: object) -> None:
    with pytest.raises(ValueError, match="without a unit; expected"):
        parse(value, kind)


@given(st.sampled_from(sorted(SCALES)), numbers)
def test_a_bare_number_is_refused(kind: str, number: float) -> None:
    with pytest.raises(ValueError, match="without a unit"):
        parse(repr(number), kind)


@given(st.sampled_from(sorted(SCALES)), st.text())
def test_any_text_is_a_value_or_a_value_error(kind: str, text: str) -> None:
    try:
        value = parse(text, kind)
    except ValueError:
        return
    assert math.isfinite(value)
    assert value >= 0


@pytest.mark.parametrize(
    "text", ["-1 ms", "1e999 s", "nan s", "inf s", "1 parsec", "ms", "", "1 m s", "0x10 s", "1_0 s"]
)
def test_refused_durations(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as '12 ms'"):
        parse(text, "duration")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("12 ms", "duration", 0.012),
        ("1.5min", "duration", 90.0),
        ("3 µs", "duration", 3e-6),
        ("50 Mbit/s", "rate", 50e6),
        ("550 km", "length", 550e3),
        ("64 KiB", "size", 65536.0),
        ("0.5 %", "share", 0.005),
        ("1e3 B", "size", 1000.0),
        (".5 s", "duration", 0.5),
    ],
)
def test_examples(text: str, kind: str, value: float) -> None:
    assert parse(text, kind) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.0, "duration", "0 s"),
        (0.0, "share", "0 %"),
        (0.05, "duration", "50 ms"),
        (90.0, "duration", "90 s"),
        (1e9, "rate", "1 Gbit/s"),
        (2.5e6, "rate", "2.5 Mbit/s"),
        (550e3, "length", "550 km"),
        (0.02, "share", "2 %"),
    ],
)
def test_shown_as_a_person_would(value: float, kind: str, text: str) -> None:
    assert show(value, kind) == text


def test_every_kind_has_an_example_and_a_target() -> None:
    assert set(SCALES) == set(EXAMPLES) == set(TARGETS)
    for kind, example in EXAMPLES.items():
        assert parse(example, kind) > 0
        assert split(example)[1] in SCALES[kind]
