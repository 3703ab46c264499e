"""Wire formats of the traffic programs: probe datagrams, the greeting of a bulk flow, requests.

Invariant: each message has one encoding, and `decode` refuses everything else with a ValueError that names the field.
All integers are big-endian; times are scenario time in nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from emulator.sdk.wire import Length, Octets, Row, Signed, Unsigned, Zeros

LARGEST_PROBE_BYTES = 65_507
LARGEST_TRANSFER_BYTES = 1 << 31
PROBE_MAGIC, FLOW_MAGIC, REQUEST_MAGIC = b"SkyP", b"SkyB", b"SkyR"


class Way(IntEnum):
    """Which way a probe goes."""

    REQUEST = 0
    ECHO = 1


PROBE = Row(
    magic=Octets(4, equals=PROBE_MAGIC),
    way=Unsigned(1, most=1, names=Way),
    zeros=Zeros(3),
    sequence=Unsigned(8),
    sent_ns=Signed(8).says("scenario time at which the request was sent"),
    received_ns=Signed(8).says("scenario time at which the request arrived"),
    echoed_ns=Signed(8).says("scenario time at which the echo was sent"),
)
GREETING = Row(magic=Octets(4, equals=FLOW_MAGIC), flow=Unsigned(4).says("number of the flow at its sender"))
REQUEST = Row(
    magic=Octets(4, equals=REQUEST_MAGIC),
    request_bytes=Length(4, most=LARGEST_TRANSFER_BYTES, beyond=4).says("bytes of body that follow the head"),
    response_bytes=Unsigned(4, most=LARGEST_TRANSFER_BYTES).says("bytes that are to come back"),
)
PROBE_BYTES = PROBE.size  # smallest probe
_PROBE, _GREETING, _REQUEST = PROBE.struct, GREETING.struct, REQUEST.struct  # as probes are many


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

    def encode(self, size_bytes: int = PROBE_BYTES) -> bytes:
        way = 1 if self.echo else 0  # see Way, which takes longer
        head = _PROBE.pack(PROBE_MAGIC, way, self.sequence, self.sent_ns, self.received_ns, self.echoed_ns)
        return head.ljust(size_bytes, b"\0")

    @classmethod
    def decode(cls, data: bytes) -> Probe:
        if not PROBE_BYTES <= len(data) <= LARGEST_PROBE_BYTES:
            raise ValueError(f"probe: length {len(data)}, expected {PROBE_BYTES} to {LARGEST_PROBE_BYTES}")
        magic, way, sequence, sent_ns, received_ns, echoed_ns = _PROBE.unpack_from(data)
        if magic != PROBE_MAGIC:
            raise ValueError(f"probe: magic {magic!r}, expected {PROBE_MAGIC!r}")
        if way > 1 or data[5:8] != b"\0\0\0":
            raise ValueError(f"probe: kind {way}, expected 0 or 1 and three zeros")
        if data.count(0, PROBE_BYTES) != len(data) - PROBE_BYTES:
            raise ValueError("probe: padding, expected zeros")
        return cls(sequence, sent_ns, received_ns, echoed_ns, way == 1)


@dataclass(frozen=True, slots=True)
class Greeting:
    """First bytes of a bulk flow: its number at the sender; the flow's bytes follow until the connection closes."""

    flow: int

    BYTES = GREETING.size

    def encode(self) -> bytes:
        return _GREETING.pack(FLOW_MAGIC, self.flow)

    @classmethod
    def decode(cls, data: bytes) -> Greeting:
        if len(data) != cls.BYTES:
            raise ValueError(f"greeting: length {len(data)}, expected {cls.BYTES}")
        magic, flow = _GREETING.unpack(data)
        if magic != FLOW_MAGIC:
            raise ValueError(f"greeting: magic {magic!r}, expected {FLOW_MAGIC!r}")
        return cls(flow)


@dataclass(frozen=True, slots=True)
class Request:
    """Head of a request: `request_bytes` of body follow, `response_bytes` are to come back."""

    request_bytes: int
    response_bytes: int

    BYTES = REQUEST.size

    def encode(self) -> bytes:
        return _REQUEST.pack(REQUEST_MAGIC, self.request_bytes, self.response_bytes)

    @classmethod
    def decode(cls, data: bytes) -> Request:
        if len(data) != cls.BYTES:
            raise ValueError(f"request: length {len(data)}, expected {cls.BYTES}")
        magic, request_bytes, response_bytes = _REQUEST.unpack(data)
        if magic != REQUEST_MAGIC:
            raise ValueError(f"request: magic {magic!r}, expected {REQUEST_MAGIC!r}")
        for name, value in (("request_bytes", request_bytes), ("response_bytes", response_bytes)):
            if value > LARGEST_TRANSFER_BYTES:
                raise ValueError(f"request: {name} {value}, expected at most {LARGEST_TRANSFER_BYTES}")
        return cls(request_bytes, response_bytes)
