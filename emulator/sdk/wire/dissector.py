"""Dissectors: what a protocol looks like on the wire, for who reads captures.

A `Dissector` says in which packets its messages travel, and how each lies in its bytes, by the same kinds as the codec
(`layout`); `emulator.record.lua` makes Wireshark's Lua of it. A message is known by its constants, the fields with
`equals` at its beginning. In a stream it ends where its `Length` says, or with its last field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from emulator.model.errors import Unfit
from emulator.sdk.wire.kinds import Fixed, Integer, Kind, Length, Octets, Row, Unsigned
from emulator.sdk.wire.layout import layout_of
from emulator.sdk.wire.rules import Rule

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Message:
    """A message: `name` ("cert_request") stands in the names of its fields, `skyloom.<dissector>.<name>.<field>`.

    `summary` is what the packet list says of it, with values of fields: "Certificate round {round}".
    """

    name: str
    parts: Mapping[str, Kind]
    summary: str = ""
    most_bytes: int = 0  # of the whole; 0: as its fields say
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.name, *self.parts):
            if not _NAME.fullmatch(name):
                raise Unfit(f"name {name!r}", "small letters, digits and _")
        for rule in self.rules:
            for name in rule.names:
                kind = self.parts.get(name)
                if not isinstance(kind, Integer) or kind.size > 4:
                    raise Unfit(f"rule {rule.text!r} of {self.name}", "integers of at most 4 bytes")

    def marks(self) -> list[tuple[int, bytes]]:
        """The constants by which it is known: offset and bytes, as far as all fields before have a fixed size."""
        found, at = [], 0
        for part in self.parts.values():
            if not isinstance(part, Fixed):
                break
            if isinstance(part, Octets | Unsigned) and part.equals is not None:
                found.append((at, part.equals))
            at += part.size
        return found

    def fixed_bytes(self) -> int:
        """How many bytes must be there to know how long it is."""
        at = 0
        for part in self.parts.values():
            if not isinstance(part, Fixed):
                break
            at += part.size
            if isinstance(part, Length):
                break
        return at


def message(owner: type[Any], before: Mapping[str, Kind] | None = None, **more: Any) -> Message:
    """The message that a class with a layout describes; `before` are fields that stand before those of the class."""
    layout = layout_of(owner)
    return Message(name_of(owner), {**(before or {}), **layout.parts}, rules=layout.rules, **more)


def row_message(name: str, row: Row, after: Mapping[str, Kind] | None = None, **more: Any) -> Message:
    """The message that a row describes; `after` are fields that follow it."""
    return Message(name, {**row.parts, **(after or {})}, rules=row.rules, **more)


def name_of(owner: type[Any]) -> str:
    """A class' name as names of messages are written: cert_request."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", owner.__name__).lower()


class Choice(Kind):
    """One of several messages, to the end of the bytes. Described here, encoded by who has them."""

    def __init__(self, *messages: Message) -> None:
        if not messages or not all(each.marks() for each in messages):
            raise Unfit("choice of messages without constants", "some by which each is known")
        self.messages = messages


@dataclass(frozen=True, slots=True)
class Dissector:
    """A protocol's packets. `ports` are tried first; messages with constants of four bytes are known at any port, but
    where another protocol has the same (`anywhere` False)."""

    name: str  # "dagbft"; fields are named skyloom.<name>.…
    title: str  # "DAG-BFT"
    transport: Literal["udp", "tcp", "tls"]
    messages: tuple[Message, ...]
    ports: tuple[int, ...] = ()
    clear_ports: tuple[int, ...] = ()  # at which a protocol of "tls" travels over TCP alone
    opaque: str = ""  # what bytes of a stream are that begin no message ("body"); empty: there are none
    anywhere: bool = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise Unfit(f"name {self.name!r}", "small letters, digits and _")
        if not self.messages or not all(each.marks() for each in self.messages):
            raise Unfit(f"{self.name}: messages without constants", "some by which each is known")
        if not all(0 < port < 1 << 16 for port in (*self.ports, *self.clear_ports)):
            raise Unfit(f"{self.name}: ports {self.ports}", "1 to 65535")

    def heuristics(self) -> list[tuple[int, bytes]]:
        """Constants of four bytes or more, with their place, by which a first message is known at any port."""
        found = {mark for each in self.messages for mark in each.marks() if len(mark[1]) >= 4}
        return sorted(found) if self.anywhere else []


def kinds_in(parts: Mapping[str, Kind]) -> Iterator[Kind]:
    """All kinds of fields, those inside others too."""
    for part in parts.values():
        yield part
        inner = getattr(part, "kind", None) or getattr(part, "holds", None)
        if isinstance(part, Row):
            yield from kinds_in(part.parts)
        elif isinstance(inner, Kind):
            yield from kinds_in({"inner": inner})
