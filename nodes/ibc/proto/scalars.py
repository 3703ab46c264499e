"""Varints, and the kinds of protobuf fields that hold no message: how values of each are written and read.

Invariant: what is read is what would be written; WireError for everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any as Anything
from typing import NamedTuple

from emulator.model.errors import Unfit

VARINT, FIXED64, LEN, FIXED32 = 0, 1, 2, 5
_U64 = 1 << 64


class WireError(Unfit):
    """Bytes that are not the encoding of a message, or a value that has none."""


def varint(value: int) -> bytes:
    """Shortest varint of an unsigned number below 2^64."""
    if value < 0x80:
        return _SMALL[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = [bytes((value,)) for value in range(0x80)]


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at an offset, and the offset after it. WireError unless it is the shortest and below 2^64."""
    value = shift = 0
    begin = at
    try:
        while (byte := data[at]) >= 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            at += 1
            if shift > 63:
                break
        value |= data[at] << shift
    except IndexError:
        raise WireError(f"varint cut off at byte {begin}", "all of its bytes") from None
    if value >= _U64 or (at > begin and data[at] == 0):
        raise WireError(f"varint {data[begin : at + 1].hex()} at byte {begin}", "the shortest form, below 2^64")
    return value, at + 1


class Kind(NamedTuple):
    """How values of one type are written (payload without tag; length-delimited ones without their length) and read."""

    wire: int
    default: Anything
    write: Callable[[Anything], bytes]
    read: Callable[[Anything, bool], Anything]  # an unsigned number or the bytes, and whether decoding is strict


def _whole(name: str, low: int, high: int) -> Kind:
    """Whole numbers as varints; negative ones take ten bytes, as two's complement in 64 bits."""

    def write(value: int) -> bytes:
        if type(value) is not int or not low <= value <= high:
            raise WireError(f"{name} {value!r}", f"a whole number, {low} to {high}")
        return varint(value % _U64)

    def read(raw: int, _: bool) -> int:
        value = raw - _U64 if low < 0 and raw >> 63 else raw
        if not low <= value <= high:
            raise WireError(f"{name} {value}", f"{low} to {high}")
        return value

    return Kind(VARINT, 0, write, read)


def _fixed(name: str, wire: int, size: int) -> Kind:
    def write(value: int) -> bytes:
        try:
            return value.to_bytes(size, "little", signed=True)
        except (OverflowError, AttributeError, TypeError):
            raise WireError(f"{name} {value!r}", f"a signed whole number of {size} bytes") from None

    return Kind(wire, 0, write, lambda raw, _: int.from_bytes(raw, "little", signed=True))


def _write_flag(value: bool) -> bytes:
    if type(value) is not bool:
        raise WireError(f"bool {value!r}", "True or False")
    return _SMALL[value]


def _read_flag(raw: int, strict: bool) -> bool:
    if strict and raw > 1:
        raise WireError(f"bool {raw}", "0 or 1")
    return raw != 0


def _write_text(value: str) -> bytes:
    try:
        return value.encode()
    except (UnicodeEncodeError, AttributeError):
        raise WireError(f"string {value!r}", "text that UTF-8 can hold") from None


def _read_text(raw: bytes, _: bool) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise WireError(f"string of bytes {raw[:32].hex()}", "UTF-8") from None


def _write_bytes(value: bytes) -> bytes:
    if type(value) is not bytes:
        raise WireError(f"bytes {value!r}", "a value of type bytes")
    return value


UINT32 = _whole("uint32", 0, (1 << 32) - 1)
UINT64 = _whole("uint64", 0, _U64 - 1)
INT32 = _whole("int32", -(1 << 31), (1 << 31) - 1)
INT64 = _whole("int64", -(1 << 63), (1 << 63) - 1)
SFIXED64 = _fixed("sfixed64", FIXED64, 8)
BOOL = Kind(VARINT, False, _write_flag, _read_flag)
STRING = Kind(LEN, "", _write_text, _read_text)
BYTES = Kind(LEN, b"", _write_bytes, lambda raw, _: raw)


def enum_kind(of: type[IntEnum]) -> Kind:
    """The kind of the members of an enumeration, one of which is 0; numbers without a member are refused."""
    members = {int(each): each for each in of}

    def read(raw: int, _: bool = True) -> IntEnum:
        member = members.get(raw)
        if member is None:
            raise WireError(f"{of.__name__} {raw!r}", f"one of {', '.join(map(str, members))}")
        return member

    return Kind(VARINT, of(0), lambda value: varint(read(value)), read)
