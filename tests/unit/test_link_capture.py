"""The capture tee: batches that read back, a reader that is too slow, a reader that has gone."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.link.capture import GATHER, HEAD, LIMIT, Batches, Tee, records


def read_all(reader: int) -> bytes:
    stream = b""
    while part := os.read(reader, 1 << 20):
        stream += part
    os.close(reader)
    return stream


def teed(packets, snaplen=0) -> bytes:
    reader, writer = os.pipe()
    tee = Tee(writer, frozenset({1, 2}), snaplen)
    for end, *packet in packets:
        tee.tap(end)(*packet)
    tee.close()
    return read_all(reader)


def test_records_read_back_from_a_pipe():
    stream = teed([(1, 0.5, 0.75, 0, bytes(10) + b"abcdef"), (2, -0.25, -0.25, 4, bytes(10) + b"xy")], snaplen=4)
    first, second = records(stream)
    assert first == (500_000_000, 750_000_000, 1, 0, 0, 6, b"abcd")
    assert second == (-250_000_000, -250_000_000, 2, 4, 0, 2, b"xy")


@given(st.lists(st.binary(max_size=60), max_size=20), st.lists(st.integers(1, 90), min_size=1))
def test_a_stream_may_come_in_any_pieces(payloads, cuts):
    stream = teed([(1, n, n, 0, bytes(10) + data) for n, data in enumerate(payloads)])
    batches, found, at = Batches(), [], 0
    while at < len(stream):
        cut = cuts[len(found) % len(cuts)]
        for batch in batches.feed(stream[at : at + cut]):
            assert sum(batch.captured) == len(batch.body)
            found += [bytes(batch.body)]
        at += cut
    assert b"".join(found) == b"".join(bytes(10) + data for data in payloads)
    assert [record.data for record in records(stream)] == payloads


def test_what_is_no_stream_of_a_tee_is_refused():
    with pytest.raises(ValueError, match="where a batch should begin"):
        list(Batches().feed(bytes(HEAD.size)))


def test_packets_gather_until_there_are_many():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    tee = Tee(writer, frozenset({1}))
    tee.tap(1)(0, 0, 0, bytes(110))
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    for n in range(GATHER - 1):
        tee.tap(1)(n, n, 0, bytes(110))
    assert os.read(reader, 1 << 20)
    tee.close()
    os.close(reader)


def test_a_slow_reader_costs_records_not_memory_or_time():
    reader, writer = os.pipe()
    tee = Tee(writer, frozenset({1}))
    for n in range(20_480):
        tee.tap(1)(n, n, 0, bytes(1510))
    missed = tee.lost
    assert missed > 0
    assert tee.held_bytes <= LIMIT + 1000 * HEAD.size
    received = bytearray(os.read(reader, 1 << 20))
    tee.flush()
    tee.tap(1)(90_000, 90_000, 0, bytes(110))
    while tee.held_bytes:
        tee.flush()
        received += os.read(reader, 1 << 20)
    tee.close()
    received += read_all(reader)
    got = list(records(bytes(received)))
    assert len(got) == 20_481 - missed
    assert got[0].lost == 0
    assert (got[-1].left_ns, got[-1].lost) == (90_000 * 10**9, missed)


def test_where_packets_are_missing_the_next_batch_says_so():
    reader, writer = os.pipe()
    tee = Tee(writer, frozenset({1}))
    while not tee.lost:
        tee.tap(1)(1, 1, 0, bytes(60_000))
    missed = tee.lost
    os.set_blocking(reader, False)
    received = b""
    while tee.held_bytes:
        tee.flush()
        received += os.read(reader, 1 << 20)
    tee.tap(1)(2, 2, 0, bytes(20))
    tee.flush()
    received += os.read(reader, 1 << 20)
    assert {record.lost for record in records(received)} == {0, missed}
    assert [record.lost for record in records(received) if record.left_ns == 2 * 10**9] == [missed]
    tee.close()
    os.close(reader)


def test_a_reader_that_has_gone_breaks_the_tee_and_nothing_else():
    reader, writer = os.pipe()
    os.close(reader)
    tee = Tee(writer, frozenset({1}))
    tee.tap(1)(0, 0, 0, bytes(20))
    tee.flush()
    assert tee.broken
    tee.tap(1)(1, 1, 0, bytes(20))
    assert tee.lost == 1
    tee.close()
