"""What neighbours say to each other: digests, then what differs, advertisements, acknowledgements.

Invariant: `FloodCodec` gives each message one encoding, kind first, and no message is longer than `MOST_BYTES`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nodes.ibc.proto.wire import Message, message, octets, optional_octets, repeated, uint64

__all__ = ["MOST_BYTES", "Acknowledged", "Digests", "Flood", "FloodCodec", "Flooded", "Listing", "Mark", "Said", "Told"]

MOST_BYTES = 65_536  # of a message


@message("skyloom.xroute.v1.Mark")
class Mark(Message):
    """Which version of an entry somebody has."""

    key: bytes = octets(1)
    seq: int = uint64(2)
    digest: bytes = octets(3)  # the first bytes; none for evidence


@message("skyloom.xroute.v1.Digests")
class Digests(Message):
    """A digest of each bucket of the sender's database, after connecting and now and then."""

    buckets: bytes = octets(1)


@message("skyloom.xroute.v1.Listing")
class Listing(Message):
    """All that the sender has in some buckets that differ: the receiver sends what is missing there."""

    buckets: bytes = octets(1)  # their numbers
    marks: tuple[Mark, ...] = repeated(2, Mark)


@message("skyloom.xroute.v1.Flooded", oneof=("edge", "chain", "evidence"))
class Flooded(Message):
    """One entry of a database: an EdgeAd or a ChainAd as its origin has signed it, or an Equivocation."""

    edge: bytes | None = optional_octets(1)
    chain: bytes | None = optional_octets(2)
    evidence: bytes | None = optional_octets(3)


@message("skyloom.xroute.v1.Flood")
class Flood(Message):
    """Entries that the receiver is not known to have. It acknowledges those that it has understood."""

    entries: tuple[Flooded, ...] = repeated(1, Flooded)


@message("skyloom.xroute.v1.Acknowledged")
class Acknowledged(Message):
    """Entries that the sender will not be told of again."""

    marks: tuple[Mark, ...] = repeated(1, Mark)


@message("skyloom.xroute.v1.Told")
class Told(Message):
    """Something for whoever uses the flooding: it is told once, and is no entry of a database."""

    data: bytes = octets(1)


Said = Digests | Listing | Flood | Acknowledged | Told
_KINDS: tuple[type[Said], ...] = (Digests, Listing, Flood, Acknowledged, Told)


class FloodCodec:
    """The codec of the transport (`emulator.sdk.transport.codec.Codec`): the number of the kind, and protobuf."""

    def encode(self, message: Said) -> bytes:
        data = bytes((_KINDS.index(type(message)),)) + message.encode()
        if len(data) > MOST_BYTES:
            raise ValueError(f"{message.NAME} of {len(data)} bytes; expected at most {MOST_BYTES}")
        return data

    def decode(self, data: bytes) -> Said:
        """The message of some bytes. ValueError for others."""
        if not data or data[0] >= len(_KINDS) or len(data) > MOST_BYTES:
            raise ValueError(f"{len(data)} bytes that begin with {data[:1].hex()!r}; expected a kind of message first")
        return _KINDS[data[0]].decode(data[1:])

    def limits(self, accepts: Collection[type[Any]] | None = None) -> Mapping[int, int]:
        return {number: MOST_BYTES for number, kind in enumerate(_KINDS) if accepts is None or kind in accepts}
