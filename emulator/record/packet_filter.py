"""Evaluates a capture filter: which link ends may match, by their names, and which packets do, by their bytes.

Invariant: `may_pass` is never False for a link end of which `Filter` would take a packet, so that it narrows what is
captured; whatever bytes a packet has, `Filter` answers, and a test that cannot be made (a port of a fragment) is False.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from emulator.link.packet import ETHERNET, ICMP, ICMP6, TCP, UDP
from emulator.model.errors import Unfit
from emulator.model.network import Network
from emulator.record.pcapng import LINKTYPE_ETHERNET, Interface
from emulator.scenario.schema.filters import TESTS, Tree

PROTOCOLS = {"tcp": (TCP,), "udp": (UDP,), "icmp": (ICMP, ICMP6)}
EXTENSIONS = (0, 43, 60)  # IPv6 headers that say how long they are: hop-by-hop, routing, destination options
FRAGMENT = 44
Fields = tuple[int, bytes, bytes, int, int]  # protocol, source, destination, ports (-1: none)
NOTHING: Fields = (-1, b"", b"", -1, -1)


def resolve(tree: Tree, network: Network) -> Tree:
    """The tree with names looked up, fit for msgpack: hosts become addresses (bytes), links numbers of link ends.

    ValueError names what matches nothing: "host 'gs-tokio'; expected the name or address of a node".
    """
    kind, *parts = tree
    if kind in ("and", "or", "not"):
        return (kind, *(resolve(part, network) for part in parts))
    value: Any = parts[0]
    found: list[Any] = [value]
    if kind == "host":
        found = _addresses(value, network)
    elif kind == "link":
        ends = range(2 * len(network.links))
        called = [(*network.end_names(end), *network.end_names(end ^ 1)) for end in ends]
        found = [end for end in ends if any(fnmatchcase(name, value) for name in called[end])]
    elif kind == "node":
        found = [value] if any(fnmatchcase(node.name, value) for node in network.nodes) else []
    if not found:
        raise Unfit(f"{kind} {value!r}, which matches nothing", f"{TESTS[kind]}")
    return (kind, found if kind in ("host", "link") else value)


def _addresses(name: str, network: Network) -> list[bytes]:
    try:
        return [ipaddress.ip_address(name).packed]
    except ValueError:
        pass
    texts = [text for node in network.nodes if fnmatchcase(node.name, name) for text in (node.ipv4, node.ipv6) if text]
    for link in network.links:
        sides = ((link.a, link.a_address), (link.b, link.b_address))
        texts += [text for node, text in sides if text and fnmatchcase(network.nodes[node].name, name)]
    return [ipaddress.ip_address(text.partition("/")[0]).packed for text in texts]


def may_pass(tree: Tree, network: Network, end: int) -> bool:
    """Whether packets of this link end may pass the (resolved) tree, as far as names can tell."""
    return _known(tree, network, end) is not False


def _known(tree: Tree, network: Network, end: int) -> bool | None:
    """Kleene's logic: True, False, or None where only a packet can tell."""
    kind: str = tree[0]
    parts: tuple[Any, ...] = tree[1:]
    if kind == "not":
        known = _known(parts[0], network, end)
        return None if known is None else not known
    if kind in ("and", "or"):
        decides = kind == "or"
        known_parts = [_known(part, network, end) for part in parts]
        if decides in known_parts:
            return decides
        return None if None in known_parts else not decides
    if kind == "link":
        return bool(end in parts[0])
    if kind == "node":
        link = network.links[end // 2]
        if fnmatchcase(network.nodes[link.a].name, parts[0]):
            return True
        return None if link.moving else bool(fnmatchcase(network.nodes[link.b].name, parts[0]))
    return None


class Filter:
    """A resolved tree as a function of link end, interface and packet (IP or Ethernet, as the interface says)."""

    def __init__(self, tree: Sequence[Any]) -> None:
        self._test = _compiled(tree)

    def __call__(self, end: int, interface: Interface, packet: bytes) -> bool:
        return self._test(end, interface, fields(packet, interface.linktype == LINKTYPE_ETHERNET))


_Test = Callable[[int, Interface, Fields], bool]


def _compiled(tree: Sequence[Any]) -> _Test:
    kind, value = tree[0], tree[1]
    match kind:
        case "and":
            left, right = _compiled(value), _compiled(tree[2])
            return lambda end, face, packet: left(end, face, packet) and right(end, face, packet)
        case "or":
            one, other = _compiled(value), _compiled(tree[2])
            return lambda end, face, packet: one(end, face, packet) or other(end, face, packet)
        case "not":
            inner = _compiled(value)
            return lambda end, face, packet: not inner(end, face, packet)
        case "host":
            hosts = frozenset(value)
            return lambda end, face, packet: packet[1] in hosts or packet[2] in hosts
        case "port":
            return lambda end, face, packet: value in packet[3:]
        case "proto":
            numbers = PROTOCOLS[value]
            return lambda end, face, packet: packet[0] in numbers
        case "link":
            ends = frozenset(value)
            return lambda end, face, packet: end in ends
    known: dict[str, bool] = {}  # by name of the interface: "gs-tokyo -> sat-0312"

    def touches(end: int, face: Interface, packet: Fields) -> bool:
        if face.name not in known:
            known[face.name] = any(fnmatchcase(name, value) for name in face.name.split(" -> "))
        return known[face.name]

    return touches


def fields(packet: bytes, ethernet: bool = False) -> Fields:
    """What tests look at, of an IP packet or an Ethernet frame; NOTHING where it is none, or cut too short."""
    at = 0
    if ethernet:
        at = ETHERNET + 4 if packet[12:14] == b"\x81\x00" else ETHERNET
        if packet[at - 2 : at] not in (b"\x08\x00", b"\x86\xdd"):
            return NOTHING
    version = packet[at] >> 4 if len(packet) >= at + 20 else 0
    if version == 4:
        protocol, source, target = packet[at + 9], packet[at + 12 : at + 16], packet[at + 16 : at + 20]
        whole = not (packet[at + 6] & 0x1F or packet[at + 7])
        at += (packet[at] & 15) * 4
    elif version == 6 and len(packet) >= at + 40:
        protocol, source, target, whole = packet[at + 6], packet[at + 8 : at + 24], packet[at + 24 : at + 40], True
        at += 40
        while (protocol in EXTENSIONS or protocol == FRAGMENT) and len(packet) >= at + 8:
            if protocol == FRAGMENT:
                whole = whole and not (packet[at + 2] or packet[at + 3] & 0xF8)
            protocol, at = packet[at], at + 8 + (packet[at + 1] * 8 if protocol != FRAGMENT else 0)
    else:
        return NOTHING
    if protocol in (TCP, UDP) and whole and len(packet) >= at + 4:
        ports = int.from_bytes(packet[at : at + 2], "big"), int.from_bytes(packet[at + 2 : at + 4], "big")
        return (protocol, source, target, *ports)
    return (protocol, source, target, -1, -1)
