"""Strict, canonical protobuf for messages that are declared as frozen dataclasses.

`@message("full.name")` makes a class a message; each field is declared with its number: `height: int = uint64(1)`.
Invariant: one message has one encoding (fields in ascending order, proto3 defaults left out, shortest varints), and
`decode` raises WireError, and nothing else, for bytes that are no encoding of the message. A strict decode refuses
unknown fields, fields out of order and defaults that are spelled out; `strict=False` takes these as other
implementations do. In both, a nested message that is never null stands for its default where it is absent.

Rules: the protobuf encoding (proto3), and ADR-027 of the Cosmos SDK (deterministic serialization).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any as Anything
from typing import ClassVar, NamedTuple, Self, TypeVar, cast, dataclass_transform

from nodes.ibc.proto import scalars
from nodes.ibc.proto.scalars import FIXED32, FIXED64, LEN, VARINT, Kind, WireError, enum_kind, read_varint, varint

MOST_BYTES = 16 << 20  # of one message: a block of 4 MiB in base64 and its envelope fit
_MOST_NUMBER = (1 << 29) - 1


@dataclass(frozen=True, slots=True)
class _Declared:
    """A field as its class declares it."""

    number: int
    kind: Kind
    default: Anything
    written: bool = False  # even where the value is the default
    repeated: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.number <= _MOST_NUMBER:
            raise WireError(f"field number {self.number}", f"1 to {_MOST_NUMBER}")


_KEY = "protobuf"


def _one(number: int, kind: Kind, written: bool = False) -> Anything:
    return _field(_Declared(number, kind, kind.default, written))


def _one_or_none(number: int, kind: Kind) -> Anything:
    return _field(_Declared(number, kind, None, written=True))


def _many(number: int, kind: Kind) -> Anything:
    return _field(_Declared(number, kind, (), repeated=True))


def _field(declared: _Declared) -> Anything:
    return dataclasses.field(default=declared.default, metadata={_KEY: declared})


def _nested(of: type[Message]) -> Kind:
    def write(value: Message) -> bytes:
        if type(value) is not of:
            raise WireError(f"{type(value).__name__} where a message is nested", of.__name__)
        return value.encode()

    return Kind(LEN, of(), write, of._read)


def uint32(number: int) -> Anything:
    """A field of 0 to 2^32 - 1."""
    return _one(number, scalars.UINT32)


def uint64(number: int) -> Anything:
    """A field of 0 to 2^64 - 1."""
    return _one(number, scalars.UINT64)


def int32(number: int) -> Anything:
    """A field of a signed number of 32 bits."""
    return _one(number, scalars.INT32)


def int64(number: int) -> Anything:
    """A field of a signed number of 64 bits."""
    return _one(number, scalars.INT64)


def sfixed64(number: int) -> Anything:
    """A field of a signed number in eight bytes."""
    return _one(number, scalars.SFIXED64)


def boolean(number: int) -> Anything:
    """A field of a truth value."""
    return _one(number, scalars.BOOL)


def string(number: int) -> Anything:
    """A field of text."""
    return _one(number, scalars.STRING)


def octets(number: int) -> Anything:
    """A field of bytes."""
    return _one(number, scalars.BYTES)


def enum(number: int, of: type[IntEnum]) -> Anything:
    """A field of one member of an enumeration, which has a member 0."""
    return _one(number, enum_kind(of))


def nested(number: int, of: type[Message]) -> Anything:
    """A field of a message that is never null: always written, even where all of it is default."""
    return _one(number, _nested(of), written=True)


def optional(number: int, of: type[Message]) -> Anything:
    """A field of a message, or None; also one branch of a oneof."""
    return _one_or_none(number, _nested(of))


def optional_octets(number: int) -> Anything:
    """A field of bytes, or None: one branch of a oneof."""
    return _one_or_none(number, scalars.BYTES)


def optional_int64(number: int) -> Anything:
    """A field of a signed number, or None: one branch of a oneof."""
    return _one_or_none(number, scalars.INT64)


def repeated(number: int, of: type[Message] | type[IntEnum] | type[str] | type[bytes] | type[int]) -> Anything:
    """A field of a tuple of messages, members, texts, bytes or int32 numbers (`int`); numbers are packed."""
    plain: dict[type, Kind] = {str: scalars.STRING, bytes: scalars.BYTES, int: scalars.INT32}
    if of in plain:
        return _many(number, plain[of])
    kind = enum_kind(of) if issubclass(of, IntEnum) else _nested(cast("type[Message]", of))
    return _many(number, kind)


def repeated_uint64(number: int) -> Anything:
    """A field of a tuple of numbers of 0 to 2^64 - 1, packed."""
    return _many(number, scalars.UINT64)


class _Plan(NamedTuple):
    """The fields of a class in ascending order, as encoding and decoding need them."""

    name: str
    writers: tuple[tuple[str, bytes, _Declared], ...]  # attribute, tag, declaration
    readers: dict[int, tuple[str, _Declared]]  # by number
    oneof: tuple[str, ...]  # attributes of which at most one is there


class Message:
    """Base of all messages. Equal messages have equal encodings."""

    __slots__ = ()
    NAME: ClassVar[str]  # the full name in protobuf
    _plan: ClassVar[_Plan]

    def encode(self) -> bytes:
        """The canonical encoding. WireError where a value does not fit its field."""
        parts: list[bytes] = []
        for attribute, tag, declared in self._plan.writers:
            value = getattr(self, attribute)
            if declared.written:
                if value is not None:
                    _write(parts, tag, declared.kind, value)
                elif declared.default is not None:
                    raise WireError(f"{self.NAME}.{attribute} is None", "a message")
            elif value != declared.default:
                if declared.repeated:
                    _write_many(parts, tag, declared.kind, value)
                else:
                    _write(parts, tag, declared.kind, value)
        _check_oneof(self._plan, [name for name in self._plan.oneof if getattr(self, name) is not None])
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True) -> Self:
        """The message of an encoding. WireError for all other bytes."""
        if len(data) > MOST_BYTES:
            raise WireError(f"{cls.NAME} of {len(data)} bytes", f"at most {MOST_BYTES}")
        return cls._read(bytes(data), strict)

    @classmethod
    def _read(cls, data: bytes, strict: bool) -> Self:
        found: dict[str, Anything] = {}
        at, end, last = 0, len(data), 0
        readers = cls._plan.readers
        while at < end:
            key, at = read_varint(data, at)
            number, wire = key >> 3, key & 7
            raw, at = _read_raw(data, at, wire)
            if strict and number < last:
                raise WireError(f"field {number} of {cls.NAME} after field {last}", "fields in ascending order")
            last = number
            if number not in readers:
                if strict or not 0 < number <= _MOST_NUMBER:
                    raise WireError(f"field {number} of {cls.NAME}", "only fields that are declared")
                continue
            attribute, declared = readers[number]
            kind = declared.kind
            if not declared.repeated:
                if attribute in found:
                    raise WireError(f"{cls.NAME}.{attribute} twice", "one value")
                if wire != kind.wire:
                    raise _wrong_wire(cls.NAME, attribute, wire, kind.wire)
                value = kind.read(raw, strict)
                if strict and not declared.written and value == declared.default:
                    raise WireError(f"{cls.NAME}.{attribute} spells its default out", "no such field")
                found[attribute] = value
            elif wire == LEN and kind.wire == VARINT:
                if strict and (attribute in found or not raw):
                    raise WireError(f"{cls.NAME}.{attribute} in several parts, or empty", "one packed field")
                found.setdefault(attribute, []).extend(_read_packed(kind, raw, strict))
            elif wire == kind.wire and (wire == LEN or not strict):
                found.setdefault(attribute, []).append(kind.read(raw, strict))
            else:
                raise _wrong_wire(cls.NAME, attribute, wire, LEN)
        for attribute, value in found.items():
            if type(value) is list:
                found[attribute] = tuple(value)
        _check_oneof(cls._plan, [name for name in cls._plan.oneof if name in found])
        return cls(**found)


def _write(parts: list[bytes], tag: bytes, kind: Kind, value: Anything) -> None:
    payload = kind.write(value)
    parts += (tag, varint(len(payload)), payload) if kind.wire == LEN else (tag, payload)


def _write_many(parts: list[bytes], tag: bytes, kind: Kind, values: Iterable[Anything]) -> None:
    if kind.wire == LEN:
        for value in values:
            _write(parts, tag, kind, value)
    else:
        packed = b"".join(map(kind.write, values))
        parts += (tag, varint(len(packed)), packed)


def _read_raw(data: bytes, at: int, wire: int) -> tuple[Anything, int]:
    """The unsigned number or the bytes of a field, and the offset after it."""
    if wire == VARINT:
        return read_varint(data, at)
    if wire == LEN:
        size, at = read_varint(data, at)
    elif wire in _FIXED_BYTES:
        size = _FIXED_BYTES[wire]
    else:
        raise WireError(f"wire type {wire} before byte {at}", "0, 1, 2 or 5")
    if size > len(data) - at:
        raise WireError(f"{len(data) - at} bytes left at byte {at}", f"the {size} bytes that the field announces")
    return data[at : at + size], at + size


_FIXED_BYTES = {FIXED64: 8, FIXED32: 4}


def _read_packed(kind: Kind, raw: bytes, strict: bool) -> Iterable[Anything]:
    at = 0
    while at < len(raw):
        value, at = read_varint(raw, at)
        yield kind.read(value, strict)


def _wrong_wire(name: str, attribute: str, wire: int, expected: int) -> WireError:
    return WireError(f"{name}.{attribute} with wire type {wire}", str(expected))


def _check_oneof(plan: _Plan, present: list[str]) -> None:
    if len(present) > 1:
        raise WireError(f"{plan.name} with {' and '.join(present)}", "one of them")


M = TypeVar("M", bound=Message)
_BY_NAME: dict[str, type[Message]] = {}


@dataclass_transform(frozen_default=True)
def message(name: str, oneof: tuple[str, ...] = ()) -> Callable[[type[M]], type[M]]:
    """Make a class a message: a frozen dataclass with numbered fields. `oneof` names fields that exclude others."""

    def made(bare: type[M]) -> type[M]:
        cls = dataclass(frozen=True, slots=True)(bare)
        fields = sorted(
            ((each.name, cast(_Declared, each.metadata[_KEY])) for each in dataclasses.fields(cast(Anything, cls))),
            key=lambda named: named[1].number,
        )
        writers = tuple((attribute, _tag(declared), declared) for attribute, declared in fields)
        readers = {declared.number: (attribute, declared) for attribute, declared in fields}
        if len(readers) != len(fields):
            raise WireError(f"{name} declares a field number twice", "different ones")
        cls.NAME, cls._plan = name, _Plan(name, writers, readers, oneof)
        _BY_NAME[name] = cls
        return cls

    return made


def _tag(declared: _Declared) -> bytes:
    return varint(declared.number << 3 | (LEN if declared.repeated else declared.kind.wire))


def message_named(name: str) -> type[Message]:
    """The class of a full name. WireError where no module that was imported declares it."""
    if name not in _BY_NAME:
        raise WireError(f"message {name!r}", "one that is known here")
    return _BY_NAME[name]


def all_messages() -> list[type[Message]]:
    """The classes that the modules imported so far declare, by name."""
    return [_BY_NAME[name] for name in sorted(_BY_NAME)]


def delimited(payload: bytes) -> bytes:
    """Bytes with their length before them, as a varint."""
    return varint(len(payload)) + payload
