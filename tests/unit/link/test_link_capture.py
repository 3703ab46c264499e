"""Captures: batches that read back, a reader that is too slow, a reader that has gone, on the engine's own taps."""

import os
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.link.engine.engine import Engine
from emulator.link.engine.tables import memory_ports
from emulator.link.taps import HEAD, LIMIT, TAPS, Batches, Captures, records
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule

LITTLE = 4 * 2**20
LINKS = 3


@contextmanager
def captures():
    """Captures over an engine of three links without delay, and a way to send packets over link ends."""
    nodes = tuple(NodeSpec(f"n{n}", "host", True, f"10.0.0.{n + 1}") for n in range(2))
    spec = EndSpec(schedule=PiecewiseSchedule.constant())
    links = tuple(LinkSpec(f"l{n}", 0, 1, f"a{n}", f"b{n}", spec, spec) for n in range(LINKS))
    network = Network(nodes, links)
    with Engine(network, memory_ports(network), None, 1, small_slots=8192, large_slots=64) as engine:
        taken = Captures(engine)
        yield taken, Sender(engine, taken)
        taken.close(0.0)


class Sender:
    def __init__(self, engine, taken):
        self.engine, self.captures = engine, taken
        self.now_s = 0.0

    def open(self, key, fd, ends, snaplen=0):
        self.captures.open(key, fd, frozenset(ends), snaplen)
        self.retap()

    def end(self, key, patience_s=0.0):
        self.captures.forget(key)
        self.retap()
        self.captures.close_one(key, patience_s)

    def retap(self):
        for end in range(2 * LINKS):
            self.engine.tap_ends(end, self.captures.mask(end), self.now_s)

    def send(self, end, left_s, data):
        self.now_s = left_s
        assert self.engine.offer(end, left_s, bytes(10) + data)
        self.engine.play(left_s)
        self.engine.take()


def read_all(reader: int) -> bytes:
    stream = b""
    while part := os.read(reader, 1 << 20):
        stream += part
    os.close(reader)
    return stream


def captured(packets, snaplen=0) -> bytes:
    reader, writer = os.pipe()
    with captures() as (taken, sender):
        sender.open(7, writer, {1, 2}, snaplen)
        for packet in packets:
            sender.send(*packet)
        taken.close(0.0)
    return read_all(reader)


def test_records_read_back_from_a_pipe():
    stream = captured([(1, 0.5, b"abcdef"), (2, 0.75, b"xy"), (0, 1.0, b"unheard")], snaplen=4)
    first, second = records(stream)
    assert first == (500_000_000, 1, 0, 0, 6, b"abcd")
    assert second == (750_000_000, 2, 0, 0, 2, b"xy")


@given(st.lists(st.binary(max_size=60), max_size=20), st.lists(st.integers(1, 90), min_size=1))
def test_a_stream_may_come_in_any_pieces(payloads, cuts):
    stream = captured([(1, float(n), data) for n, data in enumerate(payloads)])
    batches, found, at = Batches(), [], 0
    while at < len(stream):
        cut = cuts[len(found) % len(cuts)]
        for batch in batches.feed(stream[at : at + cut]):
            assert sum(batch.captured) == len(batch.body)
            found += [bytes(batch.body)]
        at += cut
    assert b"".join(found) == b"".join(bytes(10) + data for data in payloads)
    assert [record.data for record in records(stream)] == payloads


def test_what_is_no_stream_of_a_capture_is_refused():
    with pytest.raises(ValueError, match="where a batch should begin"):
        list(Batches().feed(bytes(HEAD.size)))


@given(
    st.lists(st.tuples(st.integers(0, 4), st.binary(max_size=60)), max_size=60),
    st.lists(st.tuples(st.frozensets(st.integers(0, 4), min_size=1), st.sampled_from((0, 1, 20))), max_size=4),
)
def test_each_of_several_captures_has_its_ends_packets_in_order(packets, expected):
    pipes = [os.pipe() for _ in expected]
    with captures() as (taken, sender):
        for key, ((ends, snaplen), (_, writer)) in enumerate(zip(expected, pipes, strict=True)):
            sender.open(key, writer, ends, snaplen)
        for number, (end, data) in enumerate(packets):
            sender.send(end, float(number), data)
        taken.close(0.0)
    for (ends, snaplen), (reader, _) in zip(expected, pipes, strict=True):
        found = [(record.end, record.left_ns // 10**9, record.data) for record in records(read_all(reader))]
        cut = snaplen or 60
        assert found == [(end, number, data[:cut]) for number, (end, data) in enumerate(packets) if end in ends]


def test_a_capture_has_what_was_let_go_while_it_was_open():
    pipes = [os.pipe() for _ in range(2)]
    with captures() as (taken, sender):
        for number, (_, writer) in enumerate(pipes):
            sender.open(number, writer, {1})
            sender.send(1, float(number), b"")
        sender.end(0)
        assert taken.mask(1) == 1 << 1
        sender.send(1, 2.0, b"")
        with pytest.raises(KeyError):
            taken.forget(0)
    left = [[record.left_ns // 10**9 for record in records(read_all(reader))] for reader, _ in pipes]
    assert left == [[0, 1], [1, 2]]


def test_there_are_as_many_captures_as_taps_and_one_that_ends_makes_room():
    with captures() as (taken, sender):
        for key in range(TAPS):
            taken.open(key, os.open(os.devnull, os.O_WRONLY), frozenset({1}))
        spare = os.open(os.devnull, os.O_WRONLY)
        with pytest.raises(ValueError, match="are running"):
            taken.open(99, spare, frozenset({1}))
        sender.end(5)
        taken.open(99, spare, frozenset({1}))
        assert taken.mask(1) == 2**32 - 1


@pytest.fixture
def little_room(monkeypatch):
    assert LIMIT > LITTLE
    monkeypatch.setattr("emulator.link.taps.LIMIT", LITTLE)


def test_a_slow_reader_costs_records_not_memory_or_time(little_room):
    reader, writer = os.pipe()
    with captures() as (taken, sender):
        sender.open(7, writer, {1})
        for n in range(5_120):
            sender.send(1, float(n), bytes(1500))
            taken.pump()  # it takes what a pipe holds
        missed = taken.lost()[7]
        assert 0 < missed < 5_120
        os.set_blocking(reader, False)
        received = b""
        while part := _read(reader, taken):
            received += part
        sender.send(1, 90_000.0, bytes(100))
        while part := _read(reader, taken):
            received += part
    received += read_all(reader)
    got = list(records(received))
    assert len(got) == 5_121 - missed
    assert got[0].lost == 0
    assert (got[-1].left_ns, got[-1].lost) == (90_000 * 10**9, missed)


def _read(reader, taken):
    taken.pump()
    try:
        return os.read(reader, 1 << 20)
    except BlockingIOError:
        return b""


def test_a_reader_that_has_gone_ends_its_capture_and_nothing_else():
    reader, writer = os.pipe()
    os.close(reader)
    with captures() as (taken, sender):
        sender.open(7, writer, {1})
        sender.send(1, 0.0, bytes(20))
        taken.pump()
        sender.send(1, 1.0, bytes(20))
        taken.pump()
        assert taken.lost() == {7: 2}
