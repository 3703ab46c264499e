"""The capture tee: batches that read back, a reader that is too slow, a reader that has gone."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.link.capture import GATHER, GATHER_LARGE, HEAD, LARGE_BYTES, Batches, Tee, Tees, records

LITTLE = 4 * 2**20


def read_all(reader: int) -> bytes:
    stream = b""
    while part := os.read(reader, 1 << 20):
        stream += part
    os.close(reader)
    return stream


def tee_of(writer: int, *ends: int, snaplen: int = 0) -> Tees:
    """One tee by itself."""
    tees = Tees()
    tees.add(7, Tee(writer, frozenset(ends or {1}), snaplen))
    return tees


def note(tees: Tees, end: int, left_s: float, cause: int, data: bytes) -> None:
    """What a link end does, and the relay after each of its turns."""
    tees.log.rows.append((left_s, data))
    tees.log.marks.append(end << 8 | cause)
    if len(tees.log.rows) >= tees.ask_at:
        tees.gather()


def held_bytes(tees: Tees) -> int:
    return tees._tees[7].held_bytes


def teed(packets, snaplen=0) -> bytes:
    reader, writer = os.pipe()
    tees = tee_of(writer, 1, 2, snaplen=snaplen)
    for packet in packets:
        note(tees, *packet)
    tees.close(0.0)
    return read_all(reader)


def test_records_read_back_from_a_pipe():
    stream = teed([(1, 0.5, 0, bytes(10) + b"abcdef"), (2, -0.25, 4, bytes(10) + b"xy")], snaplen=4)
    first, second = records(stream)
    assert first == (500_000_000, 1, 0, 0, 6, b"abcd")
    assert second == (-250_000_000, 2, 4, 0, 2, b"xy")


@pytest.fixture
def little_room(monkeypatch):
    monkeypatch.setattr("emulator.link.capture.LIMIT", LITTLE)


@given(st.lists(st.binary(max_size=60), max_size=20), st.lists(st.integers(1, 90), min_size=1))
def test_a_stream_may_come_in_any_pieces(payloads, cuts):
    stream = teed([(1, n, 0, bytes(10) + data) for n, data in enumerate(payloads)])
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


def test_packets_gather_until_there_are_many_or_time_has_passed():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    tees = tee_of(writer)
    for n in range(GATHER - 1):
        note(tees, 1, n, 0, bytes(60))
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    note(tees, 1, GATHER, 0, bytes(60))
    assert len(list(records(os.read(reader, 1 << 20)))) == GATHER
    for n in range(GATHER_LARGE):
        note(tees, 1, n, 0, bytes(LARGE_BYTES + 1))
    assert len(list(records(os.read(reader, 1 << 20)))) == GATHER_LARGE
    note(tees, 1, 0, 0, bytes(60))
    tees.collect()
    assert len(list(records(os.read(reader, 1 << 20)))) == 1
    tees.collect()
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    tees.close(0.0)
    os.close(reader)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=60)), max_size=60),
    st.lists(st.tuples(st.frozensets(st.integers(0, 4), min_size=1), st.sampled_from((0, 1, 20))), max_size=4),
)
def test_each_of_several_tees_has_its_ends_packets_in_order(packets, captures):
    tees = Tees()
    pipes = [os.pipe() for _ in captures]
    for key, ((ends, snaplen), (_, writer)) in enumerate(zip(captures, pipes, strict=True)):
        tees.add(key, Tee(writer, ends, snaplen))
    listened = frozenset().union(*(ends for ends, _ in captures))
    assert tees.ends == listened
    for number, (end, data) in enumerate(packets):
        if end in listened:
            note(tees, end, number, 0, bytes(10) + data)
    tees.close(0.0)
    assert tees.ends == frozenset()
    for (ends, snaplen), (reader, _) in zip(captures, pipes, strict=True):
        found = [(record.end, record.left_ns // 10**9, record.data) for record in records(read_all(reader))]
        cut = snaplen or 60
        assert found == [(end, number, data[:cut]) for number, (end, data) in enumerate(packets) if end in ends]


def test_a_tee_has_what_was_let_go_while_it_was_open():
    tees = Tees()
    pipes = [os.pipe() for _ in range(2)]
    for number, (_, writer) in enumerate(pipes):
        tees.add(number, Tee(writer, frozenset({1})))
        note(tees, 1, number, 0, bytes(10))
    assert tees.remove(0) == {1}
    assert tees.ends == {1}
    note(tees, 1, 2, 0, bytes(10))
    with pytest.raises(KeyError):
        tees.remove(0)
    tees.close(0.0)
    left = [[record.left_ns // 10**9 for record in records(read_all(reader))] for reader, _ in pipes]
    assert left == [[0, 1], [1, 2]]


def test_a_slow_reader_costs_records_not_memory_or_time(little_room):
    reader, writer = os.pipe()
    tees = tee_of(writer)
    for n in range(5_120):
        note(tees, 1, n, 0, bytes(1510))
    missed = tees.lost()[7]
    assert missed > 0
    assert held_bytes(tees) <= LITTLE + 1000 * HEAD.size
    received = bytearray(os.read(reader, 1 << 20))
    tees.flush()
    note(tees, 1, 90_000, 0, bytes(110))
    tees.collect()
    while held_bytes(tees):
        tees.flush()
        received += os.read(reader, 1 << 20)
    tees.close(0.0)
    received += read_all(reader)
    got = list(records(bytes(received)))
    assert len(got) == 5_121 - missed
    assert got[0].lost == 0
    assert (got[-1].left_ns, got[-1].lost) == (90_000 * 10**9, missed)


def test_where_packets_are_missing_the_next_batch_says_so(little_room):
    reader, writer = os.pipe()
    tees = tee_of(writer)
    while not tees.lost()[7]:
        note(tees, 1, 1, 0, bytes(60_000))
    missed = tees.lost()[7]
    os.set_blocking(reader, False)
    received = b""
    while held_bytes(tees):
        tees.flush()
        received += os.read(reader, 1 << 20)
    note(tees, 1, 2, 0, bytes(20))
    tees.collect()
    received += os.read(reader, 1 << 20)
    assert {record.lost for record in records(received)} == {0, missed}
    assert [record.lost for record in records(received) if record.left_ns == 2 * 10**9] == [missed]
    tees.close(0.0)
    os.close(reader)


def test_a_reader_that_has_gone_breaks_the_tee_and_nothing_else():
    reader, writer = os.pipe()
    os.close(reader)
    tees = tee_of(writer)
    note(tees, 1, 0, 0, bytes(20))
    tees.collect()
    assert held_bytes(tees) == 0
    note(tees, 1, 1, 0, bytes(20))
    tees.collect()
    assert tees.lost() == {7: 1}
    tees.close(0.0)
