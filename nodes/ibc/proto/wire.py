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
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import cached_property, lru_cache
from typing import Any as Anything
from typing import ClassVar, NamedTuple, Self, TypeVar, cast, dataclass_transform

from nodes.ibc.proto import scalars
from nodes.ibc.proto.compiled import FIXED_BYTES, MOST_NUMBER, Declared, Field, reader, varints, writer
from nodes.ibc.proto.scalars import LEN, VARINT, Kind, WireError, enum_kind, read_varint, varint

MOST_BYTES = 16 << 20  # of one message: a block of 4 MiB in base64 and its envelope fit
_REMEMBERED, _MOST_REMEMBERED_BYTES = 1 << 10, 1 << 10


_KEY = "protobuf"


def _one(number: int, kind: Kind, written: bool = False) -> Anything:
    return _field(Declared(number, kind, kind.default, written))


def _one_or_none(number: int, kind: Kind) -> Anything:
    return _field(Declared(number, kind, None, written=True))


def _many(number: int, kind: Kind) -> Anything:
    return _field(Declared(number, kind, (), repeated=True))


def _field(declared: Declared) -> Anything:
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


class _Shape(Enum):
    """How many values an occurrence of a field may bring."""

    ONE = "one"
    MANY = "one of many"
    PACKED = "many"
    UNPACKED = "one of many that should be packed"


class _Reader(NamedTuple):
    """What is done with a field that begins with a certain tag."""

    attribute: str
    shape: _Shape
    kind: Kind
    omitted: Anything  # the default that a strict decode must not find, or None


@dataclass(frozen=True)
class _Plan:
    """What encoding and decoding a class need. Its functions are compiled once they are asked for: most never are."""

    cls: type[Message]
    fields: tuple[Field, ...]  # in ascending order
    readers: dict[int, _Reader]  # by tag
    names: dict[int, str]  # attributes by number
    oneof: tuple[str, ...]  # attributes of which at most one is there

    @cached_property
    def write(self) -> Callable[[Anything], bytes]:
        return writer(self.cls.NAME, self.fields, self.oneof)

    @cached_property
    def read(self) -> Callable[[bytes], Anything]:
        return reader(self.cls, self.fields, self.oneof)


class Message:
    """Base of all messages. Equal messages have equal encodings."""

    __slots__ = ()
    NAME: ClassVar[str]  # the full name in protobuf
    _plan: ClassVar[_Plan]

    def encode(self) -> bytes:
        """The canonical encoding. WireError where a value does not fit its field."""
        return self._plan.write(self)

    @classmethod
    def decode(cls, data: bytes, *, strict: bool = True) -> Self:
        """The message of an encoding. WireError for all other bytes."""
        if len(data) > MOST_BYTES:
            raise WireError(f"{cls.NAME} of {len(data)} bytes", f"at most {MOST_BYTES}")
        return cls._read(bytes(data), strict)

    @classmethod
    def recall(cls, data: bytes) -> Self:
        """As a strict decode, of bytes that are met again and again: of short ones the last messages are remembered."""
        if len(data) > _MOST_REMEMBERED_BYTES:
            return cls.decode(data)
        return cast(Self, _remembered(cls, data))  # type: ignore[arg-type]  # mypy takes type[Self] for unhashable

    @classmethod
    def _read(cls, data: bytes, strict: bool) -> Self:
        canonical: Self | None = cls._plan.read(data)
        return cls._read_any(data, strict) if canonical is None else canonical

    @classmethod
    def _read_any(cls, data: bytes, strict: bool) -> Self:
        """As `_read`, field by field, whatever form the bytes have."""
        readers = cls._plan.readers
        found: dict[str, Anything] = {}
        at, end, last = 0, len(data), 0
        while at < end:
            tag, at = read_varint(data, at)
            raw, at = _read_raw(data, at, tag & 7)
            number = tag >> 3
            if strict and number < last:
                raise WireError(f"field {number} of {cls.NAME} after field {last}", "fields in ascending order")
            last = number
            if tag not in readers:
                cls._check_unknown(tag, strict)
                continue
            attribute, shape, kind, omitted = readers[tag]
            if shape is _Shape.ONE:
                if attribute in found:
                    raise WireError(f"{cls.NAME}.{attribute} twice", "one value")
                value = found[attribute] = kind.read(raw, strict)
                if strict and omitted is not None and value == omitted:
                    raise WireError(f"{cls.NAME}.{attribute} spells its default out", "no such field")
            elif shape is _Shape.MANY:
                found.setdefault(attribute, []).append(kind.read(raw, strict))
            elif strict and (shape is _Shape.UNPACKED or attribute in found or not raw):
                raise WireError(f"{cls.NAME}.{attribute} in several parts, or empty", "one packed field")
            else:
                raws = (raw,) if shape is _Shape.UNPACKED else varints(raw)
                found.setdefault(attribute, []).extend([kind.read(each, strict) for each in raws])
        for attribute, value in found.items():
            if type(value) is list:
                found[attribute] = tuple(value)
        if cls._plan.oneof:
            cls.check_oneof(found)
        return cls(**found)

    @classmethod
    def _check_unknown(cls, tag: int, strict: bool) -> None:
        """WireError unless a tag is that of a field that is not declared, and such fields are skipped."""
        number = tag >> 3
        if number in cls._plan.names:
            expected = " or ".join(str(each & 7) for each in cls._plan.readers if each >> 3 == number)
            raise WireError(f"{cls.NAME}.{cls._plan.names[number]} with wire type {tag & 7}", expected)
        if strict or not 0 < number <= MOST_NUMBER:
            raise WireError(f"field {number} of {cls.NAME}", "only fields that are declared")

    @classmethod
    def check_oneof(cls, present: Container[str]) -> None:
        branches = [name for name in cls._plan.oneof if name in present]
        if len(branches) > 1:
            raise WireError(f"{cls.NAME} with {' and '.join(branches)}", "one of them")


@lru_cache(_REMEMBERED)
def _remembered(cls: type[Message], data: bytes) -> Message:
    return cls.decode(data)


def _read_raw(data: bytes, at: int, wire: int) -> tuple[Anything, int]:
    """The unsigned number or the bytes of a field, and the offset after it."""
    if wire == VARINT:
        return read_varint(data, at)
    if wire == LEN:
        size, at = read_varint(data, at)
    elif wire in FIXED_BYTES:
        size = FIXED_BYTES[wire]
    else:
        raise WireError(f"wire type {wire} before byte {at}", "0, 1, 2 or 5")
    if size > len(data) - at:
        raise WireError(f"{len(data) - at} bytes left at byte {at}", f"the {size} bytes that the field announces")
    return data[at : at + size], at + size


M = TypeVar("M", bound=Message)
_BY_NAME: dict[str, type[Message]] = {}


@dataclass_transform(frozen_default=True)
def message(name: str, oneof: tuple[str, ...] = ()) -> Callable[[type[M]], type[M]]:
    """Make a class a message: a frozen dataclass with numbered fields. `oneof` names fields that exclude others."""

    def made(bare: type[M]) -> type[M]:
        cls = dataclass(frozen=True, slots=True)(bare)
        declared = [
            (each.name, cast(Declared, each.metadata[_KEY])) for each in dataclasses.fields(cast(Anything, cls))
        ]
        fields = sorted((Field(attribute, varint(_tag(each)), each) for attribute, each in declared), key=_number)
        names = {field.declared.number: field.attribute for field in fields}
        if len(names) != len(fields):
            raise WireError(f"{name} declares a field number twice", "different ones")
        readers = {tag: each for field in fields for tag, each in _readers(field.attribute, field.declared)}
        cls.NAME, cls._plan = name, _Plan(cls, tuple(fields), readers, names, oneof)
        _BY_NAME[name] = cls
        return cls

    return made


def _number(field: Field) -> int:
    return field.declared.number


def _tag(declared: Declared) -> int:
    return declared.number << 3 | (LEN if declared.repeated else declared.kind.wire)


def _readers(attribute: str, declared: Declared) -> Iterator[tuple[int, _Reader]]:
    """Tags with which a field may begin, and what is done then."""
    kind = declared.kind
    if not declared.repeated:
        yield _tag(declared), _Reader(attribute, _Shape.ONE, kind, None if declared.written else declared.default)
    elif kind.wire == LEN:
        yield _tag(declared), _Reader(attribute, _Shape.MANY, kind, None)
    else:
        yield _tag(declared), _Reader(attribute, _Shape.PACKED, kind, None)
        yield declared.number << 3 | kind.wire, _Reader(attribute, _Shape.UNPACKED, kind, None)


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
