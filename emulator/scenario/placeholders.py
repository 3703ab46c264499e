"""Placeholders: `{node}` and its like in the commands, environments and files of a scenario.

Invariant: pure; a text is checked when the scenario is loaded, and again against the network's names, so that filling
it for a node of the network never fails. `{{` and `}}` are braces, and a text without braces is itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from emulator.model.errors import Unfit
from emulator.model.names import matching

if TYPE_CHECKING:
    from emulator.model.network import Network

PLAIN = ("node", "index", "directory", "address", "address6")
WITH_ARGUMENT = ("address", "address6", "nodes", "addresses")
KNOWN = (
    "{node}, {index}, {address}, {address6}, {address:NODE}, {nodes:GLOB}, {nodes:GLOB|TEXT}, {addresses:GLOB} or "
    "{directory}; {{ and }} for braces"
)
_PART = re.compile(
    r"(?P<brace>\{\{|\}\})"
    r"|\{(?P<name>\w+)(?::(?P<argument>[^{}|]*))?(?P<bar>\|(?P<each>(?:[^{}]|\{[^{}]*\})*))?\}"
    r"|(?P<plain>[^{}]+)"
)


class Addresses(NamedTuple):
    """Addresses of a node; "" where it has none."""

    ipv4: str
    ipv6: str


@dataclass(frozen=True, slots=True)
class Place:
    """What a text is filled for: node number `index` of those that share the text.

    `addresses`: of every node of the network. `live`: the nodes that programs can run on, which globs choose from.
    `directory`: what relative paths of the scenario are relative to.
    """

    node: str
    index: int
    addresses: Mapping[str, Addresses]
    live: Sequence[str]
    directory: str = "."


class Places:
    """The places of one network."""

    def __init__(self, network: Network, directory: str = ".") -> None:
        self._directory = directory
        self._addresses = {node.name: Addresses(node.ipv4, node.ipv6) for node in network.nodes}
        live = (network.nodes[number] for number in network.live)
        self.live = tuple(node.name for node in live if not node.bridge)

    def at(self, node: str, index: int) -> Place:
        """The place of a node that is number `index` of those that share a text."""
        return Place(node, index, self._addresses, self.live, self._directory)


@dataclass(frozen=True, slots=True)
class _Placeholder:
    """One placeholder: its name, what stands behind ":", and the parts behind "|" (None: no "|")."""

    text: str
    name: str
    argument: str
    each: tuple[str | _Placeholder, ...] | None


_Parts = tuple[str | _Placeholder, ...]


def check(text: str) -> str:
    """The text itself. Unfit where a placeholder is unknown or a brace is alone."""
    _parse(text)
    return text


def fill(text: str, place: Place, join: str = ",") -> str:
    """The text with everything filled in. Unfit where it needs a node or an address that is not there."""
    return _filled(_parse(text), place, join)


def _filled(parts: _Parts, place: Place, join: str) -> str:
    return "".join(part if isinstance(part, str) else _value(part, place, join) for part in parts)


def _value(it: _Placeholder, place: Place, join: str) -> str:
    match it.name:
        case "node":
            return place.node
        case "index":
            return str(place.index)
        case "directory":
            return place.directory
        case "address":
            return _address(it, it.argument or place.node, place, version=4)
        case "address6":
            return _address(it, it.argument or place.node, place, version=6)
    nodes = matching((it.argument,), place.live)
    if not nodes:
        raise Unfit(f"{it.text}, which matches nothing", "a glob that matches live nodes")
    if it.name == "addresses":
        return join.join(_address(it, node, place, version=4) for node in nodes)
    if it.each is None:
        return join.join(nodes)
    items = (replace(place, node=node, index=index) for index, node in enumerate(nodes))
    return join.join(_filled(it.each, item, join) for item in items)


def _address(it: _Placeholder, node: str, place: Place, version: int) -> str:
    if node not in place.addresses:
        raise Unfit(f"{it.text}, and no node {node!r}", "the name of a node")
    address = place.addresses[node][version == 6]
    if not address:
        raise Unfit(f"{it.text}, and {node} without an IPv{version} address", "a node that has one")
    return address


@lru_cache(maxsize=1024)
def _parse(text: str) -> _Parts:
    parts: list[str | _Placeholder] = []
    at = 0
    while at < len(text):
        match = _PART.match(text, at)
        if match is None:
            raise Unfit(f"{_shown(text[at:])}, which is no placeholder", KNOWN)
        at = match.end()
        if match["brace"]:
            parts.append(match["brace"][0])
        else:
            parts.append(match["plain"] or _placeholder(match))
    return tuple(parts)


def _placeholder(match: re.Match[str]) -> _Placeholder:
    name, argument, bar = match["name"], match["argument"], match["bar"]
    fits = name in PLAIN if argument is None else name in WITH_ARGUMENT and argument != ""
    if not fits or (bar and name != "nodes"):
        raise Unfit(f"{_shown(match[0])}, which is no placeholder", KNOWN)
    return _Placeholder(match[0], name, argument or "", _parse(match["each"]) if bar else None)


def _shown(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
