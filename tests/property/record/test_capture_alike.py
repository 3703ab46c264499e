"""Packets that are alike, converted at once: the same bytes as one by one."""

from __future__ import annotations

import struct
from array import array
from random import Random
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.link.packet import NEEDS_CSUM, VIRTIO, virtio
from emulator.link.taps import HEAD, MAGIC
from emulator.record import bulk_convert
from emulator.record.capture import CaptureConverter, Stream
from emulator.record.pcapng import Interface
from emulator.record.section import Section

FACES = {0: Interface("a"), 1: Interface("b", snaplen=30)}

# One kind of packet: end, cause, bytes captured, bytes left out, flags, GSO kind, checksum's start and offset
kinds = st.tuples(
    st.integers(0, 2), st.sampled_from((0, 0, 0, 4)), st.integers(VIRTIO, 70), st.sampled_from((0, 0, 7)),
    st.sampled_from((0, NEEDS_CSUM)), st.sampled_from((0, 0, 1)), st.integers(0, 60), st.integers(0, 20),
)  # fmt: skip
floods = st.lists(
    st.tuples(kinds, st.sampled_from((1, 2, 15, 16, 17, 60)), st.randoms(use_true_random=False)), max_size=6
)


def batch(flood, lost: int) -> bytes:
    left, marks, captured, original, bodies = (array(code) for code in ("d", "I", "I", "I", "B"))
    for (end, cause, size, more, flags, gso, start, offset), count, random in flood:
        for _ in range(count):
            left.append(random.uniform(-1, 100))
            marks.append(end << 8 | cause)
            captured.append(size)
            original.append(size + more)
            filling = random.choice((bytes(size), b"\xff" * size, random.randbytes(size)))
            bodies.frombytes(virtio.pack(flags, gso, 0, 8, start, offset) + filling[VIRTIO:])
    columns = b"".join(column.tobytes() for column in (left, marks, captured, original))
    return HEAD.pack(MAGIC, len(left), len(bodies), lost) + columns + bodies.tobytes()


def converted(stream: bytes, remark_s: float) -> tuple[bytes, int, int]:
    written: list[bytes] = []
    section = Section(Stream(written.append), FACES, 10**18)
    converter = CaptureConverter(FACES, lambda end: section)
    converter.happens(1, remark_s, "a fault")
    converter.feed(stream)
    converter.finish()
    return b"".join(written), converter.packets, converter.dropped


@given(floods, st.sampled_from((0, 3)), st.sampled_from((-2.0, 50.0, 1000.0)))
def test_many_at_once_are_as_one_by_one(flood, lost, remark_s):
    stream = batch(flood, lost)
    with patch.object(bulk_convert, "MANY", 10**9):
        one_by_one = converted(stream, remark_s)
    assert converted(stream, remark_s) == one_by_one


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40)), max_size=12))
def test_stretches_cover_all_in_order(lengths):
    column = array("I", [value for value, count in lengths for _ in range(count)])
    after = 0
    for begin, end, same in bulk_convert.stretches(column, column):
        assert begin == after
        after = end
        if same:
            assert end - begin >= bulk_convert.MANY
            assert len(set(column[begin:end])) == 1
        else:
            values = struct.pack(f"{end - begin}B", *column[begin:end])
            assert not any(bytes([value]) * bulk_convert.MANY in values for value in range(3))
    assert after == len(column)


def test_a_flood_is_converted_at_once():
    flood = [((0, 0, 50, 0, NEEDS_CSUM, 0, 20, 6), 100, Random(1))]
    with patch.object(CaptureConverter, "_one_by_one", side_effect=AssertionError):
        assert converted(batch(flood, 0), 1000.0)[1] == 100
    with (
        patch.object(bulk_convert, "MANY", 101),
        pytest.raises(AssertionError),
        patch.object(CaptureConverter, "_one_by_one", side_effect=AssertionError),
    ):
        converted(batch(flood, 0), 1000.0)
