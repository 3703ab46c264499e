"""From a `mininet.topo.Topo` to a `Network`: the only place that knows what the options of nodes and links mean.

Invariant: an option is understood or refused, never ignored in silence; every message names the node or the link. Nodes
with a `role` are Skyloom's (unnumbered links, TUN ports); nodes without are plain Mininet's (10.0.0.n/8 on the first
interface, Ethernet ports, switches that are kernel bridges).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from typing import TYPE_CHECKING, Any

from emulator.fabric.build import DOWNLINK
from emulator.fabric.kernel.shaping import QUIET_OPTIONS, SHAPING_OPTIONS, plain_end
from emulator.model.errors import DataError
from emulator.model.network import BuildOptions, EndSpec, Knots, LinkSpec, Network, NodeSpec

if TYPE_CHECKING:
    from mininet.topo import Topo

_NODE_OPTIONS = {"role", "live", "ipv4", "ipv6", "position", "number"}
_PLAIN_NODE_OPTIONS = {"isSwitch", "ip", "mac", "defaultRoute", "cls", "inNamespace", "position", "number"}
_SWITCH_OPTIONS = {"dpid", "failMode", "protocols", "datapath", "stp", "batch", "listenPort", "reconnectms"}
_LINK_OPTIONS = {
    "node1", "node2", "port1", "port2", "number", "intfName1", "intfName2", "addr1", "addr2", "params1", "params2",
    "forward", "backward", "moving", "ethernet", "carrier", "cls", "fast",
}  # fmt: skip
_ALL_LINK_OPTIONS = _LINK_OPTIONS | SHAPING_OPTIONS | QUIET_OPTIONS
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_PORT = re.compile(r"[^\s/:]{1,15}")
_RESERVED = {"lo", "all", "default", ".", ".."}
_FIRST_IPV4 = IPv4Address("10.128.0.0")  # of nodes that got no address from their topology
_IPV6 = IPv6Address("fd53:6b79::")  # unique local; the IPv4 address stands in its last 32 bits
_IPV6_PREFIX = _IPV6.packed[:12]
_MININET_NET = IPv4Interface("10.0.0.0/8")


def network_from(topo: Topo, materialise: str | tuple[str, ...] = "ends", routing: str = "least-delay") -> Network:
    """The network that `topo` describes. `materialise` and `routing` as in a scenario. Raises DataError."""
    return _Converter(topo, BuildOptions(materialise=materialise, routing=routing)).network()


@contextmanager
def refuse_duplicates() -> Iterator[None]:
    """While Topos are built in this block, adding a node of a name that is taken raises DataError.

    Mininet's Topo lets the later node replace the earlier one without a word.
    """
    from mininet.topo import MultiGraph

    original = MultiGraph.add_node

    def add_node(self: Any, node: str, attr_dict: dict[str, Any] | None = None, **attrs: Any) -> None:
        if node in self.node:
            raise DataError(f"node {node}: two nodes have this name; names must differ")
        original(self, node, attr_dict, **attrs)

    MultiGraph.add_node = add_node
    try:
        yield
    finally:
        MultiGraph.add_node = original


def _in_order(options: dict[Any, dict[str, Any]], what: str) -> list[Any]:
    """Keys by their option `number` where they have it, else as they were added; a gap means that one was lost."""
    numbers = [opts["number"] for opts in options.values() if "number" in opts]
    if not numbers:
        return list(options)
    if sorted(numbers) != list(range(len(options))):
        raise DataError(
            f"{what} numbers must run from 0 to {len(options) - 1} without gaps, but {len(numbers)} of {len(options)} "
            f"have one; a gap means that two {what}s have one name"
        )
    return sorted(options, key=lambda key: options[key]["number"])


class _Converter:
    """One conversion; holds what the steps share."""

    def __init__(self, topo: Topo, options: BuildOptions) -> None:
        self.topo, self.options = topo, options
        self.node_options: dict[Any, dict[str, Any]] = dict(topo.g.node)
        self.names = _in_order(self.node_options, "node")
        self.numbers = {name: number for number, name in enumerate(self.names)}
        infos = dict(enumerate(info for _, _, info in topo.links(sort=False, withInfo=True)))
        self.infos = [infos[key] for key in _in_order(infos, "link")]
        self.timeline = getattr(topo, "timeline", None)
        self.plain_ipv4 = self._mininet_addresses()
        self.good_ports: set[str] = set()  # given names of interfaces that passed: thousands of links share a few
        self.first_port: dict[str, int] = {}  # the lowest port of each node: the one with a plain host's address
        for info in self.infos:
            for side in "12":
                node, port = info["node" + side], info["port" + side]
                self.first_port[node] = min(port, self.first_port.get(node, port))

    def network(self) -> Network:
        nodes = tuple(self._node(number, name) for number, name in enumerate(self.names))
        _check_addresses(nodes)
        links = tuple(self._link(info) for info in self.infos)
        _check_ports(nodes, links)
        extra = dict(getattr(self.topo, "extra", {}))
        if macs := self._hardware_addresses():
            extra["macs"] = macs
        if gateways := self._gateways():
            extra["default_routes"] = gateways
        return Network(nodes, links, self.timeline, self.options.routing, extra)

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _plain(self, name: str) -> bool:
        return "role" not in self.node_options[name]

    def _node(self, number: int, name: Any) -> NodeSpec:
        opts = self.node_options[name]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise DataError(f"node {name!r}: a name is letters, digits, '.', '_' and '-', 63 characters at most")
        switch = bool(opts.get("isSwitch"))
        known = _PLAIN_NODE_OPTIONS if self._plain(name) else _NODE_OPTIONS
        _refuse_unknown(f"node {name}", opts, known | _SWITCH_OPTIONS if switch else known)
        if opts.get("inNamespace", True) is not True and not switch:
            raise DataError(f"node {name}: inNamespace=False would put it on the host, which no run touches; drop it")
        position = opts.get("position")
        if switch:
            return NodeSpec(name, "switch", True, position=position)
        if self._plain(name):
            return NodeSpec(name, _plain_role(name, opts.get("cls")), True, str(self.plain_ipv4[name].ip), "", position)
        role = str(opts["role"])
        live = bool(opts.get("live", role != "satellite")) or self.options.is_live(name, False)
        try:
            ipv4, ipv6 = _addresses(opts.get("ipv4") or _FIRST_IPV4 + number + 1, opts.get("ipv6"))
        except ValueError as error:
            raise DataError(f"node {name}: {error}; wanted an address without prefix, such as 10.1.0.7") from None
        return NodeSpec(name, role, live, ipv4, ipv6, position)

    def _mininet_addresses(self) -> dict[str, IPv4Interface]:
        """What Mininet would give its hosts: 10.0.0.n/8, n counting the hosts in natural order of their names."""
        addresses: dict[str, IPv4Interface] = {}
        if all("role" in opts for opts in self.node_options.values()):  # spares sorting thousands of names
            return addresses
        plain = [name for name in self.topo.hosts() if self._plain(name)]
        for number, name in enumerate(plain, start=1):
            text = str(self.node_options[name].get("ip") or _MININET_NET.ip + number)
            try:
                addresses[name] = IPv4Interface(text if "/" in text else f"{text}/8")
            except ValueError as error:
                raise DataError(f"node {name}: ip: {error}; wanted an address such as '10.0.0.1/24'") from None
        return addresses

    def _gateways(self) -> dict[str, str]:
        """Gateways by node, from `defaultRoute="via 10.0.0.254"`."""
        found = {}
        for name, opts in self.node_options.items():
            if given := opts.get("defaultRoute"):
                match = re.fullmatch(r"via (\d+\.\d+\.\d+\.\d+)", str(given).strip())
                if not match:
                    raise DataError(f"node {name}: defaultRoute {given!r}; wanted 'via' and an IPv4 address")
                found[name] = match[1]
        return found

    # -- links ---------------------------------------------------------------------------------------------------------

    def _link(self, info: dict[str, Any]) -> LinkSpec:
        a, b = info["node1"], info["node2"]
        where = f"link {a} - {b}"
        _refuse_unknown(where, info, _ALL_LINK_OPTIONS)
        if a == b:
            raise DataError(f"{where}: a link needs two nodes")
        plain = self._plain(a) or self._plain(b)
        a_port = self._port_name(info, "1")
        forward = self._end(where, info, "forward", "1", plain)
        backward = self._end(where, info, "backward", "2", plain)
        carrier = bool(info.get("carrier"))
        if carrier and (info.get("moving") or forward.knots is None or backward.knots is None):
            raise DataError(f"{where}: carrier=True; wanted a link that does not move, with knots of its own both ways")
        return LinkSpec(
            name=f"{a}:{a_port}",
            a=self.numbers[a],
            b=self.numbers[b],
            a_port=a_port,
            b_port=self._port_name(info, "2"),
            forward=forward,
            backward=backward,
            moving=bool(info.get("moving")),
            ethernet=bool(info.get("ethernet", plain)),
            carrier=carrier,
            a_address=self._interface_address(where, info, "1"),
            b_address=self._interface_address(where, info, "2"),
        )

    def _end(self, where: str, info: dict[str, Any], key: str, side: str, plain: bool) -> EndSpec:
        end = info.get(key)
        if end is None:
            params = info.get("params" + side) or {}
            _refuse_unknown(f"{where}: params{side}", params, SHAPING_OPTIONS | QUIET_OPTIONS | {"ip", "mac"})
            end = plain_end(where, {**info, **params})
        elif not isinstance(end, EndSpec):
            raise DataError(f"{where}: {key} is {end!r}; wanted an EndSpec")
        if end.knots is None and (plain or self.timeline is None):  # nothing else would say what the end does
            end = replace(end, knots=Knots.constant())
        return end

    def _port_name(self, info: dict[str, Any], side: str) -> str:
        given = info.get("intfName" + side)
        if isinstance(given, str) and given in self.good_ports:
            return given
        node, port = info["node" + side], info["port" + side]
        generated = f"{node}-eth{port}" if self._plain(node) else f"eth{port}"
        if info.get("moving") and side == "2":
            generated = DOWNLINK
        name = str(given or generated)
        if not _PORT.fullmatch(name) or name in _RESERVED or len(name.encode()) > 15:
            raise DataError(
                f"node {node}: interface name {name!r} cannot be used: the kernel allows 15 characters, no '/', ':' or "
                f"space, and not {', '.join(sorted(_RESERVED))}; shorten the node's name, or give intfName{side}"
            )
        if given == name:
            self.good_ports.add(name)
        return name

    def _interface_address(self, where: str, info: dict[str, Any], side: str) -> str:
        """The address on an interface: what params say, else a plain host's own on its first interface, else none."""
        node = info["node" + side]
        given = (info.get("params" + side) or {}).get("ip")
        if given:
            try:
                return str(IPv4Interface(str(given) if "/" in str(given) else f"{given}/8"))
            except ValueError as error:
                raise DataError(f"{where}: params{side}: ip: {error}; wanted such as '10.0.1.1/24'") from None
        if node not in self.plain_ipv4 or self.first_port[node] != info["port" + side]:
            return ""
        return str(self.plain_ipv4[node])

    def _hardware_addresses(self) -> dict[str, str]:
        """Given MAC addresses by "<node>:<port>"."""
        found: dict[str, str] = {}
        for info in self.infos:
            for side in "12":
                node = info["node" + side]
                given = info.get("addr" + side) or (info.get("params" + side) or {}).get("mac")
                if not given and self.first_port[node] == info["port" + side]:
                    given = self.node_options[node].get("mac")
                if given:
                    if not re.fullmatch(r"[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}", str(given)):
                        raise DataError(f"node {node}: mac {given!r}; wanted one such as '00:00:00:00:00:01'")
                    found[f"{node}:{self._port_name(info, side)}"] = str(given)
        return found


def _addresses(ipv4: Any, ipv6: Any) -> tuple[str, str]:
    """A node's addresses as text, the IPv6 one made from the other where none is given. ValueError."""
    try:
        packed = socket.inet_pton(socket.AF_INET, ipv4)  # several times as quick as an IPv4Address
    except (OSError, TypeError):
        ipv4 = IPv4Address(ipv4)
        ipv4, packed = str(ipv4), ipv4.packed
    if ipv6:
        return ipv4, str(IPv6Address(ipv6))
    return ipv4, socket.inet_ntop(socket.AF_INET6, _IPV6_PREFIX + packed)


def _plain_role(name: str, cls: Any) -> str:
    """A class of the user's own may forward (the LinuxRouter of Mininet's examples); limits of CPU we cannot keep."""
    kinds = {kind.__name__ for kind in getattr(cls, "__mro__", ())}
    if kinds & {"CPULimitedHost", "NAT", "Controller"}:
        raise DataError(f"node {name}: cls={cls.__name__} is not supported; use a plain host")
    return "router" if kinds and "Host" not in kinds and cls.__name__ != "Node" else "host"


def _check_addresses(nodes: tuple[NodeSpec, ...]) -> None:
    taken: dict[str, str] = {}
    for node in nodes:
        for address in filter(None, (node.ipv4, node.ipv6)):
            if address in taken:
                raise DataError(f"node {node.name}: address {address} is also that of {taken[address]}")
            taken[address] = node.name


def _check_ports(nodes: tuple[NodeSpec, ...], links: tuple[LinkSpec, ...]) -> None:
    taken = {(number, node.name[:15]): "its bridge" for number, node in enumerate(nodes) if node.role == "switch"}
    downlinks = {link.b_port for link in links if link.moving}
    if len(downlinks) > 1:
        raise DataError(f"moving links name their far port {', '.join(sorted(downlinks))}; wanted one name (intfName2)")
    for downlink in downlinks:
        taken |= {(number, downlink): "its downlink" for number, node in enumerate(nodes) if node.role == "satellite"}
    for link in links:
        sides = [(link.a, link.a_port)] if link.moving else [(link.a, link.a_port), (link.b, link.b_port)]
        for node, port in sides:
            if (node, port) in taken:
                raise DataError(
                    f"node {nodes[node].name}: two interfaces are named {port!r} (link {link.name} and "
                    f"{taken[node, port]}); name them by intfName1 and intfName2"
                )
            taken[node, port] = f"link {link.name}"


def _refuse_unknown(where: str, options: dict[str, Any], known: set[str]) -> None:
    if options.keys() <= known:
        return
    from difflib import get_close_matches

    for key in options:
        if key not in known:
            near = get_close_matches(key, sorted(known), 1)
            raise DataError(
                f"{where}: option {key!r} is not supported"
                + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}")
            )
