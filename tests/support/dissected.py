"""For tests of dissectors: values of any kind of field, their bytes by description, and what tshark says of packets."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from hypothesis import strategies as st

from emulator.record.lua import lua
from emulator.record.pcapng import Interface, PcapngWriter
from emulator.sdk.wire import (
    Dissector,
    Kind,
    Length,
    Many,
    Message,
    Nested,
    Octets,
    Rest,
    Row,
    Text,
    Until,
    Zeros,
    layout_of,
)
from emulator.sdk.wire.dissector import name_of
from emulator.sdk.wire.kinds import Integer

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
Values = dict[str, Any]  # of a message, by part; those of Length are worked out


# Values of kinds: tuples for rows, dicts for nested ones, bytes or what they hold for texts.


def values_of(parts: dict[str, Kind]) -> st.SearchStrategy[Values]:
    drawn = {name: value_of(kind) for name, kind in parts.items() if not isinstance(kind, Zeros)}
    return st.fixed_dictionaries(drawn)


def value_of(kind: Kind) -> st.SearchStrategy[Any]:
    match kind:
        case Integer():
            return st.one_of(st.sampled_from([kind.least, kind.most]), st.integers(kind.least, kind.most))
        case Octets():
            same = st.integers(0, 255).map(lambda byte: bytes([byte]) * kind.size)
            return st.just(kind.equals) if kind.equals is not None else same
        case Row():
            return st.tuples(*(value_of(part) for part in kind.parts.values() if not isinstance(part, Zeros)))
        case Text() if kind.holds is not None:
            return value_of(kind.holds)
        case Text():
            letters = st.text("abcdefgh", min_size=max(1, kind.least), max_size=8).map(str.encode)
            return letters if kind.shown == "text" else st.binary(min_size=kind.least, max_size=12)
        case Rest():
            return st.integers(0, 12).map(bytes) if kind.zero else st.binary(max_size=12)
        case Many():
            lists = st.lists(value_of(kind.kind), max_size=min(4, kind.most))
            return lists.map(lambda values: _rising(kind, values)) if kind.rising else lists
        case Until():
            return st.lists(value_of(kind.kind), max_size=3)
        case Nested():
            return values_of(layout_of(kind.owner).parts)
    raise TypeError(kind)


def _rising(kind: Many, values: list[Any]) -> list[Any]:
    keys = {value[: kind.rising] if isinstance(value, tuple) else value: value for value in values}
    return [keys[key] for key in sorted(keys)]


def encoded(message: Message, values: Values) -> bytes:
    """The bytes of a message by its description alone."""
    return _joined(message.parts, values)


def _joined(parts: dict[str, Kind], values: Values) -> bytes:
    written: list[tuple[Kind, bytes]] = [(kind, _bytes_of(kind, values.get(name))) for name, kind in parts.items()]
    for number, (kind, _) in enumerate(written):
        if isinstance(kind, Length):
            length = sum(len(data) for _, data in written[number + 1 :]) - kind.beyond
            values[list(parts)[number]] = length
            written[number] = (kind, length.to_bytes(kind.size, "big"))
    return b"".join(data for _, data in written)


def _bytes_of(kind: Kind, value: Any) -> bytes:
    match kind:
        case Zeros():
            return bytes(kind.size)
        case Length():
            return bytes(kind.size)
        case Row():
            names = [name for name, part in kind.parts.items() if not isinstance(part, Zeros)]
            return _joined(kind.parts, dict(zip(names, value, strict=True)))  # type: ignore[arg-type]
        case Nested():
            return _joined(layout_of(kind.owner).parts, value)
        case Text() if kind.holds is not None:
            data = _bytes_of(kind.holds, value)
            return len(data).to_bytes(kind.length_bytes, "big") + data
        case Until():
            return b"".join(_bytes_of(kind.kind, each) for each in value)
        case Many():
            return len(value).to_bytes(kind.count_bytes, "big") + b"".join(_bytes_of(kind.kind, it) for it in value)
    pieces: list[bytes] = []
    kind.write(value, pieces)
    return b"".join(pieces)


# What tshark should show: every field with its values in the order of the bytes.


def shown(dissector: str, message: Message, values: Values) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, text in _shown(message.name, message.parts, values):
        full = name if name.startswith(f"{dissector}.") else f"{dissector}.{name}"
        found.setdefault(f"skyloom.{full}", []).append(text)
    return {name: texts for name, texts in found.items() if texts != [""]}  # as columns, empty is absent


def _shown(path: str, parts: dict[str, Kind], values: Values) -> Iterator[tuple[str, str]]:
    for name, kind in parts.items():
        yield from _shown_kind(f"{path}.{name}", kind, values.get(name), path)


def _shown_kind(path: str, kind: Kind, value: Any, above: str) -> Iterator[tuple[str, str]]:
    match kind:
        case Integer():
            yield path, str(int(value))
        case Octets():
            yield path, value.hex()
        case Zeros():
            yield path, bytes(kind.size).hex()
        case Rest():
            if value:
                yield path, value.hex()
        case Row():
            names = [name for name, part in kind.parts.items() if not isinstance(part, Zeros)]
            yield from _shown(path, kind.parts, dict(zip(names, value, strict=True)))  # type: ignore[arg-type]
        case Text():
            data = _bytes_of(kind, value)[kind.length_bytes :]
            yield path, data.decode() if kind.shown == "text" else data.hex()
            if kind.holds is not None and data:
                yield from _shown_kind(path, kind.holds, value, above)
        case Many():
            yield f"{path}.count", str(len(value))
            for each in value:
                yield from _shown_kind(path, kind.kind, each, above)
        case Until():
            held = kind.kind.holds if isinstance(kind.kind, Text) else kind.kind
            name = name_of(held.owner) if isinstance(held, Nested) else "entry"
            for each in value:
                yield from _shown_kind(f"{path}.{name}", kind.kind, each, above)
        case Nested():
            yield from _shown(name_of(kind.owner), layout_of(kind.owner).parts, value)
            for name in kind.also:
                yield f"{above}.{name}", str(value[name])


# Packets.


class Packets:
    """A capture in the making: IPv4 packets between two addresses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open(path, "wb")  # noqa: SIM115 - closed by `told`
        self.writer = PcapngWriter(self._file.write)
        self.writer.interface(Interface("a -> b"))
        self.count = 0

    def _add(self, protocol: int, body: bytes, back: bool, kept: int | None) -> None:
        sides = [socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.2")]
        head = pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0, *(sides[::-1] if back else sides))
        data = head + body
        self.count += 1
        self.writer.packet(0, 10**18 + self.count * 10**6, data[:kept], len(data))

    def udp(self, port: int, data: bytes, kept: int | None = None) -> None:
        self._add(17, pack(">HHHH", 40_000, port, 8 + len(data), 0) + data, False, kept)

    def tcp(
        self, client: int, port: int, sequence: int, data: bytes, back: bool = False, kept: int | None = None
    ) -> None:
        ports = (port, client) if back else (client, port)
        self._add(6, pack(">HHIIBBHHH", *ports, sequence, 1, 0x50, 0x18, 65_535, 0, 0) + data, back, kept)

    def told(self, dissectors: Iterable[Dissector], fields: Iterable[str] = ()) -> list[dict[str, list[str]]]:
        """What tshark says of each packet: fields, and under "info" and "malformed" its summary and what is wrong."""
        self._file.close()
        script = self.path.with_suffix(".lua")
        script.write_text(lua(dissectors))
        names = [*fields, "_ws.col.Info", "_ws.expert.message", "_ws.lua.error"]
        options = [option for name in names for option in ("-e", name)]
        done = subprocess.run(
            ["tshark", "-X", f"lua_script:{script}", "-r", self.path, "-T", "fields", *options, "-E", "aggregator=|"],
            capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(self.path.parent)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Lua" not in done.stderr, done.stderr
        lines = done.stdout.split("\n")[:-1]
        assert len(lines) == self.count
        packets = []
        for line in lines:
            columns = dict(zip(names, line.split("\t"), strict=True))
            assert columns.pop("_ws.lua.error") == ""
            info, wrong = columns.pop("_ws.col.Info"), columns.pop("_ws.expert.message")
            columns = {name: text.replace("<MISSING>", "") for name, text in columns.items()}  # a field of no bytes
            said = {name: text.split("|") for name, text in columns.items() if text}
            packets.append(said | {"info": [info], "malformed": [wrong] if wrong else []})
        return packets
