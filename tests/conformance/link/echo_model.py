"""The reply to an ICMP or ICMPv6 echo request (RFC 792, 1122, 4443), with checksums summed word by word."""

from __future__ import annotations

import struct

from made_packets import ICMP, ICMP6, plain_sum, pseudo_sum
from oracle import packet_bytes as packet


def echo_reply(data: bytes) -> bytes | None:
    """The reply, with an empty virtio header; None where the request is none, is damaged, or is a fragment."""
    data = packet.completed(data) if len(data) >= 10 else data
    src, dst = packet.source(data), packet.destination(data)
    if len(src) != len(dst) or packet.is_group(src) or packet.is_group(dst):
        return None
    head, ipv4 = data[10:], len(src) == 4
    size = (head[0] & 15) * 4 if ipv4 else 40
    length = struct.unpack_from("!H", head, 2)[0] if ipv4 else 40 + struct.unpack_from("!H", head, 4)[0]
    message = head[size:length]
    if size < 20 or length > len(head) or len(message) < 8 or message[0] != (8 if ipv4 else 128):
        return None
    pseudo = b"" if ipv4 else struct.pack("!H", pseudo_sum(src, dst, ICMP6, len(message)))
    if head[9 if ipv4 else 6] != (ICMP if ipv4 else ICMP6) or plain_sum(pseudo + message) != 0xFFFF:
        return None
    turned = bytes((0 if ipv4 else 129, message[1], 0, 0)) + message[4:]
    turned = turned[:2] + struct.pack("!H", ~plain_sum(pseudo + turned) & 0xFFFF) + turned[4:]
    if not ipv4:
        service = struct.unpack_from("!H", head)[0] >> 4 & 0xFF
        return bytes(10) + struct.pack("!IHBB", 6 << 28 | service << 20, len(turned), ICMP6, 64) + dst + src + turned
    identity, fragment = struct.unpack_from("!HH", head, 4)
    if fragment & 0x3FFF or plain_sum(head[:size]) != 0xFFFF:
        return None
    begin = (
        struct.pack("!BBHHHBBH", 0x45, head[1], 20 + len(turned), identity, fragment & 0x4000, 64, ICMP, 0) + dst + src
    )
    return bytes(10) + begin[:10] + struct.pack("!H", ~plain_sum(begin) & 0xFFFF) + begin[12:] + turned
