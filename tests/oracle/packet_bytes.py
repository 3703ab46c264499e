"""Bytes of a packet, as the engine must read and write them: addresses, hop limit, wire size, merged segments.

Functions take the offset `ip` of the IP header (10 for TUN, 24 for TAP). Nothing here trusts lengths: a packet that is
cut short gives None or itself, never an exception.
"""

from __future__ import annotations

from struct import Struct

from emulator.link.packet import (
    ETHERNET,
    ICMP,
    ICMP6,
    NEEDS_CSUM,
    TCP,
    UDP,
    VIRTIO,
    completed,
    sum16,
    virtio,
)

__all__ = ["ETHERNET", "ICMP", "ICMP6", "NEEDS_CSUM", "TCP", "UDP", "VIRTIO", "completed", "sum16", "virtio"]

GSO_TCP4, GSO_TCP6, GSO_UDP = 1, 4, 5
GSO_ECN = 0x80

_u16 = Struct("!H")
_u32 = Struct("!I")


def destination(data: bytes) -> bytes:
    """Destination address of an IP packet (4 or 16 bytes; empty where there is none)."""
    version = data[VIRTIO] >> 4 if len(data) > VIRTIO else 0
    if version == 4:
        return data[26:30]
    return data[34:50] if version == 6 else b""


def source(data: bytes) -> bytes:
    version = data[VIRTIO] >> 4 if len(data) > VIRTIO else 0
    if version == 4:
        return data[22:26]
    return data[18:34] if version == 6 else b""


def is_group(address: bytes) -> bool:
    """Whether an address is multicast, broadcast, unspecified or link-local: nothing a transit node forwards."""
    if len(address) == 4:
        return address[0] >= 224 or address[0] == 0 or address[:2] == b"\xa9\xfe"
    if len(address) != 16:
        return True
    return address[0] == 0xFF or (address[0] == 0xFE and address[1] & 0xC0 == 0x80) or not any(address)


def hop_limit(data: bytes) -> int:
    """TTL of IPv4, hop limit of IPv6; 0 where the packet is neither."""
    if len(data) < VIRTIO + 20:
        return 0
    version = data[VIRTIO] >> 4
    if version == 4:
        return data[18]
    return data[17] if version == 6 and len(data) >= VIRTIO + 40 else 0


def with_hop_limit(data: bytes, hops: int) -> bytes:
    """The packet with its TTL or hop limit set; the IPv4 header checksum follows incrementally (RFC 1624)."""
    if hop_limit(data) == hops:
        return data
    if data[VIRTIO] >> 4 != 4:
        return data[:17] + bytes((hops,)) + data[18:]
    # ~check + ~old + new, where the words differ in their high byte only
    total = (~_u16.unpack_from(data, 20)[0] & 0xFFFF) + 0xFFFF - (data[18] << 8) + (hops << 8)
    check = ~(total % 65535 or 65535) & 0xFFFF
    return data[:18] + bytes((hops, data[19], check >> 8, check & 255)) + data[22:]


def wire_size(data: bytes, ip: int = VIRTIO) -> int:
    """Bytes on the wire: of merged segments the headers count once for each segment."""
    size = len(data) - VIRTIO
    segment, headers = merged(data, ip)
    if segment and headers < size:
        size += (-(-(size - headers) // segment) - 1) * headers
    return size


def merged(data: bytes, ip: int = VIRTIO) -> tuple[int, int]:
    """Payload bytes of each segment of a merged packet, and header bytes before it; (0, 0) for a single packet.

    The hdr_len of the virtio header is only a hint (Linux gives the linear part of its buffer), so the transport
    header tells.
    """
    if len(data) < ip + 40 or not data[1]:
        return 0, 0
    flags, gso, _, segment, start, _ = virtio.unpack_from(data)
    if not flags & NEEDS_CSUM:
        start = ip - VIRTIO + ((data[ip] & 15) * 4 if data[ip] >> 4 == 4 else 40)
    at = VIRTIO + start
    if gso & ~GSO_ECN == GSO_UDP:
        return segment, start + 8
    if at + 13 > len(data):
        return 0, 0
    return segment, start + (data[at + 12] >> 4) * 4


def pieces(data: bytes, ip: int = VIRTIO) -> list[bytes]:
    """A merged packet as the single packets that it stands for, as the kernel's segmentation would cut it."""
    segment, header_bytes = merged(data, ip)
    flags, gso, _, _, start, offset = virtio.unpack_from(data)
    body = VIRTIO + header_bytes
    if not segment or not flags & NEEDS_CSUM or len(data) <= body or body < VIRTIO + start + 8:
        return [data]
    head, transport = bytearray(data[:body]), VIRTIO + start
    virtio.pack_into(head, 0, NEEDS_CSUM, 0, 0, 0, start, offset)
    udp = gso & ~GSO_ECN == GSO_UDP
    ipv4 = data[ip] >> 4 == 4
    # The partial checksum is the sum of the pseudo header, whose length changes from the whole to the piece.
    pseudo = _u16.unpack_from(head, transport + offset)[0] + 65535 - (len(data) - transport) % 65535
    sequence = _u32.unpack_from(head, transport + 4)[0]
    identity = _u16.unpack_from(head, ip + 4)[0]
    tcp_flags = head[transport + 13] if not udp else 0
    out = []
    for number, at in enumerate(range(body, len(data), segment)):
        payload = data[at : at + segment]
        whole = len(head) - transport + len(payload)
        if ipv4:
            _u16.pack_into(head, ip + 2, len(head) - ip + len(payload))
            _u16.pack_into(head, ip + 4, (identity + number) & 0xFFFF)
            head[ip + 10 : ip + 12] = b"\0\0"
            _u16.pack_into(head, ip + 10, ~sum16(head[ip : ip + (head[ip] & 15) * 4]) & 0xFFFF)
        else:
            _u16.pack_into(head, ip + 4, len(head) - ip - 40 + len(payload))
        if udp:
            _u16.pack_into(head, transport + 4, whole)
        else:
            _u32.pack_into(head, transport + 4, (sequence + at - body) & 0xFFFFFFFF)
            last = at + segment >= len(data)
            head[transport + 13] = tcp_flags & (0xFF if last else 0xF6) & (0x7F if number else 0xFF)  # FIN, PSH; CWR
        _u16.pack_into(head, transport + offset, (pseudo + whole) % 65535)
        out.append(bytes(head) + payload)
    return out
