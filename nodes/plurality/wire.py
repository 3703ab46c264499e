"""Wire formats of plurality consensus: a query from one agent to another, and the reply with an opinion.

Invariant: each message has one encoding and one length, and `decode` refuses everything else with a ValueError that
names the field. Integers are big-endian and unsigned.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from emulator.sdk.wire import U32, Fixed, Octets, Row, Unsigned, Zeros, fields_of

MAGIC = b"SkyO"
HEADERS_BYTES = 28  # of IPv4 and UDP, before every message


class Query(NamedTuple):
    """`asker` asks `asked` for its opinion at the start of `round`; `number` tells the asker's queries apart."""

    round: U32
    number: Annotated[U32, "of the query at its asker"]
    asker: Annotated[U32, "number of the agent that asks"]
    asked: Annotated[U32, "number of the agent that is asked"]

    def encode(self) -> bytes:
        return _QUERY.pack(MAGIC, 1, *self)


class Reply(NamedTuple):
    """The answer: the fields of its query, and the opinion."""

    round: U32
    number: Annotated[U32, "of the query at its asker"]
    asker: Annotated[U32, "number of the agent that asks"]
    asked: Annotated[U32, "number of the agent that is asked"]
    opinion: Annotated[U32, "of the agent that is asked"]

    def encode(self) -> bytes:
        return _REPLY.pack(MAGIC, 2, *self)


def _row(kind: int, owner: type[Any]) -> Row:
    fields = {name: field for name, field in fields_of(owner).items() if isinstance(field, Fixed)}
    return Row(magic=Octets(4, equals=MAGIC), kind=Unsigned(1, equals=kind), zeros=Zeros(3), **fields)


QUERY, REPLY = _row(1, Query), _row(2, Reply)
_QUERY, _REPLY = QUERY.struct, REPLY.struct  # thousands a second


def decode(data: bytes) -> Query | Reply:
    """The message in a datagram. ValueError where it is none."""
    if len(data) not in (_QUERY.size, _REPLY.size):
        raise ValueError(f"message: length {len(data)}, expected {_QUERY.size} (query) or {_REPLY.size} (reply)")
    if data[:4] != MAGIC:
        raise ValueError(f"message: magic {data[:4]!r}, expected {MAGIC!r}")
    kind = 1 if len(data) == _QUERY.size else 2
    if data[4] != kind or data[5:8] != b"\0\0\0":
        raise ValueError(f"message: kind {data[4:8].hex()}, expected {kind:02x}000000 at this length")
    if kind == 1:
        return Query._make(_QUERY.unpack(data)[2:])
    return Reply._make(_REPLY.unpack(data)[2:])
