"""Bytes of packets: checksums against a plain sum, hop limits, wire sizes, segmentation, ICMP answers."""

import socket
import struct
from random import Random

import pytest
from oracle.icmp import Allowance, answer
from oracle.packet_bytes import (
    GSO_TCP4,
    GSO_TCP6,
    GSO_UDP,
    NEEDS_CSUM,
    completed,
    destination,
    hop_limit,
    is_group,
    pieces,
    source,
    sum16,
    virtio,
    wire_size,
    with_hop_limit,
)
from written_packets import A4, A6, B4, B6, NODE4, NODE6, ip, plain_sum, pseudo, udp


def tcp(size, mss, version=4, flags=0x19):
    """A merged TCP packet as the kernel hands it over: partial checksum, sequence 1000, options of 12 bytes."""
    body = bytes(range(256)) * (size // 256 + 1)
    segment = struct.pack("!HHIIBBHHH", 1, 2, 1000, 5, 0x80, flags, 512, 0, 0) + bytes(12) + body[:size]
    packet = bytearray(ip(segment, 6, version))
    at = 30 if version == 4 else 50
    struct.pack_into("!H", packet, at + 16, pseudo(packet, len(segment)))
    gso = (GSO_TCP4 if version == 4 else GSO_TCP6) if mss else 0
    virtio.pack_into(packet, 0, NEEDS_CSUM, gso, 0, mss, at - 10, 16)
    return bytes(packet)


def transport_is_valid(data):
    at = 30 if len(source(data)) == 4 else 50
    return plain_sum(struct.pack("!H", pseudo(data, len(data) - at)) + data[at:]) == 0xFFFF


@pytest.mark.parametrize("size", [0, 1, 2, 3, 20, 1499, 1500])
def test_sum16_is_the_ones_complement_sum(size):
    data = Random(size).randbytes(size)
    assert sum16(data) == plain_sum(data)
    assert sum16(b"\xff" * size) == plain_sum(b"\xff" * size)


def test_addresses_and_hop_limits_of_both_families():
    assert (source(udp()), destination(udp()), hop_limit(udp(ttl=9))) == (A4, B4, 9)
    assert (source(udp(6)), destination(udp(6)), hop_limit(udp(6, ttl=9))) == (A6, B6, 9)


@pytest.mark.parametrize("data", [b"", bytes(10), bytes(11), bytes(10) + b"\x45", bytes(10) + b"\x60" + bytes(20)])
def test_what_is_cut_short_is_no_packet_and_no_exception(data):
    assert len(destination(data)) in (0, 4, 16) or is_group(destination(data))
    assert hop_limit(data) == 0
    assert wire_size(data) == len(data) - 10
    assert answer(data, NODE4, True) is None


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("before", "after"), [(64, 63), (64, 53), (1, 255), (255, 0), (64, 64)])
def test_the_header_checksum_follows_the_hop_limit(version, before, after):
    for identity in (0, 7, 0xBEEF, 0xFFFF):
        changed = with_hop_limit(udp(version, ttl=before, identity=identity), after)
        assert changed == udp(version, ttl=after, identity=identity)


def test_group_addresses_are_known():
    for text in ("224.0.0.1", "255.255.255.255", "0.0.0.0", "169.254.1.1"):
        assert is_group(socket.inet_aton(text))
    for text in ("ff02::2", "fe80::1", "::"):
        assert is_group(socket.inet_pton(socket.AF_INET6, text))
    assert not any(is_group(address) for address in (A4, A6, NODE6))
    assert is_group(b"")


@pytest.mark.parametrize("version", [4, 6])
def test_wire_size_counts_the_headers_of_every_segment(version):
    headers = (20 if version == 4 else 40) + 32
    assert wire_size(udp(version)) == len(udp(version)) - 10
    assert wire_size(tcp(5000, 1448, version)) == 5000 + 4 * headers
    assert wire_size(tcp(2896, 1448, version)) == 2896 + 2 * headers
    assert wire_size(tcp(100, 1448, version)) == 100 + headers


def test_wire_size_of_a_frame_counts_its_ethernet_header():
    packet = tcp(5000, 1448)
    header = bytearray(packet[:10])
    virtio.pack_into(header, 0, NEEDS_CSUM, GSO_TCP4, 0, 1448, 34, 16)
    assert wire_size(bytes(header) + bytes(14) + packet[10:], 24) == 5000 + 4 * (14 + 20 + 32)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("size", [2896, 5000, 1449])
def test_segmentation_is_what_the_kernel_would_do(version, size):
    packet = tcp(size, 1448, version)
    at = 30 if version == 4 else 50
    parts = pieces(packet)
    assert len(parts) == -(-size // 1448)
    assert b"".join(part[at + 32 :] for part in parts) == packet[at + 32 :]
    assert [struct.unpack_from("!I", part, at + 4)[0] for part in parts] == [1000 + 1448 * n for n in range(len(parts))]
    assert [part[at + 13] for part in parts] == [0x10] * (len(parts) - 1) + [0x19]  # FIN and PSH on the last alone
    for number, part in enumerate(parts):
        assert transport_is_valid(completed(part))
        assert wire_size(part) == len(part) - 10
        if version == 4:
            assert plain_sum(part[10:30]) == 0xFFFF
            assert struct.unpack_from("!H", part, 12)[0] == len(part) - 10
            assert struct.unpack_from("!H", part, 14)[0] == 7 + number
        else:
            assert struct.unpack_from("!H", part, 14)[0] == len(part) - 50


def test_segmentation_of_merged_datagrams():
    body = bytes(1000)
    packet = bytearray(udp(body=body))
    struct.pack_into("!H", packet, 36, pseudo(packet, 1008))
    virtio.pack_into(packet, 0, NEEDS_CSUM, GSO_UDP, 0, 400, 20, 6)
    parts = pieces(bytes(packet))
    assert [len(part) - 38 for part in parts] == [400, 400, 200]
    assert [struct.unpack_from("!H", part, 34)[0] for part in parts] == [408, 408, 208]
    assert all(transport_is_valid(completed(part)) for part in parts)


def test_a_single_packet_stays_itself():
    assert pieces(udp()) == [udp()]
    assert completed(udp()) == udp()
    assert transport_is_valid(completed(tcp(300, 0)))
    assert not transport_is_valid(tcp(300, 0))


@pytest.mark.parametrize("expired", [True, False])
def test_icmp_answer(expired):
    packet = udp(ttl=1, body=bytes(2000))
    reply = answer(packet, NODE4, expired, 1)
    assert (source(reply), destination(reply), reply[19]) == (NODE4, A4, 1)
    assert plain_sum(reply[10:30]) == plain_sum(reply[30:]) == 0xFFFF
    assert (reply[30], reply[31]) == ((11, 0) if expired else (3, 1))
    assert len(reply) == 10 + 576
    assert reply[38:] == packet[10 : 10 + 548]


@pytest.mark.parametrize("expired", [True, False])
def test_icmp6_answer(expired):
    packet = udp(6, ttl=1, body=bytes(2000))
    reply = answer(packet, NODE6, expired, 1)
    assert (source(reply), destination(reply), reply[16]) == (NODE6, A6, 58)
    assert transport_is_valid(reply)
    assert (reply[50], reply[51]) == ((3, 0) if expired else (1, 0))
    assert len(reply) == 10 + 1280


def test_no_answer_to_errors_fragments_groups_or_the_other_family():
    error = ip(bytes((11, 0, 0, 0)) + bytes(4) + udp()[10:], 1)
    echo = ip(bytes((8, 0, 0, 0)) + bytes(4), 1)
    assert answer(error, NODE4, True) is None
    assert answer(echo, NODE4, True) is not None
    assert answer(ip(bytes((1, 0, 0, 0)) + bytes(40), 58, 6), NODE6, True) is None
    assert answer(ip(bytes((128, 0, 0, 0)) + bytes(4), 58, 6), NODE6, True) is not None
    fragment = bytearray(udp())
    fragment[17] = 9
    assert answer(bytes(fragment), NODE4, True) is None
    assert answer(udp(dst=socket.inet_aton("224.0.0.5")), NODE4, True) is None
    assert answer(udp(src=bytes(4)), NODE4, True) is None
    assert answer(udp(), NODE6, True) is None


def test_answers_are_rationed():
    allowance = Allowance()
    assert sum(allowance.take(0.0) for _ in range(200)) == Allowance.BURST
    assert sum(allowance.take(1.0) for _ in range(200)) == Allowance.PER_SECOND
    assert sum(allowance.take(0.5) for _ in range(200)) == 0
