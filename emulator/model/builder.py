"""The builder of networks, to which a topology adds its nodes and links.

Invariant: nodes and links are numbered in the order of addition, unless `number_links_by_node` numbers the links anew;
every name, address and interface of a built network is valid and used once. A network that cannot be built is a
DataError that names the node or the link.
"""

from __future__ import annotations

import re
import socket
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from emulator.model.errors import DataError
from emulator.model.network import (
    DOWNLINK,
    BuildOptions,
    EndSpec,
    LinkSpec,
    Network,
    NodeSpec,
    PiecewiseSchedule,
    Timeline,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_PORT = re.compile(r"[^\s/:]{1,15}")
_RESERVED = ("..", ".", "all", "default", "lo")  # the kernel's own names of interfaces and of their settings
_MOST_PORT_BYTES = 15
_SHARED = "its uplink"  # as the owner of a port
_FIRST_IPV4 = int(IPv4Address("10.128.0.0"))  # of nodes that get no address from their topology
_IPV6_PREFIX = IPv6Address("fd53:6b79::").packed[:12]  # unique local; the IPv4 address stands in the last 32 bits


class NetworkBuilder:
    """A network while nodes and links are added. A topology's `build(config, options)` returns one.

    `timeline` and `extra` become those of the network; without a timeline every link end that has no schedule gets a
    constant one (no delay, no limit).
    """

    def __init__(self, options: BuildOptions) -> None:
        self.options = options
        self.timeline: Timeline | None = None
        self.extra: dict[str, Any] = {}
        self.nodes: list[NodeSpec] = []
        self.links: list[LinkSpec] = []
        self._names: set[str] = set()
        self._owner: dict[str, str] = {}  # the node of each address
        self._ports: list[dict[str, str]] = []  # of each node, by name: whose it is; the shared downlink apart
        self._shared_ends: set[str] = set()  # names of the ends that share a port
        self._link_count: list[int] = []  # of each node
        self._good_ports: set[str] = set()  # names that passed: thousands of links share a few

    # -- adding --------------------------------------------------------------------------------------------------------

    def add_node(
        self,
        name: str,
        role: str = "host",
        *,
        live: bool = False,
        ipv4: str | None = None,
        ipv6: str | None = None,
        position: tuple[float, float] | None = None,
        forwards: bool = False,
        shared_downlink: bool = False,
        shared_uplink: bool = False,
        bridge: bool = False,
    ) -> int:
        """Adds a node and returns its number; the fields are those of `NodeSpec`.

        A node that is not `live` becomes live if the scenario's `materialise` names it. Without `ipv4` it gets an
        address by its number, without `ipv6` one made from `ipv4`; an empty text means no address.
        """
        number = len(self.nodes)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise DataError(f"node {name!r}: a name is letters, digits, '.', '_' and '-', 63 characters at most")
        if name in self._names:
            raise DataError(f"node {name}: two nodes have this name; names must differ")
        try:
            ipv4, ipv6 = _addresses(number, ipv4, ipv6)
        except ValueError as error:
            raise DataError(f"node {name}: {error}; expected an address without prefix, such as 10.1.0.7") from None
        for address in filter(None, (ipv4, ipv6)):
            if address in self._owner:
                raise DataError(f"node {name}: address {address} is also that of {self._owner[address]}")
            self._owner[address] = name
        live = self.options.is_live(name, live)
        self.nodes.append(
            NodeSpec(name, role, live, ipv4, ipv6, position, forwards, shared_downlink, shared_uplink, bridge)
        )
        self._names.add(name)
        self._ports.append({name[:15]: "its bridge"} if bridge else {})
        self._link_count.append(0)
        return number

    def add_link(
        self,
        a: int,
        b: int,
        forward: EndSpec | None = None,
        backward: EndSpec | None = None,
        *,
        a_port: str = "",
        b_port: str = "",
        moving: bool = False,
        ethernet: bool = False,
        carrier: bool = False,
        a_address: str = "",
        b_address: str = "",
        antenna: int | None = None,
    ) -> int:
        """Adds a link between two nodes, by their numbers, and returns its number; the fields are those of `LinkSpec`.

        `forward` is the end that sends from a to b, `backward` (by default equal to it) the other one. A port without a
        name becomes eth0, eth1, … in the order of the node's links. `antenna` distinguishes the ends of moving links
        that share the port of `a`: "<node>:<port><antenna>".
        """
        if a == b:
            raise DataError(f"link {self.nodes[a].name} - {self.nodes[b].name}: a link needs two nodes")
        counts = self._link_count
        a_port = a_port or f"eth{counts[a]}"
        b_port = b_port or (DOWNLINK if moving else f"eth{counts[b]}")
        counts[a] += 1
        counts[b] += 1
        name = f"{self.nodes[a].name}:{a_port}{'' if antenna is None else antenna}"
        if moving and self.nodes[a].shared_uplink:
            self._take_shared_port(a, a_port, name)
        else:
            self._take_port(a, a_port, f"link {name}")
        if moving:
            self._check_port_name(b, b_port)
        else:
            self._take_port(b, b_port, f"link {name}")
        forward = forward or EndSpec()
        self.links.append(
            LinkSpec(
                name, a, b, a_port, b_port, forward, backward or forward, moving, ethernet, carrier, a_address,
                b_address,
            )
        )  # fmt: skip
        return len(self.links) - 1

    def _take_port(self, node: int, port: str, owner: str) -> None:
        self._check_port_name(node, port)
        ports = self._ports[node]
        if port in ports:
            raise self._two_ports(node, port, owner)
        ports[port] = owner

    def _take_shared_port(self, node: int, port: str, name: str) -> None:
        """Takes a port for all moving links of a node. Their ends must have names that differ."""
        if name in self._shared_ends:
            raise DataError(f"two links are named {name!r}; expected antennas that differ")
        self._shared_ends.add(name)
        if self._ports[node].get(port) != _SHARED:
            self._take_port(node, port, _SHARED)

    def _check_port_name(self, node: int, port: str) -> None:
        if port not in self._good_ports:
            if problem := port_problem(port):
                raise DataError(f"node {self.nodes[node].name}: {problem}; expected another name of the port")
            self._good_ports.add(port)

    def _two_ports(self, node: int, port: str, other: str) -> DataError:
        return DataError(
            f"node {self.nodes[node].name}: two interfaces are named {port!r} ({other} and {self._ports[node][port]}); "
            "expected names that differ"
        )

    def number_links_by_node(self) -> None:
        """Numbers the links anew, node by node in the order in which nodes got their first link.

        A link counts for the one of its nodes whose name sorts first; links of one node keep their order, but for
        parallel ones, which follow each other. This is how Mininet lists links; topologies that were numbered so keep
        it, so that runs of an older version can be compared end by end.
        """
        order: dict[int, int] = {}
        first: dict[tuple[int, int], int] = {}
        keys = []
        for number, link in enumerate(self.links):
            for node in (link.a, link.b):
                order.setdefault(node, len(order))
            low, high = sorted((link.a, link.b), key=lambda node: self.nodes[node].name)
            keys.append((low, first.setdefault((low, high), number), number))
        keys.sort(key=lambda key: (order[key[0]], *key[1:]))
        self.links = [self.links[number] for *_, number in keys]

    # -- results -------------------------------------------------------------------------------------------------------

    @property
    def live(self) -> list[int]:
        """Numbers of the live nodes that were added so far."""
        return [number for number, node in enumerate(self.nodes) if node.live]

    def network(self) -> Network:
        """The network. DataError: moving links that arrive by ports of different names or kinds, Ethernet at transit
        nodes."""
        links = self.links if self.timeline is not None else [_with_knots(link) for link in self.links]
        self._check_downlinks()
        self._check_ethernet()
        return Network(tuple(self.nodes), tuple(links), self.timeline, self.options.routing, dict(self.extra))

    def _check_downlinks(self) -> None:
        downlinks = {link.b_port for link in self.links if link.moving}
        if len(downlinks) > 1:
            raise DataError(
                f"moving links name their far port {', '.join(sorted(downlinks))}; expected one name for all of them"
            )
        for downlink in downlinks:
            for number, node in enumerate(self.nodes):
                if node.shared_downlink and downlink in self._ports[number]:
                    raise self._two_ports(number, downlink, "its downlink")

    def _check_ethernet(self) -> None:
        """Frames go from port to port: a transit node has none, and knows packets only."""
        if len({link.ethernet for link in self.links if link.moving}) > 1:
            raise DataError("some of the moving links are Ethernet; expected all of them or none, as they share ports")
        shared = [number for number, node in enumerate(self.nodes) if node.shared_downlink]
        for link in self.links:
            if not link.ethernet:
                continue
            for number in (link.a, *(shared if link.moving else (link.b,))):
                if not self.nodes[number].live:
                    name = self.nodes[number].name
                    raise DataError(
                        f"link {link.name} is Ethernet, and {name} is a transit node, which forwards IP packets only; "
                        f'expected nodes with a namespace at both ends: set materialise = "all" (or name {name} in it)'
                    )

    def describe(self, t_s: float) -> dict[str, Any]:
        """Facts of the topology at an instant, such as visibility, for `skyloom plan`; here empty."""
        return {}


def port_problem(port: str) -> str:
    """The fault of an interface name; "" if it is valid."""
    if _PORT.fullmatch(port) and port not in _RESERVED and len(port.encode()) <= _MOST_PORT_BYTES:
        return ""
    return (
        f"interface name {port!r} cannot be used: the kernel allows {_MOST_PORT_BYTES} characters, no '/', ':' or "
        f"space, and not {', '.join(_RESERVED)}"
    )


def _addresses(number: int, ipv4: str | None, ipv6: str | None) -> tuple[str, str]:
    """A node's addresses as text, each one made where it is None. ValueError."""
    if ipv4 is None:
        packed = (_FIRST_IPV4 + number + 1).to_bytes(4, "big")
        ipv4 = socket.inet_ntop(socket.AF_INET, packed)
    elif ipv4:
        try:
            packed = socket.inet_pton(socket.AF_INET, ipv4)  # several times as quick as an IPv4Address
        except (OSError, TypeError):  # IPv4Address says what is wrong
            address = IPv4Address(ipv4)
            ipv4, packed = str(address), address.packed
    else:
        return "", str(IPv6Address(ipv6)) if ipv6 else ""
    if ipv6 is None:
        return ipv4, socket.inet_ntop(socket.AF_INET6, _IPV6_PREFIX + packed)
    return ipv4, str(IPv6Address(ipv6)) if ipv6 else ""


def _with_knots(link: LinkSpec) -> LinkSpec:
    """The link with knots at both ends, which it needs without a timeline."""
    if link.forward.schedule is not None and link.backward.schedule is not None:
        return link
    forward, backward = (
        end if end.schedule is not None else replace(end, schedule=PiecewiseSchedule.constant())
        for end in (link.forward, link.backward)
    )
    return replace(link, forward=forward, backward=backward)
