"""What a transit node answers: ICMP and ICMPv6 time exceeded and destination unreachable (RFC 792, 1812, 4443).

Invariant: no answer to an ICMP error, to a later fragment, or to or from a group address, so that answers never breed.
"""

from __future__ import annotations

from oracle.packet_bytes import (
    ICMP,
    ICMP6,
    VIRTIO,
    completed,
    destination,
    is_group,
    source,
    sum16,
    with_hop_limit,
)

TTL = 64
QUOTE4, QUOTE6 = 548, 1232  # RFC 1812: 576 bytes in all; RFC 4443: no more than the minimum MTU, 1280
ERRORS4 = (3, 4, 5, 11, 12)


def answer(data: bytes, node: bytes, expired: bool, hops: int = 1) -> bytes | None:
    """The ICMP error that `node` (address, 4 or 16 bytes) sends about a packet, or None where none may be sent.

    `expired`: time exceeded in transit; otherwise destination (IPv4: host) unreachable. `hops` is the hop limit with
    which the packet arrived, as the quote shows it.
    """
    asker = source(data)
    if len(node) != len(asker) or is_group(asker) or is_group(destination(data)):
        return None
    ipv4 = len(asker) == 4
    protocol = data[VIRTIO + (9 if ipv4 else 6)]
    kind = VIRTIO + ((data[VIRTIO] & 15) * 4 if ipv4 else 40)
    if len(data) <= kind + 1:
        return None
    if ipv4 and (data[16] & 0x1F or data[17] or (protocol == ICMP and data[kind] in ERRORS4)):
        return None
    if not ipv4 and protocol == ICMP6 and data[kind] < 128:
        return None
    quote = with_hop_limit(completed(data), hops)[VIRTIO:][: QUOTE4 if ipv4 else QUOTE6]
    if ipv4:
        body = bytearray((11 if expired else 3, 0 if expired else 1, 0, 0, 0, 0, 0, 0)) + quote
        body[2:4] = (~sum16(body) & 0xFFFF).to_bytes(2, "big")
        head = bytearray(b"\x45\xc0" + (20 + len(body)).to_bytes(2, "big") + b"\0\0\0\0" + bytes((TTL, ICMP)) + b"\0\0")
        head += node + asker
        head[10:12] = (~sum16(head) & 0xFFFF).to_bytes(2, "big")
        return bytes(VIRTIO) + bytes(head + body)
    body = bytearray((3 if expired else 1, 0, 0, 0, 0, 0, 0, 0)) + quote
    pseudo = node + asker + len(body).to_bytes(4, "big") + bytes((0, 0, 0, ICMP6))
    body[2:4] = (~sum16(pseudo + body) & 0xFFFF).to_bytes(2, "big")
    head = bytearray(b"\x60\0\0\0" + len(body).to_bytes(2, "big") + bytes((ICMP6, TTL)))
    return bytes(VIRTIO) + bytes(head + node + asker + body)


class Allowance:
    """Token bucket for the answers of one node: bursts of traceroute pass, a flood of unreachables does not."""

    __slots__ = ("at_s", "tokens")

    BURST = 50.0
    PER_SECOND = 50.0

    def __init__(self) -> None:
        self.tokens = self.BURST
        self.at_s = 0.0

    def take(self, now: float) -> bool:
        if now > self.at_s:
            self.tokens = min(self.BURST, self.tokens + (now - self.at_s) * self.PER_SECOND)
            self.at_s = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True
