"""Wire formats of the traffic programs: probe datagrams, the greeting of a bulk flow, requests.

Invariant: each message has one encoding, and `decode` refuses everything else with a ValueError that names the field.
All integers are big-endian; times are scenario time in nanoseconds.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

PROBE_BYTES = 40  # smallest probe
LARGEST_PROBE_BYTES = 65_507
LARGEST_TRANSFER_BYTES = 1 << 31


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe: the request goes out with `sent_ns`, the echo comes back with the other two filled in.

    Padded with zeros to the size that the prober asked for; an echo has the size of its request.
    """

    sequence: int
    sent_ns: int
    received_ns: int = 0  # arrival at the other node
    echoed_ns: int = 0  # departure of the echo
    echo: bool = False

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct(">4sB3xQqqq")

    def encode(self, size_bytes: int = PROBE_BYTES) -> bytes:
        kind = 1 if self.echo else 0
        head = self._LAYOUT.pack(b"SkyP", kind, self.sequence, self.sent_ns, self.received_ns, self.echoed_ns)
        return head.ljust(size_bytes, b"\0")

    @classmethod
    def decode(cls, data: bytes) -> Probe:
        if not PROBE_BYTES <= len(data) <= LARGEST_PROBE_BYTES:
            raise ValueError(f"probe: length {len(data)}, wanted {PROBE_BYTES} to {LARGEST_PROBE_BYTES}")
        magic, kind, sequence, sent_ns, received_ns, echoed_ns = cls._LAYOUT.unpack_from(data)
        if magic != b"SkyP":
            raise ValueError(f"probe: magic {magic!r}, wanted b'SkyP'")
        if kind > 1 or data[5:8] != b"\0\0\0":
            raise ValueError(f"probe: kind {kind}, wanted 0 or 1 and three zeros")
        if data.count(0, PROBE_BYTES) != len(data) - PROBE_BYTES:
            raise ValueError("probe: padding, wanted zeros")
        return cls(sequence, sent_ns, received_ns, echoed_ns, kind == 1)


@dataclass(frozen=True, slots=True)
class Greeting:
    """First bytes of a bulk flow: its number at the sender; the flow's bytes follow until the connection closes."""

    flow: int

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct(">4sI")
    BYTES: ClassVar[int] = 8

    def encode(self) -> bytes:
        return self._LAYOUT.pack(b"SkyB", self.flow)

    @classmethod
    def decode(cls, data: bytes) -> Greeting:
        if len(data) != cls.BYTES:
            raise ValueError(f"greeting: length {len(data)}, wanted {cls.BYTES}")
        magic, flow = cls._LAYOUT.unpack(data)
        if magic != b"SkyB":
            raise ValueError(f"greeting: magic {magic!r}, wanted b'SkyB'")
        return cls(flow)


@dataclass(frozen=True, slots=True)
class Request:
    """Head of a request: `request_bytes` of body follow, `response_bytes` are to come back."""

    request_bytes: int
    response_bytes: int

    _LAYOUT: ClassVar[struct.Struct] = struct.Struct(">4sII")
    BYTES: ClassVar[int] = 12

    def encode(self) -> bytes:
        return self._LAYOUT.pack(b"SkyR", self.request_bytes, self.response_bytes)

    @classmethod
    def decode(cls, data: bytes) -> Request:
        if len(data) != cls.BYTES:
            raise ValueError(f"request: length {len(data)}, wanted {cls.BYTES}")
        magic, request_bytes, response_bytes = cls._LAYOUT.unpack(data)
        if magic != b"SkyR":
            raise ValueError(f"request: magic {magic!r}, wanted b'SkyR'")
        for name, value in (("request_bytes", request_bytes), ("response_bytes", response_bytes)):
            if value > LARGEST_TRANSFER_BYTES:
                raise ValueError(f"request: {name} {value}, wanted at most {LARGEST_TRANSFER_BYTES}")
        return cls(request_bytes, response_bytes)
