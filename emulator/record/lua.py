"""Dissectors as Lua for Wireshark and tshark: the reader `dissect.lua`, and below it each protocol as a table.

Invariant: nothing here knows a protocol. What a table says is what the kinds of the fields say, so a codec and its
dissector cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from emulator.model.errors import Unfit
from emulator.sdk.wire import (
    Choice,
    Dissector,
    Kind,
    Length,
    Many,
    Message,
    Nested,
    Octets,
    Rest,
    Row,
    Rule,
    Text,
    Until,
    Zeros,
    layout_of,
)
from emulator.sdk.wire.dissector import name_of
from emulator.sdk.wire.kinds import Fixed, Integer

MARK = "-- skyloom: made by `skyloom capture --install-wireshark`; changes are lost"
GUARD = "if skyloom_dissectors then return end -- a second copy, such as one given by -X lua_script"
READER = Path(__file__).with_name("dissect.lua")


def lua(dissectors: Iterable[Dissector]) -> str:
    """One script with all of them. ValueError where two have one name."""
    described: dict[str, Dissector] = {}
    for each in dissectors:
        if described.setdefault(each.name, each) is not each and described[each.name] != each:
            raise Unfit(f"two dissectors named {each.name}", "one")
    tables = [f"dissector {_written(_dissector(each))}\n" for each in described.values()]
    return "\n".join([MARK, GUARD, "skyloom_dissectors = true\n", READER.read_text(), *tables])


def _dissector(dissector: Dissector) -> dict[str, Any]:
    return {
        "name": dissector.name,
        "title": dissector.title,
        "transport": dissector.transport,
        "ports": list(dissector.ports),
        "clear_ports": list(dissector.clear_ports),
        "opaque": dissector.opaque,
        "heuristics": [list(mark) for mark in dissector.heuristics()],
        "messages": [_message(each) for each in dissector.messages],
    }


def _message(message: Message) -> dict[str, Any]:
    return {
        "name": message.name,
        "summary": message.summary,
        "most": message.most_bytes,
        "fixed": message.fixed_bytes(),
        "marks": [list(mark) for mark in message.marks()],
        "parts": _parts(message.parts),
        "rules": _rules(message.rules),
    }


def _rules(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    return [
        {"left": list(rule.left), "relation": rule.relation, "right": list(rule.right), "text": rule.text}
        for rule in rules
    ]


def _parts(parts: Mapping[str, Kind]) -> list[dict[str, Any]]:
    return [_part(name, kind) for name, kind in parts.items()]


def _part(name: str, kind: Kind) -> dict[str, Any]:
    description: dict[str, Any] = {"name": name} | ({"about": kind.meaning} if kind.meaning else {})
    if isinstance(kind, Fixed):
        description["size"] = kind.size
    return description | _said_of(name, kind)


def _said_of(name: str, kind: Kind) -> dict[str, Any]:
    match kind:
        case Integer():
            description: dict[str, Any] = {"kind": "integer", "signed": kind.signed}
            if kind.narrow:
                description |= {"least": kind.least, "most": kind.most, "expected": kind.expected}
            if kind.names:
                description["names"] = kind.names
            return description | ({"beyond": kind.beyond} if isinstance(kind, Length) else {})
        case Octets():
            return {"kind": "octets"} | ({"equals": kind.equals} if kind.equals is not None else {})
        case Zeros():
            return {"kind": "zeros"}
        case Row():
            return {"kind": "row", "parts": _parts(kind.parts), "rules": _rules(kind.rules)}
        case Text():
            limits = {"least": kind.least, "most": kind.most, "expected": kind.expected, "prefix": kind.length_bytes}
            held = {"holds": _part(name, kind.holds)} if kind.holds is not None else {}
            return {"kind": "text", "shown": kind.shown} | limits | held
        case Rest():
            return {"kind": "rest", "zero": kind.zero}
        case Many():
            rising = {"rising": _key_bytes(kind)} if kind.rising else {}
            return {
                "kind": "many",
                "prefix": kind.count_bytes,
                "most": kind.most,
                "of": _part(name, kind.kind),
            } | rising
        case Until():
            return {"kind": "until", "of": _part(_name_inside(kind.kind), kind.kind)}
        case Nested():
            layout = layout_of(kind.owner)
            inner = {"struct": name_of(kind.owner), "parts": _parts(layout.parts), "rules": _rules(layout.rules)}
            return {"kind": "nested", "also": list(kind.also)} | inner
        case Choice():
            return {"kind": "choice", "messages": [_message(each) for each in kind.messages]}
    raise TypeError(f"{type(kind).__name__} is no kind that a dissector knows")


def _key_bytes(many: Many) -> int:
    """How many bytes of each entry rise."""
    kind = many.kind
    if isinstance(kind, Row):
        return sum(part.size for part in list(kind.parts.values())[: many.rising])
    assert isinstance(kind, Fixed)
    return kind.size


def _name_inside(kind: Kind) -> str:
    """What entries without a name of their own are called."""
    held = kind.holds if isinstance(kind, Text) else kind
    return name_of(held.owner) if isinstance(held, Nested) else "entry"


def _written(value: Any) -> str:
    """A value as Lua writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _quoted(value.encode())
        case bytes():
            return _quoted(value)
        case list():
            return "{ " + ", ".join(map(_written, value)) + " }" if value else "{}"
        case dict():
            entries = (
                f"{key if isinstance(key, str) else f'[{key}]'} = {_written(each)}" for key, each in value.items()
            )
            return "{ " + ", ".join(entries) + " }"
    raise TypeError(f"{value!r} in a dissector's table")


def _quoted(data: bytes) -> str:
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}" for byte in data)
    return '"' + "".join(plain) + '"'
