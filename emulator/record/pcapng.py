"""Writes pcapng, the capture format of Wireshark: sections, named interfaces, packets with comments, key logs.

Source: draft-ietf-opsawg-pcapng (block and option numbers below are its own). Invariant: every call hands whole blocks
to `write`, so a file cut between calls is a valid file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from struct import Struct, pack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LINKTYPE_ETHERNET = 1  # frames of TAP ports
LINKTYPE_RAW = 101  # IPv4 or IPv6 packets of TUN ports, told apart by their first four bits
TLS_KEY_LOG = 0x544C534B  # secrets in the format of SSLKEYLOGFILE

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
NAME_RESOLUTION = 4
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6
DECRYPTION_SECRETS = 10
BYTE_ORDER_MAGIC = 0x1A2B3C4D

OPT_COMMENT = 1
SHB_OS, SHB_USERAPPL = 3, 4
IF_NAME, IF_DESCRIPTION, IF_SPEED, IF_TSRESOL = 2, 3, 8, 9
EPB_FLAGS = 2
NRB_IPV4, NRB_IPV6 = 1, 2
ISB_STARTTIME, ISB_ENDTIME, ISB_IFRECV, ISB_IFDROP, ISB_OSDROP = 2, 3, 4, 5, 7
OUTBOUND = 2  # epb_flags: direction of the packet, seen from the interface

LARGEST_OPTION_BYTES = 0xFFFF
_PACKET = Struct("<IIIIIII")
_AROUND_BYTES = 32  # of a packet's block: head, and the length again
_LENGTH = Struct("<I")
_MASK = 0xFFFFFFFF

Option = tuple[int, bytes]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _text(code: int, text: str) -> list[Option]:
    """A text option, none for an empty text; cut at a whole character where the format allows no more."""
    data = text.encode("utf-8", "replace")
    if len(data) > LARGEST_OPTION_BYTES:
        data = data[:LARGEST_OPTION_BYTES].decode("utf-8", "ignore").encode()
    return [(code, data)] if data else []


def _options(options: Iterable[Option]) -> bytes:
    written = b"".join(pack("<HH", code, len(value)) + _padded(value) for code, value in options)
    return written + b"\0\0\0\0" if written else b""


_OUTWARD: Option = (EPB_FLAGS, pack("<I", OUTBOUND))
_TAILS = [bytes(-size & 3) + _options([_OUTWARD]) for size in range(4)]  # behind a packet, by its length modulo 4


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return pack("<II", kind, length) + body + pack("<I", length)


def _stamp(at_ns: int) -> bytes:
    return pack("<II", at_ns >> 32 & _MASK, at_ns & _MASK)


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface of a capture: for us a link end. `speed_bps` of 0 leaves the speed out."""

    name: str  # "gs-tokyo:up"
    description: str = ""  # "gs-tokyo -> sat-0312"
    linktype: int = LINKTYPE_RAW
    snaplen: int = 0  # bytes kept of each packet; 0: all
    speed_bps: int = 0


class PcapngWriter:
    """One section. `write` takes bytes; times are nanoseconds since 1970-01-01 UTC (all interfaces say so)."""

    def __init__(
        self, write: Callable[[bytes], object], comment: str = "", application: str = "", os: str = ""
    ) -> None:
        self._write = write
        self.interfaces: list[Interface] = []
        options = [*_text(OPT_COMMENT, comment), *_text(SHB_OS, os), *_text(SHB_USERAPPL, application)]
        write(_block(SECTION_HEADER, pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, -1) + _options(options)))

    def interface(self, interface: Interface) -> int:
        """Describe an interface and return its number in this section."""
        options = [*_text(IF_NAME, interface.name), *_text(IF_DESCRIPTION, interface.description)]
        if interface.speed_bps:
            options.append((IF_SPEED, pack("<Q", interface.speed_bps)))
        options.append((IF_TSRESOL, b"\x09"))
        body = pack("<HHI", interface.linktype, 0, interface.snaplen) + _options(options)
        self._write(_block(INTERFACE_DESCRIPTION, body))
        self.interfaces.append(interface)
        return len(self.interfaces) - 1

    def packet(self, interface: int, at_ns: int, data: bytes, length: int | None = None, comment: str = "") -> None:
        """A packet sent on an interface. `length` is what it had on the wire, where `data` is only its beginning."""
        if not 0 <= interface < len(self.interfaces):
            raise IndexError(f"interface {interface} is not described yet")
        size = len(data)
        tail = _TAILS[size & 3]
        if comment:
            tail = bytes(-size & 3) + _options([*_text(OPT_COMMENT, comment), _OUTWARD])
        whole = _AROUND_BYTES + size + len(tail)
        head = _PACKET.pack(
            ENHANCED_PACKET, whole, interface, at_ns >> 32 & _MASK, at_ns & _MASK, size, max(size, length or 0)
        )  # fmt: skip
        self._write(b"".join((head, data, tail, _LENGTH.pack(whole))))

    def packets(self, interface: int, at_ns: NDArray[np.int64], rows: NDArray[np.uint8], length: int) -> None:
        """Many packets of one size, a row of `rows` each, as `packet` would write them one by one."""
        import numpy as np

        count, size = rows.shape
        tail = _TAILS[size & 3]
        whole = _AROUND_BYTES + size + len(tail)
        heads = np.empty((count, 7), "<u4")
        heads[:] = (ENHANCED_PACKET, whole, interface, 0, 0, size, max(size, length))
        heads[:, 3], heads[:, 4] = at_ns >> 32 & _MASK, at_ns & _MASK
        blocks = np.empty((count, whole), np.uint8)
        blocks[:, : _PACKET.size] = heads.view(np.uint8)
        blocks[:, _PACKET.size : _PACKET.size + size] = rows
        blocks[:, _PACKET.size + size :] = np.frombuffer(tail + _LENGTH.pack(whole), np.uint8)
        self._write(blocks.tobytes())

    def names(self, names: Mapping[bytes, str]) -> None:
        """What addresses (4 or 16 bytes) are called; Wireshark shows it where name resolution is on."""
        records = [
            (NRB_IPV4 if len(address) == 4 else NRB_IPV6, address + name.encode()[:200] + b"\0")
            for address, name in names.items()
        ]
        for first in range(0, len(records), 1000):
            self._write(_block(NAME_RESOLUTION, _options(records[first : first + 1000])))

    def statistics(
        self, interface: int, start_ns: int, end_ns: int, received: int, dropped: int, not_captured: int | None = None
    ) -> None:
        """What an interface carried over the whole capture: packets `received`, those of them the link `dropped`,
        and those that the capture itself could not keep up with (None: not known for this interface alone)."""
        options = [
            (ISB_STARTTIME, _stamp(start_ns)),
            (ISB_ENDTIME, _stamp(end_ns)),
            (ISB_IFRECV, pack("<Q", received)),
            (ISB_IFDROP, pack("<Q", dropped)),
        ]
        if not_captured is not None:
            options.append((ISB_OSDROP, pack("<Q", not_captured)))
        self._write(_block(INTERFACE_STATISTICS, pack("<I", interface) + _stamp(end_ns) + _options(options)))

    def secrets(self, data: bytes, kind: int = TLS_KEY_LOG) -> None:
        """Keys with which Wireshark decrypts what follows; must stand before the packets that need them."""
        self._write(_block(DECRYPTION_SECRETS, pack("<II", kind, len(data)) + _padded(data)))
