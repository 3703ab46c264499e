"""Layouts: how the fields of a message lie in its bytes, said once, in the types of its fields.

`author: U16` is an int to everything but this package, which reads from the annotation that it takes two bytes; a text
after it (`Annotated[U16, "of the header"]`) is its meaning. Fields lie in the order of the class. Invariant: a value
has one encoding and bytes have one meaning, so what has been decoded encodes to the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Any, get_type_hints

from emulator.sdk.wire.kinds import Fixed, Kind, Row, Unsigned
from emulator.sdk.wire.rules import Rule


class Nested(Kind):
    """A value of another class with a layout. A capture shows `also` these fields of it as the outer one's own."""

    def __init__(self, owner: type[Any], also: tuple[str, ...] = ()) -> None:
        self.owner, self.also = owner, also
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
    """The fields of a dataclass or a NamedTuple as bytes, in the order of the class.

    `RULES` of the class, if it has them, hold between its fields.
    """

    def __init__(self, owner: type[Any]) -> None:
        self.owner = owner
        self.parts = fields_of(owner)
        self.rules: tuple[Rule, ...] = getattr(owner, "RULES", ())
        self.names = tuple(self.parts)
        self._kinds = tuple(self.parts.values())
        self._get = attrgetter(*self.names)
        self._all = self._stretches(len(self.names))
        self._unsigned = self._stretches(len(self.names) - 1)

    def _stretches(self, count: int) -> tuple[_Stretch, ...]:
        found: list[_Stretch] = []
        for run, grouped in groupby(range(count), lambda number: isinstance(self._kinds[number], Fixed)):
            numbers = list(grouped)
            if run:
                named = {self.names[it]: kind for it in numbers if isinstance(kind := self._kinds[it], Fixed)}
                found.append(_Stretch(numbers[0], numbers[-1] + 1, Row(**named), True))
            else:
                found += [_Stretch(number, number + 1, self._kinds[number], False) for number in numbers]
        return tuple(found)

    def write(self, value: Any, pieces: list[bytes]) -> None:
        """Append all fields. ValueError names the field that cannot be written."""
        self._write(value, self._all, pieces)

    def unsigned_bytes(self, value: Any) -> bytes:
        """All fields but the last, which signs them."""
        pieces: list[bytes] = []
        self._write(value, self._unsigned, pieces)
        return b"".join(pieces)

    def _write(self, value: Any, stretches: tuple[_Stretch, ...], pieces: list[bytes]) -> None:
        values = self._get(value) if len(self.names) > 1 else (self._get(value),)
        if self.rules:
            self._check(values)
        for stretch in stretches:
            field = values[stretch.begin : stretch.end] if stretch.run else values[stretch.begin]
            try:
                stretch.kind.write(field, pieces)
            except ValueError as error:
                raise ValueError(self._told(stretch, error)) from None

    def read(self, data: bytes, at: int) -> tuple[Any, int]:
        """A value from the bytes that begin at `at`, and where they end. ValueError names the fields."""
        values: list[Any] = []
        for stretch in self._all:
            try:
                value, at = stretch.kind.read(data, at)
            except ValueError as error:
                raise ValueError(self._told(stretch, error)) from None
            if stretch.run:
                values += value
            else:
                values.append(value)
        if self.rules:
            self._check(values)
        return self.owner(*values), at

    def _check(self, values: Sequence[Any]) -> None:
        named = dict(zip(self.names, values, strict=True))
        for rule in self.rules:
            try:
                rule.check(named)
            except ValueError as error:
                raise ValueError(f"{self.owner.__name__}: {error}") from None

    def _told(self, stretch: _Stretch, error: ValueError) -> str:
        """What is wrong, with the field before it; a row says its field itself, unless its bytes are too few."""
        names = self.names[stretch.begin : stretch.end]
        if stretch.run and str(error).partition(":")[0] in names:
            return f"{self.owner.__name__}.{error}"
        return f"{self.owner.__name__}.{', '.join(names)}: {error}"


_LAYOUTS: dict[type[Any], Layout] = {}


def layout_of(owner: type[Any]) -> Layout:
    """The layout that the annotations of a dataclass or a NamedTuple say."""
    layout = _LAYOUTS.get(owner)
    if layout is None:
        layout = _LAYOUTS[owner] = Layout(owner)
    return layout


def fields_of(owner: type[Any]) -> dict[str, Kind]:
    """The fields of a class and how they lie, in its order. TypeError where it is no class with fields."""
    if is_dataclass(owner):
        names = [field.name for field in fields(owner)]
    elif issubclass(owner, tuple) and hasattr(owner, "_fields"):
        names = list(owner._fields)
    else:
        raise TypeError(f"{owner} is not a dataclass")
    hints = get_type_hints(owner, include_extras=True)
    found = {}
    for name in names:
        kind, *meaning = hints[name].__metadata__
        found[name] = kind.says(meaning[0]) if meaning else kind
    return found


U8 = Annotated[int, Unsigned(1)]
U16 = Annotated[int, Unsigned(2)]
U32 = Annotated[int, Unsigned(4)]
U64 = Annotated[int, Unsigned(8)]
