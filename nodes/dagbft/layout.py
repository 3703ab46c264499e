"""Layouts: how the fields of a message lie in its bytes, said once, in the types of its fields.

`author: U16` is an int to everything but this module, which reads from the annotation that it takes two bytes. Fields lie
in the order of the class, integers are big-endian and of fixed width, lists begin with their count. Invariant: a value
has one encoding and bytes have one meaning, so what has been decoded encodes to the same bytes, and every list and text
has a limit that is checked before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from operator import attrgetter
from struct import Struct
from typing import Annotated, Any, Protocol, get_type_hints

_COUNT_BYTES = 2
_LENGTH_BYTES = 4


class Kind(Protocol):
    """How one field is written and read. Both raise ValueError ("found; wanted allowed") for what cannot be."""

    def write(self, value: Any) -> bytes: ...
    def read(self, data: bytes, at: int) -> tuple[Any, int]: ...


class Fixed(Kind, Protocol):
    """A kind whose every value has the same size; `code` is its letter for `struct`."""

    code: str
    size: int


class Unsigned:
    """An unsigned integer of 1, 2, 4 or 8 bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.code = {1: "B", 2: "H", 4: "I", 8: "Q"}[size]
        self._limit = 1 << 8 * size

    def write(self, value: int) -> bytes:
        if not 0 <= value < self._limit:
            raise ValueError(f"number {value}; wanted 0 to {self._limit - 1}")
        return value.to_bytes(self.size, "big")

    def read(self, data: bytes, at: int) -> tuple[int, int]:
        end = require(data, at, self.size)
        return int.from_bytes(data[at:end], "big"), end


class Octets:
    """A run of bytes of one length, such as a digest."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.code = f"{size}s"

    def write(self, value: bytes) -> bytes:
        if len(value) != self.size:
            raise ValueError(f"{len(value)} bytes; wanted {self.size}")
        return value

    def read(self, data: bytes, at: int) -> tuple[bytes, int]:
        end = require(data, at, self.size)
        return data[at:end], end


class Row:
    """A tuple of fixed kinds."""

    def __init__(self, *kinds: Fixed) -> None:
        self.code = "".join(kind.code for kind in kinds)
        self.size = sum(kind.size for kind in kinds)
        self._kinds = kinds
        self._struct = Struct(f">{self.code}")

    def write(self, value: tuple[Any, ...]) -> bytes:
        return b"".join([kind.write(part) for kind, part in zip(self._kinds, value, strict=True)])

    def read(self, data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        end = require(data, at, self.size)
        return self._struct.unpack_from(data, at), end


class Text:
    """A run of bytes with its length before it."""

    def __init__(self, most: int) -> None:
        self._most = most

    def write(self, value: bytes) -> bytes:
        if len(value) > self._most:
            raise ValueError(f"{len(value)} bytes; wanted at most {self._most}")
        return len(value).to_bytes(_LENGTH_BYTES, "big") + value

    def read(self, data: bytes, at: int) -> tuple[bytes, int]:
        begin = require(data, at, _LENGTH_BYTES)
        length = int.from_bytes(data[at:begin], "big")
        if length > self._most:
            raise ValueError(f"{length} bytes; wanted at most {self._most}")
        end = require(data, begin, length)
        return data[begin:end], end


class Many:
    """A tuple of values of one kind, with their count before them."""

    def __init__(self, kind: Kind, most: int) -> None:
        self._kind = kind
        self._most = most

    def write(self, value: tuple[Any, ...]) -> bytes:
        if len(value) > self._most:
            raise ValueError(f"{len(value)} entries; wanted at most {self._most}")
        write = self._kind.write
        return b"".join([len(value).to_bytes(_COUNT_BYTES, "big"), *[write(each) for each in value]])

    def read(self, data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        begin = require(data, at, _COUNT_BYTES)
        count = int.from_bytes(data[at:begin], "big")
        if count > self._most:
            raise ValueError(f"{count} entries; wanted at most {self._most}")
        return self._read(data, begin, count)

    def _read(self, data: bytes, at: int, count: int) -> tuple[tuple[Any, ...], int]:
        read, values = self._kind.read, []
        for _ in range(count):
            value, at = read(data, at)
            values.append(value)
        return tuple(values), at


class ManyFixed(Many):
    """The same for a fixed kind, read in one go."""

    def __init__(self, kind: Fixed, most: int) -> None:
        super().__init__(kind, most)
        self._struct = Struct(f">{kind.code}")
        self._alone = not isinstance(kind, Row)

    def _read(self, data: bytes, at: int, count: int) -> tuple[tuple[Any, ...], int]:
        end = require(data, at, count * self._struct.size)
        rows = self._struct.iter_unpack(data[at:end])
        return tuple([value for (value,) in rows] if self._alone else rows), end


class Nested:
    """A value of another class with a layout."""

    def __init__(self, owner: Callable[[], type[Any]]) -> None:
        self._owner = owner  # a function, as the class may not exist yet

    def write(self, value: Any) -> bytes:
        return layout_of(self._owner()).write(value)

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        return layout_of(self._owner()).read(data, at)


@dataclass(frozen=True, slots=True)
class Layout:
    """The kinds of all fields of a dataclass, in order."""

    owner: type[Any]
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    _values: Callable[[Any], Any]

    def write(self, value: Any) -> bytes:
        """The fields of `value` as bytes; ValueError names the field that cannot be written."""
        return self.write_first(value, len(self.kinds))

    def write_first(self, value: Any, count: int) -> bytes:
        """The first `count` fields as bytes."""
        values = self._values(value) if len(self.names) > 1 else (self._values(value),)
        parts = []
        for number in range(count):
            try:
                parts.append(self.kinds[number].write(values[number]))
            except ValueError as error:
                raise ValueError(f"{self.owner.__name__}.{self.names[number]}: {error}") from None
        return b"".join(parts)

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        """A value from the bytes that begin at `at`, and where they end."""
        values = []
        for kind in self.kinds:
            try:
                value, at = kind.read(data, at)
            except ValueError as error:
                raise ValueError(f"{self.owner.__name__}.{self.names[len(values)]}: {error}") from None
            values.append(value)
        return self.owner(*values), at


@cache
def layout_of(owner: type[Any]) -> Layout:
    """The layout that the annotations of a dataclass say."""
    if not is_dataclass(owner):
        raise TypeError(f"{owner} is not a dataclass")
    hints = get_type_hints(owner, include_extras=True)
    names = tuple(field.name for field in fields(owner))
    kinds = tuple(hints[name].__metadata__[0] for name in names)
    return Layout(owner, names, kinds, attrgetter(*names))


def require(data: bytes, at: int, size: int) -> int:
    """Where `size` bytes from `at` end; ValueError where `data` ends before."""
    end = at + size
    if end > len(data):
        raise ValueError(f"{len(data) - at} bytes left; wanted {size}")
    return end


U8 = Annotated[int, Unsigned(1)]
U16 = Annotated[int, Unsigned(2)]
U32 = Annotated[int, Unsigned(4)]
U64 = Annotated[int, Unsigned(8)]
