"""Reads our own captures: the pcapng blocks that `pcapng.py` writes, and IP headers in them.

Invariant: a file that is cut or damaged gives the packets before the damage and no error; blocks of other kinds, or by
other writers, are stepped over.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import Struct, error, unpack_from
from typing import NamedTuple

from emulator.record import pcapng

_HEAD = Struct("<II")
_PACKET = Struct("<IIIII")
_TCP, _UDP = 6, 17
_PROTOCOLS = {1: "icmp", _TCP: "tcp", _UDP: "udp", 58: "icmp"}
_EXTENSIONS = {0, 43, 60}  # IPv6 headers that another one follows


class Captured(NamedTuple):
    """A packet as it left a link end, or as the link dropped it."""

    at_ns: int  # since 1970-01-01 UTC
    interface: str  # name of the link end
    description: str
    data: bytes  # IP packet; of a frame what is inside
    comment: str


class Headers(NamedTuple):
    """Who sends an IP packet to whom."""

    source: str
    destination: str
    kind: str  # "udp 7000", "tcp 5201", "icmp"; of two ports the lower, which is the service's
    identity: bytes  # equal at every hop: what hops change is left out


def files(folder: Path) -> list[Path]:
    """The captures in a run folder: one file, or several by link or by age."""
    return [*sorted(folder.glob("capture*.pcapng")), *sorted(folder.glob("capture/**/*.pcapng"))]


def read(path: Path, from_ns: int = 0, until_ns: int = 2**63) -> Iterator[Captured]:
    """Packets of a capture whose stamp lies in the window, in the order of the file."""
    with open(path, "rb") as file:
        if not path.stat().st_size:
            return
        with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            yield from _packets(data, from_ns, until_ns)


def _packets(data: mmap, from_ns: int, until_ns: int) -> Iterator[Captured]:
    interfaces: list[tuple[str, str, bool]] = []
    at = 0
    while at + 12 <= len(data):
        kind, length = _HEAD.unpack_from(data, at)
        if length < 12 or length % 4 or at + length > len(data):
            return
        body_at = at + 8
        at += length
        if kind == pcapng.ENHANCED_PACKET:
            if length < 12 + _PACKET.size:
                return
            number, high, low, captured, _ = _PACKET.unpack_from(data, body_at)
            if not from_ns <= high << 32 | low < until_ns or number >= len(interfaces):
                continue
        body = data[body_at : at - 4]
        try:
            if kind == pcapng.SECTION_HEADER:
                interfaces = []
            elif kind == pcapng.INTERFACE_DESCRIPTION:
                options = _options(body, 8)
                ethernet = unpack_from("<H", body)[0] == pcapng.LINKTYPE_ETHERNET
                interfaces.append((_text(options, pcapng.IF_NAME), _text(options, pcapng.IF_DESCRIPTION), ethernet))
            elif kind == pcapng.ENHANCED_PACKET:
                name, description, ethernet = interfaces[number]
                content = body[20 : 20 + captured]
                comment = _text(_options(body, 20 + captured + -captured % 4), pcapng.OPT_COMMENT)
                yield Captured(high << 32 | low, name, description, content[14:] if ethernet else content, comment)
        except error:
            return


def headers(packet: bytes) -> Headers | None:
    """The headers of an IP packet; None where it is none, or too much of it is cut away."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        start, protocol = 4 * (packet[0] & 15), packet[9]
        source, destination = packet[12:16], packet[16:20]
        identity = packet[:8] + packet[9:10] + packet[12:]
        first = not unpack_from(">H", packet, 6)[0] & 0x1FFF  # later fragments have no ports
    elif len(packet) >= 40 and packet[0] >> 4 == 6:
        start, protocol, first = 40, packet[6], True
        source, destination = packet[8:24], packet[24:40]
        identity = packet[:7] + packet[8:]
        while protocol in _EXTENSIONS and start + 2 <= len(packet):
            protocol, start = packet[start], start + 8 * (packet[start + 1] + 1)
    else:
        return None
    kind = _PROTOCOLS.get(protocol, f"protocol {protocol}")
    if protocol in (_TCP, _UDP) and first and start + 4 <= len(packet):
        kind += f" {min(unpack_from('>HH', packet, start))}"
    return Headers(str(ip_address(source)), str(ip_address(destination)), kind, identity)


def _options(body: bytes, at: int) -> dict[int, bytes]:
    """Options by code, the first of each."""
    found: dict[int, bytes] = {}
    while at + 4 <= len(body):
        code, length = unpack_from("<HH", body, at)
        if not code:
            break
        found.setdefault(code, body[at + 4 : at + 4 + length])
        at += 4 + length + -length % 4
    return found


def _text(options: dict[int, bytes], code: int) -> str:
    return options.get(code, b"").decode("utf-8", "replace")
