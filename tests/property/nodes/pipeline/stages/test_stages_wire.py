"""Messages of a pipeline: what is encoded decodes alike; other bytes are refused by a ValueError, or are a message."""

import hypothesis.strategies as st
from hypothesis import given

from nodes.pipeline.stages import wire
from nodes.pipeline.stages.wire import CODEC

number = st.integers(0, 2**32 - 1)
block = st.integers(0, 2**16 - 1)
name = st.binary(max_size=wire.MOST_NAME_BYTES)
codec = st.binary(max_size=wire.MOST_CODEC_BYTES)
payload = st.binary(max_size=200)
blocks = st.builds(wire.Blocks, block, block, codec, codec)
seats = st.builds(wire.Seat, name, name)


def some(kind: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(kind, max_size=5).map(tuple)


messages = st.one_of(
    st.builds(wire.Probe, number, st.integers(1, 2**32 - 1), st.binary(min_size=32, max_size=32),
              st.integers(1, 2**32 - 1), number, some(blocks)),
    st.builds(wire.Held, number, number, st.integers(0, 1), some(number)),
    st.builds(wire.Place, number, number, number, some(seats)),
    st.builds(wire.Keys, number, number, block, payload),
    st.builds(wire.Ready, number, number),
    st.builds(wire.Refused, number, number, payload),
    st.builds(wire.Chunk, number, number, number, st.integers(1, 2**16 - 1), codec, payload),
    st.builds(wire.Taken, number, number, number),
    st.builds(wire.Token, number, number, number, number),
    st.builds(wire.End, number, number),
)  # fmt: skip


@given(messages)
def test_a_message_decodes_to_itself(message):
    assert CODEC.decode(CODEC.encode(message)) == message


@given(messages, st.data())
def test_bytes_that_were_changed_are_refused_or_another_message(message, data):
    encoded = bytearray(CODEC.encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    _decode(bytes(encoded[: data.draw(st.integers(0, len(encoded)))]))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_a_message(data):
    _decode(data)


def test_the_largest_of_each_kind_fits_its_limit():
    names = (wire.Seat(b"n" * 64, b"n" * 64),) * 64
    segments = (wire.Blocks(1, 2, b"c" * 16, b"c" * 16),) * 64
    for message in (
        wire.Probe(1, 1, bytes(32), 1, 1, segments), wire.Held(1, 1, 1, (1,) * 64), wire.Place(1, 1, 1, names),
        wire.Keys(1, 1, 1, bytes(wire.MOST_KEYS_BYTES)), wire.Refused(1, 1, bytes(wire.MOST_REASON_BYTES)),
        wire.Chunk(1, 1, 1, 1, bytes(16), bytes(wire.MOST_CHUNK_BYTES)),
    ):  # fmt: skip
        assert CODEC.decode(CODEC.encode(message)) == message


def _decode(data: bytes) -> None:
    try:
        message = CODEC.decode(data)
    except ValueError:
        return
    assert CODEC.encode(message) == data
