"""Kinds of fields: how one value lies in bytes, and what is allowed.

Invariant: every list and text has a limit that is checked before anything is made of it; what a kind reads it writes as
the same bytes. Integers are big-endian and of fixed width, lists begin with their count.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from itertools import pairwise, starmap
from struct import Struct
from typing import Any, Literal, Self

from emulator.model.errors import Unfit
from emulator.sdk.wire.rules import Rule


class Kind:
    """How one field is written (as pieces to be joined) and read.

    Both raise ValueError ("found; expected allowed") for what cannot be.
    """

    meaning = ""

    def says(self, meaning: str) -> Self:
        """The same kind with a meaning, for who reads captures."""
        kind = copy(self)
        kind.meaning = meaning
        return kind

    def write(self, value: Any, pieces: list[bytes]) -> None:
        raise NotImplementedError

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        raise NotImplementedError


class Fixed(Kind):
    """A kind whose every value has the same size; `code` is what `struct` calls it."""

    narrow = False  # whether its bytes could hold what is not allowed, so that it is checked when it is read, too

    def __init__(self, code: str) -> None:
        self.code = code
        self.struct = Struct(f">{code}")
        self.size = self.struct.size

    def check(self, values: Sequence[Any]) -> None:
        """ValueError where one of the values cannot be written."""
        raise NotImplementedError

    def write(self, value: Any, pieces: list[bytes]) -> None:
        self.check((value,))
        pieces.append(self.struct.pack(value))

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        end = require(data, at, self.size)
        value = self.struct.unpack_from(data, at)[0]
        if self.narrow:
            self.check((value,))
        return value, end


class Integer(Fixed):
    """An integer of 1, 2, 4 or 8 bytes; `names` are what its values are called (an IntEnum)."""

    def __init__(self, size: int, signed: bool, least: int | None, most: int | None, names: Any) -> None:
        code = {1: "B", 2: "H", 4: "I", 8: "Q"}[size]
        super().__init__(code.lower() if signed else code)
        lowest = -(1 << 8 * size - 1) if signed else 0
        highest = lowest + (1 << 8 * size) - 1
        self.signed = signed
        self.least = lowest if least is None else least
        self.most = highest if most is None else most
        self.narrow = (self.least, self.most) != (lowest, highest)
        self.names: dict[int, str] = {int(each): each.name.lower().replace("_", " ") for each in names or ()}

    def check(self, values: Sequence[int]) -> None:
        for value in values:
            if not self.least <= value <= self.most:
                raise Unfit(f"number {value}", self.expected)

    @property
    def expected(self) -> str:
        """What is allowed, in words."""
        return f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"


class Unsigned(Integer):
    """An unsigned integer. `equals`: the only value allowed, by which a message is known."""

    def __init__(
        self, size: int, *, least: int | None = None, most: int | None = None, names: Any = None,
        equals: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(size, False, least if equals is None else equals, most if equals is None else equals, names)
        self.equals = None if equals is None else equals.to_bytes(size, "big")


class Signed(Integer):
    """An integer in two's complement."""

    def __init__(self, size: int) -> None:
        super().__init__(size, True, None, None, None)


class Length(Unsigned):
    """How many bytes of a message follow, counted from `beyond` bytes after this field."""

    def __init__(self, size: int, *, least: int | None = None, most: int | None = None, beyond: int = 0) -> None:
        super().__init__(size, least=least, most=most)
        self.beyond = beyond


class Octets(Fixed):
    """A run of bytes of one length, such as a digest. `equals`: the only ones allowed, by which a message is known."""

    def __init__(self, size: int, *, equals: bytes | None = None) -> None:
        super().__init__(f"{size}s")
        self.equals = equals
        self.narrow = equals is not None

    def check(self, values: Sequence[bytes]) -> None:
        for value in values:
            if len(value) != self.size:
                raise Unfit(f"{len(value)} bytes", f"{self.size}")
            if self.equals is not None and value != self.equals:
                raise Unfit(f"{value!r}", f"{self.equals!r}")


class Zeros(Fixed):
    """Bytes without a value that are zero. Only in a `Row`."""

    def __init__(self, size: int) -> None:
        super().__init__(f"{size}x")


class Row(Fixed):
    """Fixed kinds one after the other, by name; its value is a tuple (of all but `Zeros`)."""

    def __init__(self, *rules: Rule, **parts: Fixed) -> None:
        super().__init__("".join(part.code for part in parts.values()))
        self.parts = parts
        self.rules = rules
        self._valued = {name: part for name, part in parts.items() if not isinstance(part, Zeros)}
        self.zeros: list[tuple[str, int, int]] = []  # name, place and size
        at = 0
        for name, part in parts.items():
            if isinstance(part, Zeros):
                self.zeros.append((name, at, part.size))
            at += part.size
        self.narrow = bool(rules or self.zeros) or any(part.narrow for part in parts.values())

    def check(self, values: Sequence[tuple[Any, ...]]) -> None:
        if any(len(row) != len(self._valued) for row in values):
            raise Unfit("row of another length", f"{len(self._valued)} values")
        columns = zip(*values, strict=True)
        for (name, part), column in zip(self._valued.items(), columns, strict=False):  # no rows: no columns
            try:
                part.check(column)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        for rule in self.rules:
            for row in values:
                rule.check(dict(zip(self._valued, row, strict=True)))

    def write(self, value: tuple[Any, ...], pieces: list[bytes]) -> None:
        self.check((value,))
        pieces.append(self.struct.pack(*value))

    def read(self, data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        end = require(data, at, self.size)
        row = self.struct.unpack_from(data, at)
        if self.narrow:
            self.check((row,))
            for name, begin, size in self.zeros:
                if any(data[at + begin : at + begin + size]):
                    raise Unfit(f"{name}: not 0", f"{size} zero bytes")
        return row, end


class Text(Kind):
    """A run of bytes with its length before it.

    `shown` says how a capture shows it; `holds` what its bytes are, which this codec leaves to who asks for them.
    """

    def __init__(
        self, most: int, *, least: int = 0, length_bytes: int = 4, shown: Literal["bytes", "text"] = "bytes",
        holds: Kind | None = None,
    ) -> None:  # fmt: skip
        self.most, self.least, self.length_bytes = most, least, length_bytes
        self.shown, self.holds = shown, holds

    @property
    def expected(self) -> str:
        """What is allowed, in words."""
        return f"{self.least} to {self.most}" if self.least else f"at most {self.most}"

    def write(self, value: bytes, pieces: list[bytes]) -> None:
        if not self.least <= len(value) <= self.most:
            raise Unfit(f"{len(value)} bytes", self.expected)
        pieces += (len(value).to_bytes(self.length_bytes, "big"), value)

    def read(self, data: bytes, at: int) -> tuple[bytes, int]:
        begin = require(data, at, self.length_bytes)
        length = int.from_bytes(data[at:begin], "big")
        if not self.least <= length <= self.most:
            raise Unfit(f"{length} bytes", self.expected)
        end = require(data, begin, length)
        return data[begin:end], end


class Rest(Kind):
    """All bytes up to the end, without a length. `zero`: none of them is anything else."""

    def __init__(self, *, zero: bool = False) -> None:
        self.zero = zero

    def write(self, value: bytes, pieces: list[bytes]) -> None:
        if self.zero and value.count(0) != len(value):
            raise Unfit("bytes that are not 0", "zeros")
        pieces.append(value)

    def read(self, data: bytes, at: int) -> tuple[bytes, int]:
        pieces: list[bytes] = []
        self.write(data[at:], pieces)
        return pieces[0], len(data)


class Many(Kind):
    """A tuple of values of one kind, with their count before them.

    `rising`: each value is greater than the one before; of rows, the first `rising` parts of it.
    """

    def __init__(self, kind: Kind, most: int, *, count_bytes: int = 2, rising: int = 0) -> None:
        self.kind, self.most, self.count_bytes, self.rising = kind, most, count_bytes, rising

    def write(self, value: tuple[Any, ...], pieces: list[bytes]) -> None:
        if len(value) > self.most:
            raise Unfit(f"{len(value)} entries", f"at most {self.most}")
        if self.rising:
            self._require_rising(value)
        pieces.append(len(value).to_bytes(self.count_bytes, "big"))
        self._write_all(value, pieces)

    def read(self, data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        begin = require(data, at, self.count_bytes)
        count = int.from_bytes(data[at:begin], "big")
        if count > self.most:
            raise Unfit(f"{count} entries", f"at most {self.most}")
        values, at = self._read_all(data, begin, count)
        if self.rising:
            self._require_rising(values)
        return values, at

    def _require_rising(self, values: tuple[Any, ...]) -> None:
        keys = [value[: self.rising] for value in values] if isinstance(self.kind, Row) else values
        if any(before >= after for before, after in pairwise(keys)):
            raise Unfit("out of order", "each once, rising")

    def _write_all(self, values: tuple[Any, ...], pieces: list[bytes]) -> None:
        for value in values:
            self.kind.write(value, pieces)

    def _read_all(self, data: bytes, at: int, count: int) -> tuple[tuple[Any, ...], int]:
        read, values = self.kind.read, []
        for _ in range(count):
            value, at = read(data, at)
            values.append(value)
        return tuple(values), at


class ManyFixed(Many):
    """The same for a fixed kind, which takes one step for all values."""

    def __init__(self, kind: Fixed, most: int, *, count_bytes: int = 2, rising: int = 0) -> None:
        super().__init__(kind, most, count_bytes=count_bytes, rising=rising)
        self._check = kind.check
        self._narrow = kind.narrow
        self._struct = Struct(f">{kind.code}")
        self._rows = isinstance(kind, Row)
        self._gaps = isinstance(kind, Row) and bool(kind.zeros)

    def _write_all(self, values: tuple[Any, ...], pieces: list[bytes]) -> None:
        self._check(values)
        pieces.extend((starmap if self._rows else map)(self._struct.pack, values))

    def _read_all(self, data: bytes, at: int, count: int) -> tuple[tuple[Any, ...], int]:
        end = require(data, at, count * self._struct.size)
        if self._gaps:  # which have to be looked at row by row
            return super()._read_all(data, at, count)
        rows = self._struct.iter_unpack(data[at:end])
        values = tuple(rows if self._rows else [value for (value,) in rows])
        if self._narrow:
            self._check(values)
        return values, end


class Until(Kind):
    """A tuple of values of one kind up to the end of the bytes, without a count."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def write(self, value: tuple[Any, ...], pieces: list[bytes]) -> None:
        for each in value:
            self.kind.write(each, pieces)

    def read(self, data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        values = []
        while at < len(data):
            value, at = self.kind.read(data, at)
            values.append(value)
        return tuple(values), at


def require(data: bytes, at: int, size: int) -> int:
    """Where `size` bytes from `at` end; ValueError where `data` ends before."""
    end = at + size
    if end > len(data):
        raise Unfit(f"{len(data) - at} bytes left", f"{size}")
    return end
