"""The engine's packet functions against their models in Python, over well-made packets and over any bytes."""

import struct

import pytest
from engine_parts import LARGE_BYTES, engine, inner
from hypothesis import example, given
from hypothesis import strategies as st
from made_packets import (
    EXAMPLES,
    GROUPS4,
    GROUPS6,
    SINGLE4,
    SINGLE6,
    TCP,
    UDP,
    anything,
    bytewise,
    made,
    make,
    many,
    offsets,
    plain_sum,
    pseudo_sum,
)
from oracle import packet_bytes as model
from oracle.effects import Impairments

from emulator.model.network import Effects

shares = st.one_of(st.floats(0, 1, exclude_max=True), st.sampled_from([0.0, 0.5, 1 - 2**-53]))
every_length = pytest.mark.parametrize("data", EXAMPLES, ids=range(len(EXAMPLES)))
merged_packets = made(((TCP, True), (UDP, True))).filter(lambda packet: packet.merged)


def model_with_hop_limit(data, hops):
    return data if len(data) < 22 else model.with_hop_limit(data, hops)  # the model grows what is shorter


def model_completed(data):
    return data if len(data) < 10 else model.completed(data)  # or it raises


def can_be_cut(data, ip):
    """What the engine asks of a merged packet beyond the model: an IP packet, its headers whole and in order."""
    segment, headers = model.merged(data, ip)
    if not segment or not data[0] & 1 or data[ip] >> 4 not in (4, 6):
        return False
    _, gso, _, _, start, offset = model.virtio.unpack_from(data)
    udp = gso & 0x7F == model.GSO_UDP
    ipv4 = data[ip] >> 4 == 4
    header = (data[ip] & 15) * 4 if ipv4 else 40
    seen = 10 + headers + segment + 1 >= ip + 40  # two segments are long enough for `merged`
    in_order = header >= 20 and 10 + start >= ip + header and headers >= start + (8 if udp else 20)
    fits = len(data) - ip - (0 if ipv4 else 40) <= 65535
    return seen and in_order and fits and offset == (6 if udp else 16) and len(data) > 10 + headers


def model_pieces(data, ip):
    return model.pieces(data, ip) if can_be_cut(data, ip) else []


class Fixed:
    """A random stream that gives one number."""

    def __init__(self, number):
        self.random = lambda: number


def model_flipped(data, ip, where):
    chain = Impairments(Effects(corrupt=1.0), 1, "a:b", ip)
    chain._streams["corrupt"] = Fixed(where)
    return chain._flipped(data), bool(chain.corrupted)


def check(data, ip, hops, where):
    """Every function gives what its model gives."""
    assert engine().wire_size(data, ip) == max(0, model.wire_size(data, ip))
    assert inner().merged(data, ip) == model.merged(data, ip)
    assert engine().with_hop_limit(data, hops) == model_with_hop_limit(data, hops)
    assert inner().hop_limit(data) == model.hop_limit(data)
    assert engine().completed(data) == model_completed(data)
    assert inner().flipped(data, ip, where) == model_flipped(data, ip, where)
    assert inner().sum16(data) == model.sum16(data) == plain_sum(data)
    for mine, its in ((inner().source, model.source), (inner().destination, model.destination)):
        whole = its(data) if len(its(data)) in (4, 16) and data[10] >> 4 == (4 if len(its(data)) == 4 else 6) else b""
        assert mine(data) == (whole, {0: 0, 4: 4, 16: 6}[len(whole)])
    assert inner().version(data, ip) == (data[ip] >> 4 if len(data) > ip and data[ip] >> 4 in (4, 6) else 0)
    parts = model_pieces(data, ip)
    assert inner().segments(data, ip) == max(1, len(parts))
    if len(parts) < 100:
        assert engine().pieces(data, ip) == parts


@many
@given(anything, offsets, bytewise, shares)
def test_functions_do_as_their_models(data, ip, hops, where):
    check(data, ip, hops, where)


@every_length
def test_functions_do_as_their_models_with_what_is_cut_short(data):
    for size in range(len(data) + 1):
        for ip in (10, 24):
            check(data[:size], ip, 63, 0.7)


@given(st.binary(max_size=100), st.integers(0, 2**32 - 1))
@example(b"", 0)
@example(b"\xff\xff", 0)
@example(b"\0\0", 65535)
def test_sums_go_on_from_others(data, start):
    assert inner().sum16(data, start) == model.sum16(data, start)


@given(st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)))
def test_groups_are_those_of_the_model(address):
    assert inner().is_group(address) == model.is_group(address)


def test_groups_by_name():
    assert all(inner().is_group(address) for address in (*GROUPS4, *GROUPS6, b""))
    near = (bytes((169, 253, 1, 1)), bytes((223, 1, 1, 1)), bytes((0xFE, 0xC0, *bytes(14))), bytes((*bytes(15), 1)))
    assert not any(inner().is_group(address) for address in SINGLE4 + SINGLE6 + near)


@given(made(), bytewise)
def test_the_header_checksum_follows_the_hop_limit(packet, hops):
    changed = engine().with_hop_limit(packet.data, hops)
    if packet.ip == 10 and packet.data[10] >> 4 == 4:
        assert plain_sum(changed[10 : packet.transport]) == 0xFFFF


def test_a_header_checksum_may_become_zero():
    identity = struct.unpack_from("!H", make(4, ttl=63, identity=0).data, 20)[0]
    before, after = (make(4, ttl=ttl, identity=identity).data for ttl in (64, 63))
    assert after[20:22] == b"\0\0"
    assert engine().with_hop_limit(before, 63) == after


def test_a_completed_checksum_of_zero_is_written_as_its_complement():
    payload = make(4, UDP, bytes(2)).data[36:38]  # with its own checksum as payload the sum is complete
    whole = engine().completed(make(4, UDP, payload, partial=True).data)
    assert whole[36:38] == b"\xff\xff"
    assert has_valid_transport(whole, 10, 30)


@given(made(((TCP, False), (UDP, False))))
def test_a_completed_checksum_is_right_and_stays(packet):
    whole = engine().completed(packet.data)
    assert has_valid_transport(whole, packet.ip, packet.transport)
    assert engine().completed(whole) == whole


def has_valid_transport(data, ip, transport):
    ipv4, body = data[ip] >> 4 == 4, data[transport:]
    at, size, protocol = (ip + 12, 4, data[ip + 9]) if ipv4 else (ip + 8, 16, data[ip + 6])
    start = pseudo_sum(data[at : at + size], data[at + size : at + 2 * size], protocol, len(body))
    return plain_sum(struct.pack("!H", start) + body) == 0xFFFF


# --- cutting ----------------------------------------------------------------------------------------------------------


@many
@given(merged_packets)
def test_well_made_merged_packets_are_cut_as_the_model_cuts_them(packet):
    assert can_be_cut(packet.data, packet.ip)
    assert engine().pieces(packet.data, packet.ip) == model.pieces(packet.data, packet.ip)


@many
@given(merged_packets, st.integers(1, 70))
def test_cuts_in_a_row_segment_to_the_same_packets_as_the_whole(packet, count):
    data, ip = packet.data, packet.ip
    parts = model.pieces(data, ip)
    cuts = [engine().segments(data, ip, first, count) for first in range(0, len(parts), count)]
    assert [piece for cut in cuts for piece in model.pieces(cut, ip)] == parts
    assert sum(engine().wire_size(cut, ip) for cut in cuts) == engine().wire_size(data, ip)
    for number, cut in enumerate(cuts):
        check_cut(packet, cut, min(count, len(parts) - number * count))


def check_cut(packet, cut, count):
    """The virtio header of a cut, and its headers as far as the model's segmentation does not look at them."""
    flags, gso, hint, segment, start, offset = model.virtio.unpack_from(cut)
    _, whole_gso, _, whole_segment, *place = model.virtio.unpack_from(packet.data)
    assert (flags, [start, offset]) == (1, place)
    headers = model.merged(packet.data, packet.ip)[1]
    assert (gso, segment, hint) == ((whole_gso, whole_segment, headers) if count > 1 else (0, 0, 0))
    assert hint <= len(cut) - 10  # TUN refuses it otherwise
    if cut[packet.ip] >> 4 == 4:
        assert plain_sum(cut[packet.ip : packet.ip + (cut[packet.ip] & 15) * 4]) == 0xFFFF
        assert struct.unpack_from("!H", cut, packet.ip + 2)[0] == len(cut) - packet.ip
    else:
        assert struct.unpack_from("!H", cut, packet.ip + 4)[0] == len(cut) - packet.ip - 40
    # as a single packet its partial checksum completes to a right one
    assert has_valid_transport(model.completed(bytes((1, 0)) + cut[2:]), packet.ip, packet.transport)


@given(merged_packets, st.integers(0, 50), st.integers(0, 50), st.integers(1, 9))
def test_cuts_can_be_cut_again(packet, first, count, inside):
    cut = engine().segments(packet.data, packet.ip, first, count)
    parts = model.pieces(packet.data, packet.ip)
    assert bool(cut) == (count > 0 and first < len(parts))
    within = min(count, len(parts) - first)
    if within > 1:
        for at in range(0, within, inside):
            straight = engine().segments(packet.data, packet.ip, first + at, min(inside, within - at))
            assert engine().segments(cut, packet.ip, at, inside) == straight


@pytest.mark.parametrize("version", [4, 6])
def test_flags_stay_where_they_belong(version):
    data = make(version, TCP, bytes(5000), segment=1000, flags=0xFF, ecn=True).data
    at = 30 if version == 4 else 50
    cuts = [engine().segments(data, 10, first, count) for first, count in ((0, 2), (2, 2), (4, 1), (0, 5), (2, 9))]
    assert [cut[at + 13] for cut in cuts] == [0xF6, 0x76, 0x7F, 0xFF, 0x7F]
    gso = 0x81 if version == 4 else 0x84
    assert [cut[1] for cut in cuts] == [gso, gso, 0, gso, gso]


def test_no_cut_is_larger_than_a_slot():
    for version in (4, 6):
        room = 65535 - (40 if version == 4 else 20)
        data = make(version, TCP, bytes(room), segment=1448, ethernet=True).data
        assert len(engine().segments(data, 24, 0, 100)) == len(data) <= LARGE_BYTES
        refuses(data + b"\0", 24)  # no IP packet is so long


def refuses(data, ip=10):
    assert engine().segments(data, ip, 0, 1) == engine().segments(data, ip, 0, 100) == b""
    assert inner().segments(data, ip) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"B0": 0},  # no partial checksum
        {"B1": 0},  # not merged
        {"H4": 0},  # segments of nothing
        {"H6": 0},  # the transport header lies over the IP header
        {"H6": 18},
        {"H6": 200},  # or beyond the end
        {"H6": 65535},
        {"H8": 6},  # the checksum lies elsewhere
        {"H8": 65535},
        {"B10": 0x44},  # the IP header is too short
        {"B10": 0x46},  # or reaches into the transport header
        {"B10": 0x75},  # or is of no version that there is
        {"B42": 0x40},  # the TCP header is too short
        {"B42": 0xF0, "cut": 80},  # or not all there
    ],
    ids=str,
)
def test_what_makes_no_sense_is_not_cut(fields):
    data = bytearray(make(4, TCP, bytes(100), segment=10).data)
    assert inner().segments(bytes(data)) == 10
    fields = dict(fields)
    size = fields.pop("cut", len(data))
    for name, value in fields.items():
        struct.pack_into(f"={name[0]}", data, int(name[1:]), value)
    refuses(bytes(data[:size]))


def test_numbers_beyond_the_end():
    data = make(4, TCP, bytes(5000), segment=1000).data
    assert engine().segments(data, 10, 5, 1) == engine().segments(data, 10, 0, 0) == b""
    assert engine().segments(data, 10, 2**32 - 1, 2**32 - 1) == b""
    assert engine().segments(data, 10, 3, 2**32 - 1) == engine().segments(data, 10, 3, 2)


@pytest.mark.parametrize("ip", [10, 24])
@pytest.mark.parametrize("where", [1.0, -0.1, float("nan"), float("inf")])
def test_a_share_that_is_none_flips_nothing(ip, where):
    for data in EXAMPLES:
        assert inner().flipped(data, ip, where) == (data, False)
