"""Control channel and outbox: packets whole, buffers bounded, losses counted."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.model.clock import MonotonicClock
from emulator.model.errors import EmulationError
from emulator.runtime.control.channel import RECORDS, Channel, Outbox, records
from emulator.runtime.control.encoding import MESSAGE_BYTES

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@pytest.fixture
def pair():
    one, other = Channel.pair()
    yield one, other
    one.close()
    other.close()


@given(st.dictionaries(st.text(max_size=10), PLAIN, max_size=5))
def test_messages_arrive_as_sent(message):
    one, other = Channel.pair()
    try:
        one.send(message)
        assert other.receive() == (message, [])
    finally:
        one.close()
        other.close()


def test_descriptors_ride_along(pair):
    one, other = pair
    read_end, write_end = os.pipe()
    one.send({"op": "take"}, (write_end,))
    os.close(write_end)
    message, fds = other.receive()
    os.write(fds[0], b"through")
    os.close(fds[0])
    assert (message, os.read(read_end, 100)) == ({"op": "take"}, b"through")
    os.close(read_end)


def test_end_of_connection_is_none(pair):
    one, other = pair
    one.close()
    assert other.receive() == (None, [])


def test_a_message_that_does_not_fit_is_refused(pair):
    with pytest.raises(EmulationError, match="bytes"):
        pair[0].send({"op": "big", "data": b"x" * MESSAGE_BYTES})


def drained(channel):
    """Everything that waits in a channel: records, and other messages."""
    channel.socket.setblocking(False)
    found, others = [], []
    while True:
        try:
            data, _ = channel.receive_bytes()
        except BlockingIOError:
            return found, others
        if not data:
            return found, others
        if data[0] == RECORDS:
            found += records(data)
        else:
            others.append(data)


def outbox_of(channel, limit=100):
    channel.socket.setblocking(False)
    return Outbox(channel, MonotonicClock(1_000_000_000), limit)


def test_outbox_stamps_with_monotonic_time(pair):
    outbox = outbox_of(pair[0])
    outbox.event(2.5, "hello", {"n": 1})
    outbox.sample(3.0, "rtt_s", 0.25, "gs-paris")
    assert outbox.flush()
    assert drained(pair[1])[0] == [[3_500_000_000, "hello", {"n": 1}], [4_000_000_000, "rtt_s", 0.25, "gs-paris"]]


def test_outbox_counts_what_it_cannot_keep(pair):
    outbox = outbox_of(pair[0], limit=3)
    for number in range(5):
        outbox.sample(0.0, "x", number, "")
    assert outbox.dropped == 2
    assert outbox.flush()
    found, others = drained(pair[1])
    assert [record[2] for record in found] == [0.0, 1.0, 2.0]
    assert len(others) == 1
    assert outbox.dropped == 0


def test_outbox_counts_a_record_that_is_too_large(pair):
    outbox = outbox_of(pair[0])
    outbox.event(0.0, "big", {"data": "x" * MESSAGE_BYTES})
    assert outbox.dropped == 1


def test_outbox_keeps_order_over_a_full_socket(pair):
    outbox = outbox_of(pair[0], limit=10_000)
    for number in range(10_000):
        outbox.sample(0.0, "x", number, "k" * 20)
    found = []
    for _ in range(1000):
        done = outbox.flush()
        found += drained(pair[1])[0]
        if done:
            break
    assert [record[2] for record in found] == list(range(10_000))


def test_outbox_forgets_when_nobody_is_there(pair):
    outbox = outbox_of(pair[0])
    pair[1].close()
    outbox.event(0.0, "hello", {})
    assert outbox.drain(1.0)


def test_a_value_that_is_not_plain_is_refused_where_it_is_emitted(pair):
    with pytest.raises(TypeError):
        outbox_of(pair[0]).event(0.0, "odd", {"value": object()})
