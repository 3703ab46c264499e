"""The functions that encode and decode one class of messages: source text that follows from its fields, compiled once.

Invariant: a writer gives the canonical encoding. A reader gives the message of a canonical encoding, and None for all
other bytes: what to make of these, and with which words to refuse them, is left to the reader that knows both modes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any as Anything
from typing import NamedTuple

from nodes.ibc.proto.scalars import FIXED32, FIXED64, LEN, VARINT, Kind, WireError, read_varint, varint

MOST_NUMBER = (1 << 29) - 1  # of a field
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}


@dataclass(frozen=True, slots=True)
class Declared:
    """A field as its class declares it."""

    number: int
    kind: Kind
    default: Anything
    written: bool = False  # even where the value is the default
    repeated: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.number <= MOST_NUMBER:
            raise WireError(f"field number {self.number}", f"1 to {MOST_NUMBER}")


class Field(NamedTuple):
    """A declared field, its name in the class, and the tag that it is written with."""

    attribute: str
    tag: bytes
    declared: Declared


def writer(name: str, fields: Sequence[Field], oneof: Sequence[str]) -> Callable[[Anything], bytes]:
    """What encodes a message of these fields, which are in ascending order. WireError where a value does not fit."""
    lines = ["parts = []"]
    for place, field in enumerate(fields):
        lines += _writes(place, field, name)
    if oneof:
        lines.append(f"self.check_oneof([name for name in {tuple(oneof)} if getattr(self, name) is not None])")
    lines.append("return join(parts)")
    made: Callable[[Anything], bytes] = _compiled("encode(self)", lines, fields)
    return made


def _writes(place: int, field: Field, name: str) -> Iterator[str]:
    """The lines that write one field."""
    attribute, _, declared = field
    yield f"value = self.{attribute}"
    if declared.repeated and declared.kind.wire == LEN:
        yield "for each in value:"
        yield f"    raw = write{place}(each)"
    elif declared.repeated:
        yield f"if value != default{place}:"
        yield f"    raw = join(map(write{place}, value))"
    else:
        if not declared.written:
            yield f"if value != default{place}:"
        elif declared.default is None:
            yield "if value is not None:"
        else:
            yield f"if value is None: raise WireError({f'{name}.{attribute} is None'!r}, 'a message')"
            yield "else:"
        yield f"    raw = write{place}(value)"
    sized = declared.repeated or declared.kind.wire == LEN
    yield f"    parts += (tag{place}, varint(len(raw)), raw)" if sized else f"    parts += (tag{place}, raw)"


def reader(cls: type, fields: Sequence[Field], oneof: Sequence[str]) -> Callable[[bytes], Anything]:
    """What decodes canonical encodings of messages of `cls`, which has slots, and nothing to do when one is made."""
    lines = ["at, end = 0, len(data)", "tag = data[0] if end else 0"]
    for place, field in enumerate(fields):
        lines += _reads(place, field)
    lines.append("if at != end: return None")
    places = {field.attribute: place for place, field in enumerate(fields)}
    if oneof:
        present = " + ".join(f"(value{places[branch]} is not None)" for branch in oneof)
        lines.append(f"if {present} > 1: return None")
    lines.append("message = new(cls)")  # frozen dataclasses set their attributes much more slowly
    lines += [f"set{place}(message, value{place})" for place in places.values()]
    lines.append("return message")
    guarded = ["try:", *(f"    {line}" for line in lines), "except (WireError, IndexError):", "    return None"]
    setters = {f"set{place}": getattr(cls, attribute).__set__ for attribute, place in places.items()}
    made: Callable[[bytes], Anything] = _compiled("read(data)", guarded, fields, cls=cls, new=object.__new__, **setters)
    return made


def _reads(place: int, field: Field) -> Iterator[str]:
    """The lines that read one field from `at` on, where `tag` is the first byte (0, which begins no tag, at the end).

    Raw values are unsigned numbers and bytes, as `Kind.read` wants them.
    """
    _, tag, declared = field
    value, wire = f"value{place}", LEN if declared.repeated else declared.kind.wire
    here = " and ".join(
        [f"tag == {tag[0]}", *(f"data[at + {offset}] == {tag[offset]}" for offset in range(1, len(tag)))]
    )
    many = declared.repeated and declared.kind.wire == LEN
    yield f"{value} = []" if many else f"{value} = default{place}"
    yield f"while {here}:" if many else f"if {here}:"
    first = f"at + {len(tag)}"  # the byte after the tag
    if wire == VARINT:
        yield f"    raw, at = data[{first}], {first} + 1"
        yield "    if raw > 127: raw, at = read_varint(data, at - 1)"
    else:
        if wire == LEN:
            yield f"    size, at = data[{first}], {first} + 1"
            yield "    if size > 127: size, at = read_varint(data, at - 1)"
        else:
            yield f"    size, at = {FIXED_BYTES[wire]}, {first}"
        yield "    raw, at = data[at : at + size], at + size"
        yield "    if at > end: return None"
    if many:
        yield f"    {value}.append(read{place}(raw, True))"
    elif declared.repeated:
        yield "    if not raw: return None"
        yield f"    {value} = tuple([read{place}(each, True) for each in varints(raw)])"
    else:
        yield f"    {value} = read{place}(raw, True)"
        if not declared.written:
            yield f"    if {value} == default{place}: return None"
    yield "    tag = data[at] if at < end else 0"
    if many:
        yield f"{value} = tuple({value})"


def varints(raw: bytes) -> Iterable[int]:
    """The numbers of a packed field."""
    at = 0
    while at < len(raw):
        value, at = read_varint(raw, at)
        yield value


def _compiled(head: str, lines: Iterable[str], fields: Sequence[Field], **names: Anything) -> Anything:
    """The function of these lines, which may use what each field is read and written with, numbered by its place."""
    names |= {
        "WireError": WireError,
        "join": b"".join,
        "read_varint": read_varint,
        "varint": varint,
        "varints": varints,
    }
    for place, (_, tag, declared) in enumerate(fields):
        names |= {f"tag{place}": tag, f"default{place}": declared.default}
        names |= {f"write{place}": declared.kind.write, f"read{place}": declared.kind.read}
    exec("\n    ".join((f"def {head}:", *lines)), names)
    return names[head.partition("(")[0]]
