"""Packets of IP and UDP written out field by field, and their checksums by a plain sum."""

import socket
import struct

from oracle.packet_bytes import (
    destination,
    source,
)

A4, B4 = socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.2")
A6, B6 = socket.inet_pton(socket.AF_INET6, "fd00::1"), socket.inet_pton(socket.AF_INET6, "fd00::2")
NODE4, NODE6 = socket.inet_aton("10.9.9.9"), socket.inet_pton(socket.AF_INET6, "fd00::99")


def plain_sum(data):
    """RFC 1071, word by word."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def ip(payload, protocol, version=4, ttl=64, src=None, dst=None, identity=7):
    """A packet with an empty virtio header."""
    if version == 4:
        src, dst = src or A4, dst or B4
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), identity, 0x4000, ttl, protocol, 0, src, dst)
        head = head[:10] + struct.pack("!H", ~plain_sum(head) & 0xFFFF) + head[12:]
    else:
        head = struct.pack("!IHBB16s16s", 6 << 28, len(payload), protocol, ttl, src or A6, dst or B6)
    return bytes(10) + head + payload


def udp(version=4, body=b"hello", **more):
    return ip(struct.pack("!HHHH", 1000, 2000, 8 + len(body), 0) + body, 17, version, **more)


def pseudo(data, length):
    """Sum of the pseudo header of a packet."""
    protocol = data[19] if len(source(data)) == 4 else data[16]
    return plain_sum(source(data) + destination(data) + struct.pack("!II", length, protocol))
