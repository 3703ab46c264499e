"""Codecs: what is decoded was encoded, the limits hold, and everything else is a ValueError."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.sdk.streams import Backoff
from emulator.sdk.transport.codec import BytesCodec, Codec
from emulator.sdk.wire import U16, MessageCodec, Text

TELL_BYTES = 1 + 2 + 4  # of a Tell without its text
CODEC: MessageCodec[Ask | Tell] = MessageCodec()


@CODEC.message(1, 10)
@dataclass(frozen=True, slots=True)
class Ask:
    number: U16


@CODEC.message(7, 20)
@dataclass(frozen=True, slots=True)
class Tell:
    number: U16
    text: Annotated[bytes, Text(100)]


MESSAGES = st.builds(Ask, st.integers(0, 65535)) | st.builds(Tell, st.integers(0, 65535), st.binary(max_size=40))


@given(MESSAGES)
def test_a_message_comes_back_or_is_past_its_limit(message: Ask | Tell) -> None:
    if isinstance(message, Tell) and len(message.text) > 20 - TELL_BYTES:
        with pytest.raises(ValueError, match=r"Tell of .* bytes; expected at most 20"):
            CODEC.encode(message)
        return
    data = CODEC.encode(message)
    assert data[0] == (1 if isinstance(message, Ask) else 7)
    assert len(data) <= CODEC.limits()[data[0]]
    assert CODEC.decode(data) == message


@given(st.binary(max_size=30) | st.binary(max_size=10).map(lambda rest: b"\x07" + rest))
def test_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        message = CODEC.decode(data)
    except ValueError:
        return
    assert CODEC.encode(message) == data


def test_a_code_belongs_to_one_class() -> None:
    for code in (1, -1, 256):
        with pytest.raises(ValueError, match="that no other class has"):
            CODEC.message(code, 10)
    assert CODEC.limits([Tell]) == {7: 20}
    assert CODEC.limits() == {1: 10, 7: 20}


@given(st.integers(0, 40), st.binary(max_size=50))
def test_plain_bytes_within_their_limit(most_bytes: int, data: bytes) -> None:
    codec: Codec[bytes] = BytesCodec(most_bytes)
    if len(data) > most_bytes:
        with pytest.raises(ValueError, match="expected at most"):
            codec.encode(data)
        return
    encoded = codec.encode(data)
    assert codec.decode(encoded) == data
    assert len(encoded) <= codec.limits()[encoded[0]]


@given(st.binary(max_size=12))
def test_other_bytes_are_refused(data: bytes) -> None:
    codec = BytesCodec(8)
    try:
        assert codec.encode(codec.decode(data)) == data
    except ValueError:
        assert data[:1] != b"\0" or len(data) > 9


@given(st.floats(0.001, 10), st.floats(0.001, 100), st.integers(1, 20))
def test_waits_double_up_to_the_most_and_begin_anew(least_s: float, more_s: float, count: int) -> None:
    backoff = Backoff(least_s, least_s + more_s)
    waits = [backoff.next_s() for _ in range(count)]
    assert waits == [min(least_s * 2**number, least_s + more_s) for number in range(count)]
    backoff.reset()
    assert backoff.next_s() == least_s


def test_waits_that_do_not_rise_are_refused() -> None:
    for least_s, most_s in ((0.0, 1.0), (2.0, 1.0)):
        with pytest.raises(ValueError, match="expected more than 0, rising"):
            Backoff(least_s, most_s)
