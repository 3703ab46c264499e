"""Bytes of a packet in captures: the virtio header, and partial checksums.

A packet is a virtio-net header of 10 bytes, for Ethernet a frame header of 14, then IPv4 or IPv6, as a TUN device with
IFF_VNET_HDR delivers it. Lengths are not trusted: a truncated packet is returned unchanged, without an exception.
"""

from __future__ import annotations

from struct import Struct

VIRTIO = 10
ETHERNET = 14
NEEDS_CSUM = 1  # virtio flag: the checksum of the bytes from csum_start on must still be completed at csum_offset
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58

virtio = Struct("=BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset: host byte order
_u16 = Struct("!H")


def sum16(data: bytes | bytearray | memoryview, start: int = 0) -> int:
    """Ones' complement sum of 16-bit big-endian words (RFC 1071), folded, not inverted.

    2**16 is 1 modulo 65535, so the sum of the words is the whole number modulo 65535: one division in C.
    """
    number = int.from_bytes(data, "big")
    if len(data) % 2:
        number <<= 8
    total = number + start
    return total % 65535 or (65535 if total else 0)


def completed(data: bytes) -> bytes:
    """The packet, with its checksum completed if the virtio header marks it as partial."""
    flags, gso, _, _, start, offset = virtio.unpack_from(data)
    at = VIRTIO + start + offset
    if not flags & NEEDS_CSUM or gso or at + 2 > len(data):
        return data
    check = ~sum16(data[VIRTIO + start :]) & 0xFFFF or 0xFFFF  # the field already holds the pseudo header's sum
    whole = bytearray(data)
    whole[:VIRTIO] = bytes(VIRTIO)
    _u16.pack_into(whole, at, check)
    return bytes(whole)
