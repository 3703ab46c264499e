"""Packets for tests: well-made ones of every kind that the engine meets, and strategies that spoil them."""

import struct
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st

many = settings(max_examples=200)

NEEDS_CSUM, ECN = 1, 0x80
TCP4, TCP6, UDP_SEGMENTS = 1, 4, 5
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
SINGLE4 = (bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), bytes((192, 168, 255, 254)))
SINGLE6 = tuple(bytes((0xFD, *bytes(14), last)) for last in (1, 2, 255))
GROUPS4 = (bytes((224, 0, 0, 5)), b"\xff" * 4, bytes(4), bytes((169, 254, 1, 1)), bytes((0, 1, 2, 3)))
GROUPS6 = (bytes((0xFF, 2, *bytes(13), 1)), bytes((0xFE, 0x80, *bytes(13), 1)), bytes(16))


def plain_sum(data):
    """RFC 1071, word by word."""
    total = 0
    for at in range(0, len(data), 2):
        total += data[at] << 8 | (data[at + 1] if at + 1 < len(data) else 0)
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclass(frozen=True)
class Made:
    """A packet, where its IP and transport headers begin, and whether it can be cut."""

    data: bytes
    ip: int
    transport: int
    merged: bool

    @property
    def body(self):
        """What the transport protocol carries, from its header on."""
        return self.data[self.transport :]


def pseudo_sum(src, dst, protocol, length):
    return plain_sum(src + dst + struct.pack("!II", length, protocol))


def header(version, protocol, length, src, dst, ttl=64, identity=7, fragment=0x4000, options=b"", service=0):
    """An IP header for a body of `length` bytes."""
    if version == 6:
        return struct.pack("!IHBB", 6 << 28 | service << 20 | identity, length, protocol, ttl) + src + dst
    size = 20 + len(options)
    head = struct.pack("!BBHHHBBH", 0x40 | size // 4, service, size + length, identity, fragment, ttl, protocol, 0)
    head += src + dst + options
    return head[:10] + struct.pack("!H", ~plain_sum(head) & 0xFFFF) + head[12:]


def transport_header(protocol, length, sequence=1000, flags=0x18, options=b"", kind=8, code=0):
    """A header for a payload of `length` bytes without its checksum, and where that belongs in it."""
    if protocol == TCP:
        size = 20 + len(options)
        return struct.pack("!HHIIBBHHH", 1, 2, sequence, 5, size // 4 << 4, flags, 512, 0, 0) + options, 16
    if protocol == UDP:
        return struct.pack("!HHHH", 1000, 2000, 8 + length, 0), 6
    return struct.pack("!BBHHH", kind, code, 0, 77, 3), 2


def make(version=4, protocol=UDP, payload=b"hello", segment=0, partial=False, ethernet=False, **more):
    """A packet. `segment`: merged, with so many bytes of payload in each; `partial`: its checksum is not complete."""
    single = SINGLE4 if version == 4 else SINGLE6
    src, dst = more.pop("src", single[0]), more.pop("dst", single[1])
    told = {name: more.pop(name) for name in ("sequence", "flags", "kind", "code") if name in more}
    begin, check = transport_header(protocol, len(payload), options=more.pop("tcp_options", b""), **told)
    ecn = more.pop("ecn", False)
    body = bytearray(begin + payload)
    head = header(version, protocol, len(body), src, dst, **more)
    has_pseudo = protocol != ICMP
    start = pseudo_sum(src, dst, protocol, len(body)) if has_pseudo else 0
    total = start if partial or segment else ~plain_sum(struct.pack("!H", start) + body) & 0xFFFF
    struct.pack_into("!H", body, check, total)
    ip = 24 if ethernet else 10
    frame = (bytes(12) + (b"\x08\x00" if version == 4 else b"\x86\xdd")) if ethernet else b""
    gso = (UDP_SEGMENTS if protocol == UDP else TCP4 if version == 4 else TCP6) | (ECN if ecn else 0)
    at = ip + len(head)
    virtio = bytes(10)
    if partial or segment:
        hint = at - 10 + len(begin) if segment else 0
        virtio = struct.pack("=BBHHHH", NEEDS_CSUM, gso if segment else 0, hint, segment, at - 10, check)
    data = virtio + frame + head + bytes(body)
    enough = min(len(data), at + len(begin) + segment + 1) >= ip + 40
    return Made(data, ip, at, bool(segment and payload) and enough)


words = st.integers(0, 0xFFFF)
bytewise = st.integers(0, 255)


@st.composite
def payloads(draw, most=4000):
    size = draw(st.one_of(st.integers(0, 40), st.integers(0, most)))
    seed = draw(st.binary(min_size=1, max_size=9))
    return (seed * (size // len(seed) + 1))[:size]


@st.composite
def made(draw, kinds=((TCP, True), (UDP, True), (TCP, False), (UDP, False), (ICMP, False), (99, False))):
    """A well-made packet of one of these protocols, merged or not."""
    version = draw(st.sampled_from([4, 6]))
    single, groups = (SINGLE4, GROUPS4) if version == 4 else (SINGLE6, GROUPS6)
    addresses = st.one_of(st.sampled_from(single), st.sampled_from(single), st.sampled_from(single + groups))
    protocol, merged = draw(st.sampled_from(kinds))
    if protocol == ICMP and version == 6:
        protocol = ICMP6
    more = {}
    if version == 4:
        more["fragment"] = draw(st.sampled_from([0, 0, 0x4000, 0x2000, 1]))
        more["options"] = bytes(draw(st.sampled_from([0, 0, 4, 40])))
    return make(
        version,
        protocol,
        draw(payloads()),
        segment=draw(st.one_of(st.integers(1, 60), st.integers(1, 1500))) if merged else 0,
        partial=draw(st.booleans()),
        ethernet=draw(st.sampled_from([False, False, True])),
        src=draw(addresses),
        dst=draw(addresses),
        ttl=draw(bytewise),
        identity=draw(words),
        service=draw(bytewise),
        sequence=draw(st.integers(0, 0xFFFFFFFF)),
        flags=draw(bytewise),
        tcp_options=bytes(draw(st.sampled_from([0, 12, 40]))),
        kind=draw(st.one_of(st.sampled_from([0, 3, 5, 8, 11, 12, 127, 128, 129]), bytewise)),
        code=draw(st.sampled_from([0, 0, 7])),
        ecn=draw(st.booleans()),
        **more,
    )


@st.composite
def virtio_headers(draw):
    """Headers that make some sense at least."""
    flags, gso = draw(st.sampled_from([0, 1, 1, 3])), draw(st.sampled_from([0, 0, 1, 4, 5, 3, 0x80, 0x81, 0x85]))
    near = st.one_of(st.integers(0, 80), words)
    offset = draw(st.one_of(st.sampled_from([2, 6, 16]), near))
    return struct.pack("=BBHHHH", flags, gso, draw(words), draw(near), draw(near), offset)


@st.composite
def spoiled(draw):
    """Any bytes, mostly near a packet: cut short, with other bytes here and there, with another virtio header."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = bytearray(draw(made()).data)
    if draw(st.booleans()):
        data[:10] = draw(virtio_headers())
    for at in draw(st.lists(st.integers(0, 99), max_size=3)):
        if at < len(data):
            data[at] = draw(bytewise)
    if draw(st.booleans()):
        data = data[: draw(st.integers(0, min(len(data), 140)))]
    return bytes(data)


anything = st.one_of(made().map(lambda packet: packet.data), spoiled())
offsets = st.sampled_from([10, 24])

# One of each kind, short enough to be cut at every length.
_KINDS = [(UDP, 0, False), (UDP, 7, True), (TCP, 0, True), (TCP, 7, True), (ICMP, 0, False)]
EXAMPLES = [
    make(version, protocol, bytes(range(30)), segment=segment, partial=partial, ethernet=ethernet).data
    for version in (4, 6)
    for protocol, segment, partial in _KINDS
    for ethernet in (False, True)
] + [make(6, ICMP6, bytes(range(30)), kind=128).data, make(4, ICMP, bytes(30), options=bytes(40)).data]
