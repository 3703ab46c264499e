"""Layouts: how the fields of a message lie in its bytes, said once, in the types of its fields.

`author: U16` is an int to everything but this module, which reads from the annotation that it takes two bytes. Fields
lie in the order of the class, integers are big-endian and of fixed width, lists begin with their count. Invariant: a
value has one encoding and bytes have one meaning, so what has been decoded encodes to the same bytes, and every list
and text has a limit that is checked before anything is made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import groupby, starmap
from operator import attrgetter
from struct import Struct
from typing import Annotated, Any, get_type_hints

_COUNT_BYTES = 2
_LENGTH_BYTES = 4


class Kind:
    """How one field is written (as pieces to be joined) and read.

    Both raise ValueError ("found; wanted allowed") for what cannot be.
    """

    def write(self, value: Any, pieces: list[bytes]) -> None:
        raise NotImplementedError

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        raise NotImplementedError


class Fixed(Kind):
    """A kind whose every value has the same size; `code` is what `struct` calls it."""

    def __init__(self, code: str) -> None:
        self.code = code
        self._struct = Struct(f">{code}")
        self.size = self._struct.size

    def check(self, values: Sequence[Any]) -> None:
        """ValueError where one of the values cannot be written."""
        raise NotImplementedError

    def write(self, value: Any, pieces: list[bytes]) -> None:
        self.check((value,))
        pieces.append(self._struct.pack(value))

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        end = require(data, at, self.size)
        return self._struct.unpack_from(data, at)[0], end


class Unsigned(Fixed):
    """An unsigned integer of 1, 2, 4 or 8 bytes."""

    def __init__(self, size: int) -> None:
        super().__init__({1: "B", 2: "H", 4: "I", 8: "Q"}[size])
        self._most = (1 << 8 * size) - 1

    def check(self, values: Sequence[int]) -> None:
        for value in values:
            if not 0 <= value <= self._most:
                raise ValueError(f"number {value}; wanted 0 to {self._most}")


class Octets(Fixed):
    """A run of bytes of one length, such as a digest."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size}s")

    def check(self, values: Sequence[bytes]) -> None:
        for value in values:
            if len(value) != self.size:
                raise ValueError(f"{len(value)} bytes; wanted {self.size}")


class Row(Fixed):
    """A tuple of fixed kinds."""

    def __init__(self, *kinds: Fixed) -> None:
        super().__init__("".join(kind.code for kind in kinds))
        self._kinds = kinds

    def check(self, values: Sequence[tuple[Any, ...]]) -> None:
        if any(len(row) != len(self._kinds) for row in values):
            raise ValueError(f"row of another length; wanted {len(self._kinds)} values")
        for kind, column in zip(self._kinds, zip(*values, strict=True), strict=False):  # no rows: no columns
            kind.check(column)

    def write(self, value: tuple[Any, ...], pieces: list[bytes]) -> None:
        self.check((value,))
        pieces.append(self._struct.pack(*value))

    def read(self, data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        end = require(data, at, self.size)
        return self._struct.unpack_from(data, at), end


class Text(Kind):
    """A run of bytes with its length before it."""

    def __init__(self, most: int) -> None:
        self._most = most

    def write(self, value: bytes, pieces: list[bytes]) -> None:
        if len(value) > self._most:
            raise ValueError(f"{len(value)} bytes; wanted at most {self._most}")
        pieces += (len(value).to_bytes(_LENGTH_BYTES, "big"), value)

    def read(self, data: bytes, at: int) -> tuple[bytes, int]:
        begin = require(data, at, _LENGTH_BYTES)
        length = int.from_bytes(data[at:begin], "big")
        if length > self._most:
            raise ValueError(f"{length} bytes; wanted at most {self._most}")
        end = require(data, begin, length)
        return data[begin:end], end


class Many(Kind):
    """A tuple of values of one kind, with their count before them."""

    def __init__(self, kind: Kind, most: int) -> None:
        self._kind = kind
        self._most = most

    def write(self, value: tuple[Any, ...], pieces: list[bytes]) -> None:
        if len(value) > self._most:
            raise ValueError(f"{len(value)} entries; wanted at most {self._most}")
        pieces.append(len(value).to_bytes(_COUNT_BYTES, "big"))
        self._write_all(value, pieces)

    def read(self, data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        begin = require(data, at, _COUNT_BYTES)
        count = int.from_bytes(data[at:begin], "big")
        if count > self._most:
            raise ValueError(f"{count} entries; wanted at most {self._most}")
        return self._read_all(data, begin, count)

    def _write_all(self, values: tuple[Any, ...], pieces: list[bytes]) -> None:
        for value in values:
            self._kind.write(value, pieces)

    def _read_all(self, data: bytes, at: int, count: int) -> tuple[tuple[Any, ...], int]:
        read, values = self._kind.read, []
        for _ in range(count):
            value, at = read(data, at)
            values.append(value)
        return tuple(values), at


class ManyFixed(Many):
    """The same for a fixed kind, which takes one step for all values."""

    def __init__(self, kind: Fixed, most: int) -> None:
        super().__init__(kind, most)
        self._check = kind.check
        self._struct = Struct(f">{kind.code}")
        self._rows = isinstance(kind, Row)

    def _write_all(self, values: tuple[Any, ...], pieces: list[bytes]) -> None:
        self._check(values)
        pieces.extend((starmap if self._rows else map)(self._struct.pack, values))

    def _read_all(self, data: bytes, at: int, count: int) -> tuple[tuple[Any, ...], int]:
        end = require(data, at, count * self._struct.size)
        rows = self._struct.iter_unpack(data[at:end])
        return tuple(rows if self._rows else [value for (value,) in rows]), end


class Nested(Kind):
    """A value of another class with a layout."""

    def __init__(self, owner: type[Any]) -> None:
        layout = layout_of(owner)
        self.write = layout.write  # type: ignore[method-assign]
        self.read = layout.read  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Neighbouring fields that are written together: a run of fixed ones, or one other."""

    begin: int
    end: int
    kind: Kind  # a Row where `run`
    run: bool


class Layout:
    """The fields of a dataclass as bytes, in the order of the class."""

    def __init__(self, owner: type[Any]) -> None:
        if not is_dataclass(owner):
            raise TypeError(f"{owner} is not a dataclass")
        self._owner = owner
        self.names = tuple(field.name for field in fields(owner))
        hints = get_type_hints(owner, include_extras=True)
        self._kinds: tuple[Kind, ...] = tuple(hints[name].__metadata__[0] for name in self.names)
        self._get = attrgetter(*self.names)
        self._all = self._stretches(len(self.names))
        self._unsigned = self._stretches(len(self.names) - 1)

    def _stretches(self, count: int) -> tuple[_Stretch, ...]:
        found: list[_Stretch] = []
        for run, grouped in groupby(range(count), lambda number: isinstance(self._kinds[number], Fixed)):
            numbers = list(grouped)
            if run:
                row = Row(*(kind for number in numbers if isinstance(kind := self._kinds[number], Fixed)))
                found.append(_Stretch(numbers[0], numbers[-1] + 1, row, True))
            else:
                found += [_Stretch(number, number + 1, self._kinds[number], False) for number in numbers]
        return tuple(found)

    def write(self, value: Any, pieces: list[bytes]) -> None:
        """Append all fields. ValueError names the fields that cannot be written."""
        self._write(value, self._all, pieces)

    def unsigned_bytes(self, value: Any) -> bytes:
        """All fields but the last, which signs them."""
        pieces: list[bytes] = []
        self._write(value, self._unsigned, pieces)
        return b"".join(pieces)

    def _write(self, value: Any, stretches: tuple[_Stretch, ...], pieces: list[bytes]) -> None:
        values = self._get(value) if len(self.names) > 1 else (self._get(value),)
        for stretch in stretches:
            field = values[stretch.begin : stretch.end] if stretch.run else values[stretch.begin]
            try:
                stretch.kind.write(field, pieces)
            except ValueError as error:
                raise ValueError(f"{self._place(stretch)}: {error}") from None

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        """A value from the bytes that begin at `at`, and where they end. ValueError names the fields."""
        values: list[Any] = []
        for stretch in self._all:
            try:
                value, at = stretch.kind.read(data, at)
            except ValueError as error:
                raise ValueError(f"{self._place(stretch)}: {error}") from None
            if stretch.run:
                values += value
            else:
                values.append(value)
        return self._owner(*values), at

    def _place(self, stretch: _Stretch) -> str:
        return f"{self._owner.__name__}.{', '.join(self.names[stretch.begin : stretch.end])}"


_LAYOUTS: dict[type[Any], Layout] = {}


def layout_of(owner: type[Any]) -> Layout:
    """The layout that the annotations of a dataclass say."""
    layout = _LAYOUTS.get(owner)
    if layout is None:
        layout = _LAYOUTS[owner] = Layout(owner)
    return layout


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
