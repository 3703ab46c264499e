"""What the engine answers: errors byte for byte as the model, echo replies, and how many of them."""

import struct

import pytest
from echo_model import echo_reply
from engine_parts import engine, inner
from hypothesis import example, given
from hypothesis import strategies as st
from made_packets import (
    EXAMPLES,
    GROUPS4,
    GROUPS6,
    ICMP,
    ICMP6,
    SINGLE4,
    SINGLE6,
    UDP,
    anything,
    bytewise,
    header,
    made,
    make,
    many,
    payloads,
    plain_sum,
    words,
)
from oracle import icmp
from oracle import packet_bytes as packet

NODES = st.sampled_from([bytes((10, 9, 9, 9)), SINGLE6[0]])


@many
@given(anything, NODES, st.booleans(), bytewise)
def test_errors_are_those_of_the_model(data, node, expired, hops):
    assert engine().answer(data, node, expired, hops) == icmp.answer(data, node, expired, hops)


@pytest.mark.parametrize("data", EXAMPLES, ids=range(len(EXAMPLES)))
def test_errors_about_what_is_cut_short_are_those_of_the_model(data):
    for size in range(len(data) + 1):
        for node in (SINGLE4[2], SINGLE6[2]):
            assert engine().answer(data[:size], node, True) == icmp.answer(data[:size], node, True)


@pytest.mark.parametrize(("version", "quote"), [(4, 548), (6, 1232)])
@pytest.mark.parametrize("beyond", [-2, -1, 0])
def test_a_checksum_at_the_end_of_the_quote(version, quote, beyond):
    """Its two bytes are quoted, or one is, or none."""
    data = bytearray(make(version, UDP, bytes(range(256)) * 6, partial=True).data)
    start = packet.virtio.unpack_from(data)[4]
    packet.virtio.pack_into(data, 0, 1, 0, 0, 0, start, quote + beyond - start)
    node = (SINGLE4 if version == 4 else SINGLE6)[2]
    assert engine().answer(bytes(data), node, True) == icmp.answer(bytes(data), node, True)


@given(made(), NODES, st.booleans(), bytewise)
def test_no_error_about_an_error(packet_, node, expired, hops):
    answer = engine().answer(packet_.data, node, expired, hops)
    if answer:
        assert engine().answer(answer, node, expired, hops) is None
        assert engine().echo_reply(answer) is None


@pytest.mark.parametrize(("version", "protocol"), [(4, ICMP), (6, ICMP6)])
def test_which_messages_count_as_errors(version, protocol):
    for kind in range(256):
        data, node = make(version, protocol, kind=kind).data, (SINGLE4 if version == 4 else SINGLE6)[2]
        is_error = kind in (3, 4, 5, 11, 12) if version == 4 else kind < 128
        assert (engine().answer(data, node, True) is None) == is_error


# --- echo -------------------------------------------------------------------------------------------------------------


@st.composite
def requests(draw):
    version = draw(st.sampled_from([4, 6]))
    more = {}
    if version == 4:
        more["options"] = bytes(draw(st.sampled_from([0, 4, 40])))
        more["fragment"] = draw(st.sampled_from([0, 0x4000, 0x8000, 0xC000]))  # may be cut, may not, reserved
    return make(
        version,
        ICMP if version == 4 else ICMP6,
        draw(payloads()),
        partial=draw(st.booleans()),
        src=draw(st.sampled_from(SINGLE4 if version == 4 else SINGLE6)),
        dst=draw(st.sampled_from(SINGLE4 if version == 4 else SINGLE6)),
        kind=8 if version == 4 else 128,
        code=draw(st.sampled_from([0, 0, 9])),
        ttl=draw(bytewise),
        identity=draw(words),
        service=draw(bytewise),
        **more,
    )


@many
@given(requests(), st.binary(max_size=5))
def test_a_ping_is_answered(request_, padding):
    data = request_.data + (b"" if request_.data[0] else padding)  # bytes beyond the IP length are none of it
    reply = engine().echo_reply(data)
    assert reply is not None
    assert reply == echo_reply(data)
    ipv4 = reply[10] >> 4 == 4
    at = 30 if ipv4 else 50
    assert (packet.source(reply), packet.destination(reply)) == (packet.destination(data), packet.source(data))
    assert (packet.hop_limit(reply), reply[at]) == (64, 0 if ipv4 else 129)
    assert reply[at + 4 :] == request_.body[4:]
    assert engine().echo_reply(reply) is None


@many
@given(anything)
def test_replies_are_those_of_the_model(data):
    assert engine().echo_reply(data) == echo_reply(data)


@given(requests(), st.integers(0, 10**6), st.integers(0, 7))
def test_a_damaged_request_gets_no_answer(request_, place, bit):
    data = bytearray(packet.completed(request_.data))
    at = request_.transport + place % len(request_.body)
    data[at] ^= 1 << bit
    assert engine().echo_reply(bytes(data)) is None


def test_a_damaged_header_gets_no_answer():
    data = bytearray(make(4, ICMP, bytes(8)).data)
    data[18] ^= 1
    assert engine().echo_reply(bytes(data)) is None


@pytest.mark.parametrize("version", [4, 6])
def test_a_request_cut_short_gets_no_answer(version):
    data = make(version, ICMP if version == 4 else ICMP6, bytes(20), kind=8 if version == 4 else 128).data
    assert engine().echo_reply(data) is not None
    assert not any(engine().echo_reply(data[:size]) for size in range(len(data)))


def test_a_message_that_is_too_short_gets_no_answer():
    message = struct.pack("!BBHHB", 8, 0, 0, 77, 3)
    message = message[:2] + struct.pack("!H", ~plain_sum(message) & 0xFFFF) + message[4:]
    assert engine().echo_reply(bytes(10) + header(4, ICMP, 7, SINGLE4[0], SINGLE4[1]) + message) is None


def test_a_header_that_is_too_short_gets_no_answer():
    """A header of 16 bytes, of which the checksum is right, and behind it what looks like a request: the address."""
    message = bytes((8, 0)) + struct.pack("!H", ~0x0800 & 0xFFFF) + bytes(20)
    head = bytearray(header(4, ICMP, len(message) - 4, SINGLE4[0], message[:4])[:16])
    head[0], head[10:12] = 0x44, b"\0\0"
    head[10:12] = struct.pack("!H", ~plain_sum(head) & 0xFFFF)
    assert engine().echo_reply(bytes(10) + bytes(head) + message) is None


def test_no_reply_to_fragments_groups_or_anything_else():
    for fragment in (0x2000, 1, 0x1FFF):
        assert engine().echo_reply(make(4, ICMP, fragment=fragment).data) is None
    for group in GROUPS4:
        assert engine().echo_reply(make(4, ICMP, src=group).data) is None
        assert engine().echo_reply(make(4, ICMP, dst=group).data) is None
    for group in GROUPS6:
        assert engine().echo_reply(make(6, ICMP6, kind=128, src=group).data) is None
        assert engine().echo_reply(make(6, ICMP6, kind=128, dst=group).data) is None
    for kind in set(range(256)) - {8}:
        assert engine().echo_reply(make(4, ICMP, kind=kind).data) is None
    for kind in set(range(256)) - {128}:
        assert engine().echo_reply(make(6, ICMP6, kind=kind).data) is None


def test_the_longest_requests():
    longest = make(4, ICMP, bytes(65535 - 28)).data
    assert len(engine().echo_reply(longest)) == len(longest)
    longest = make(6, ICMP6, bytes(65535 - 8), kind=128).data
    assert len(engine().echo_reply(longest)) == len(longest)
    assert engine().echo_reply(longest + bytes(200)) is None  # more than any slot holds


# --- how many ---------------------------------------------------------------------------------------------------------

pauses = st.one_of(st.sampled_from([0.0, 0.0, 0.02, 0.01, 1 / 3, 1.0, -1.0]), st.floats(0, 2), st.floats(0, 1e9))


@given(st.one_of(st.just(0.0), st.floats(-10, 1e6)), st.lists(st.tuples(pauses, st.integers(1, 60)), max_size=30))
@example(0.0, [(0.0, 60), (0.02, 1), (0.02, 2), (0.0, 1), (1.0, 51), (1e9, 51)])
def test_answers_are_rationed_as_in_the_model(t_s, script):
    mine, its = inner().allowance(), icmp.Allowance()
    for pause, count in script:
        t_s += pause
        assert [mine(t_s) for _ in range(count)] == [its.take(t_s) for _ in range(count)]


def test_a_new_bucket_is_full_and_an_empty_one_stays_empty():
    take = inner().allowance()
    assert [take(0.0) for _ in range(60)] == [True] * 50 + [False] * 10
    assert [take(0.02) for _ in range(2)] == [True, False]
