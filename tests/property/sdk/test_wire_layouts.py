"""Kinds of fields and layouts: what is written is read back, one encoding a value, and nothing but ValueError else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, ClassVar, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.sdk.wire import (
    U8,
    U16,
    U64,
    Fixed,
    Kind,
    Many,
    ManyFixed,
    Nested,
    Octets,
    Rest,
    Row,
    Rule,
    Signed,
    Text,
    Unsigned,
    Until,
    Zeros,
    fields_of,
    layout_of,
)


class Colour(IntEnum):
    RED = 1
    DARK_BLUE = 2


class Point(NamedTuple):
    x: Annotated[int, Signed(4), "to the east"]
    y: Annotated[int, Signed(2)]


@dataclass(frozen=True)
class Everything:
    """A field of each kind."""

    small: U8
    colour: Annotated[int, Unsigned(1, least=1, most=2, names=Colour)]
    mark: Annotated[bytes, Octets(2, equals=b"ok")]
    point: Annotated[Point, Nested(Point)]
    text: Annotated[bytes, Text(5, least=1, length_bytes=1)]
    low: U16
    high: U16
    rising: Annotated[tuple[int, ...], ManyFixed(Unsigned(1), 4, rising=1)]
    rows: Annotated[tuple[tuple[int, int], ...], ManyFixed(Row(a=Unsigned(1), gap=Zeros(1), b=Unsigned(1)), 3)]
    texts: Annotated[tuple[bytes, ...], Many(Text(3), 3, count_bytes=1)]
    rest: Annotated[bytes, Rest()]

    RULES: ClassVar = (Rule("low <= high"),)


BYTE = st.integers(0, 255)
everything = st.builds(
    Everything,
    BYTE,
    st.sampled_from([1, 2]),
    st.just(b"ok"),
    st.builds(Point, st.integers(-(1 << 31), (1 << 31) - 1), st.integers(-(1 << 15), (1 << 15) - 1)),
    st.binary(min_size=1, max_size=5),
    st.integers(0, 100),
    st.integers(100, 65535),
    st.sets(BYTE, max_size=4).map(sorted).map(tuple),
    st.lists(st.tuples(BYTE, BYTE), max_size=3).map(tuple),
    st.lists(st.binary(max_size=3), max_size=3).map(tuple),
    st.binary(max_size=5),
)


def written(value: Everything) -> bytes:
    pieces: list[bytes] = []
    layout_of(Everything).write(value, pieces)
    return b"".join(pieces)


@given(everything)
def test_what_is_written_is_read_back(value: Everything) -> None:
    data = written(value)
    assert layout_of(Everything).read(data, 0) == (value, len(data))


@given(everything, st.data())
def test_damaged_bytes_are_another_value_or_a_value_error(value: Everything, data: st.DataObject) -> None:
    whole = bytearray(written(value))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    for damaged in (bytes(whole), cut):
        try:
            other, end = layout_of(Everything).read(damaged, 0)
        except ValueError:
            continue
        assert other != value
        assert (written(other), end) == (damaged, len(damaged))


GOOD = Everything(1, 2, b"ok", Point(-1, 2), b"a", 1, 2, (1, 2), ((1, 2),), (b"",), b"")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"small": 256}, r"^Everything\.small: number 256; expected 0 to 255$"),
        ({"colour": 3}, r"^Everything\.colour: number 3; expected 1 to 2$"),
        ({"mark": b"no"}, r"^Everything\.mark: b'no'; expected b'ok'$"),
        ({"text": b""}, r"^Everything\.text: 0 bytes; expected 1 to 5$"),
        ({"low": 3}, r"^Everything: 3 and 2; expected low <= high$"),
        ({"rising": (2, 2)}, r"^Everything\.rising: out of order; expected each once, rising$"),
        ({"rising": (1, 2, 3, 4, 5)}, r"^Everything\.rising: 5 entries; expected at most 4$"),
        ({"rows": ((1,),)}, r"^Everything\.rows: row of another length; expected 2 values$"),
        ({"rows": ((1, 256),)}, r"^Everything\.rows: b: number 256; expected 0 to 255$"),
        ({"texts": (b"long",)}, r"^Everything\.texts: 4 bytes; expected at most 3$"),
        ({"point": Point(1, 1 << 15)}, r"Point\.y: number 32768; expected -32768 to 32767$"),
    ],
)
def test_what_cannot_be_written_names_its_field(change: dict[str, object], error: str) -> None:
    value = Everything(**(GOOD.__dict__ | change))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=error):
        written(value)


@pytest.mark.parametrize(
    ("kind", "data", "error"),
    [
        (Row(a=Unsigned(1), gap=Zeros(2)), b"\1\0\1", "gap: not 0; expected 2 zero bytes"),
        (Row(Rule("a + b == c"), a=Unsigned(1), b=Unsigned(1), c=Unsigned(2)), b"\1\2\0\4", "3 and 4; expected a"),
        (Rest(zero=True), b"\0\1", "bytes that are not 0; expected zeros"),
        (Unsigned(4, equals=7), bytes(4), "number 0; expected 7"),
        (Until(Text(9)), b"\0\0\0\1x\0", "1 bytes left; expected 4"),
    ],
)
def test_what_cannot_be_read_says_why(kind: Kind, data: bytes, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        kind.read(data, 0)


def test_meanings_and_names_stay_with_their_field() -> None:
    fields = fields_of(Point)
    assert [kind.meaning for kind in fields.values()] == ["to the east", ""]
    colour = fields_of(Everything)["colour"]
    assert isinstance(colour, Unsigned)
    assert colour.names == {1: "red", 2: "dark blue"}
    one = Unsigned(2)
    assert (one.says("of a thing").meaning, one.meaning) == ("of a thing", "")


def test_a_row_is_its_struct() -> None:
    row = Row(magic=Octets(4), kind=Unsigned(1), gap=Zeros(3), number=Unsigned(8), when=Signed(8))
    assert row.struct.format == ">4sB3xQq"
    assert row.size == row.struct.size == 24
    assert isinstance(row, Fixed)


def test_only_classes_with_fields_have_a_layout() -> None:
    with pytest.raises(TypeError, match="is not a dataclass"):
        layout_of(int)


@dataclass
class Signed64:
    number: U64
    signature: Annotated[bytes, Octets(2)]


def test_what_is_signed_is_all_but_the_last_field() -> None:
    assert layout_of(Signed64).unsigned_bytes(Signed64(5, b"xy")) == (5).to_bytes(8, "big")
