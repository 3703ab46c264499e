"""From a `mininet.topo.Topo` to a network: what the options of Mininet's nodes and links mean.

For topology files that build Mininet Topos; our own topologies add to a `NetworkBuilder` themselves. Invariant: an
option is understood or refused, never ignored in silence; every message names the node or the link. Nodes with a `role`
are Skyloom's (unnumbered links, TUN ports); nodes without are plain Mininet's (10.0.0.n/8 on the first interface,
Ethernet ports, switches that are kernel bridges).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Interface
from typing import TYPE_CHECKING, Any

from emulator.fabric.kernel.shaping import QUIET_OPTIONS, SHAPING_OPTIONS, plain_end
from emulator.model.builder import NetworkBuilder, port_problem
from emulator.model.errors import DataError
from emulator.model.network import DOWNLINK, BuildOptions, EndSpec, Network, PiecewiseSchedule

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
_MININET_NET = IPv4Interface("10.0.0.0/8")


def network_from(topo: Topo, materialise: str | tuple[str, ...] = "ends", routing: str = "least-delay") -> Network:
    """The network that `topo` describes. `materialise` and `routing` as in a scenario. Raises DataError."""
    return TopoBuilder(topo, BuildOptions(materialise=materialise, routing=routing)).network()


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


class TopoBuilder(NetworkBuilder):
    """The builder that a Topo's nodes and links were added to. Takes its attributes `timeline` and `extra`, too."""

    def __init__(self, topo: Topo, options: BuildOptions) -> None:
        super().__init__(options)
        self.topo = topo
        self.timeline, self.extra = getattr(topo, "timeline", None), dict(getattr(topo, "extra", {}))
        self._node_options: dict[Any, dict[str, Any]] = dict(topo.g.node)
        infos = dict(enumerate(info for _, _, info in topo.links(sort=False, withInfo=True)))
        self._infos = [infos[key] for key in _in_order(infos, "link")]
        self._plain_ipv4 = self._mininet_addresses()
        self._first_port: dict[str, int] = {}  # the lowest port of each node: the one with a plain host's address
        self._degree: Counter[str] = Counter()  # links of each node
        for info in self._infos:
            for side in "12":
                node, port = info["node" + side], info["port" + side]
                self._first_port[node] = min(port, self._first_port.get(node, port))
                self._degree[node] += 1
        self._numbers = {name: self._add_node(name) for name in _in_order(self._node_options, "node")}
        for info in self._infos:
            self._add_link(info)
        if macs := self._hardware_addresses():
            self.extra["macs"] = macs
        if gateways := self._gateways():
            self.extra["default_routes"] = gateways

    def describe(self, t_s: float) -> dict[str, Any]:
        """What the Topo's own `describe` shows of an instant, where it has one."""
        found: dict[str, Any] = self.topo.describe(t_s) if hasattr(self.topo, "describe") else {}
        return found

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _plain(self, name: str) -> bool:
        return "role" not in self._node_options[name]

    def _add_node(self, name: Any) -> int:
        opts = self._node_options[name]
        switch = bool(opts.get("isSwitch"))
        known = _PLAIN_NODE_OPTIONS if self._plain(name) else _NODE_OPTIONS
        _refuse_unknown(f"node {name}", opts, known | _SWITCH_OPTIONS if switch else known)
        if opts.get("inNamespace", True) is not True and not switch:
            raise DataError(f"node {name}: inNamespace=False would put it on the host, which no run touches; drop it")
        position = opts.get("position")
        if switch:
            return self.add_node(name, "switch", live=True, ipv4="", position=position, forwards=True, bridge=True)
        if self._plain(name):
            role, ipv4 = _plain_role(name, opts.get("cls")), str(self._plain_ipv4[name].ip)
            forwards = role != "host"
            return self.add_node(name, role, live=True, ipv4=ipv4, ipv6="", position=position, forwards=forwards)
        role = str(opts["role"])
        satellite, station = role == "satellite", role == "ground station"
        return self.add_node(
            name,
            role,
            live=bool(opts.get("live", not satellite)),
            ipv4=opts.get("ipv4") or None,
            ipv6=opts.get("ipv6") or None,
            position=position,
            # A host is a leaf, and so is a station that has its access link alone.
            forwards=role != "host" and not (station and self._degree[name] < 2),
            shared_downlink=satellite,
        )

    def _mininet_addresses(self) -> dict[str, IPv4Interface]:
        """What Mininet would give its hosts: 10.0.0.n/8, n counting the hosts in natural order of their names."""
        addresses: dict[str, IPv4Interface] = {}
        if all("role" in opts for opts in self._node_options.values()):  # spares sorting thousands of names
            return addresses
        plain = [name for name in self.topo.hosts() if self._plain(name)]
        for number, name in enumerate(plain, start=1):
            text = str(self._node_options[name].get("ip") or _MININET_NET.ip + number)
            try:
                addresses[name] = IPv4Interface(text if "/" in text else f"{text}/8")
            except ValueError as error:
                raise DataError(f"node {name}: ip: {error}; expected an address such as '10.0.0.1/24'") from None
        return addresses

    def _gateways(self) -> dict[str, str]:
        """Gateways by node, from `defaultRoute="via 10.0.0.254"`."""
        found = {}
        for name, opts in self._node_options.items():
            if given := opts.get("defaultRoute"):
                match = re.fullmatch(r"via (\d+\.\d+\.\d+\.\d+)", str(given).strip())
                if not match:
                    raise DataError(f"node {name}: defaultRoute {given!r}; expected 'via' and an IPv4 address")
                found[name] = match[1]
        return found

    # -- links ---------------------------------------------------------------------------------------------------------

    def _add_link(self, info: dict[str, Any]) -> None:
        a, b = info["node1"], info["node2"]
        where = f"link {a} - {b}"
        _refuse_unknown(where, info, _ALL_LINK_OPTIONS)
        plain = self._plain(a) or self._plain(b)
        self.add_link(
            self._numbers[a],
            self._numbers[b],
            self._end(where, info, "forward", "1", plain),
            self._end(where, info, "backward", "2", plain),
            a_port=self._port_name(info, "1"),
            b_port=self._port_name(info, "2"),
            moving=bool(info.get("moving")),
            ethernet=bool(info.get("ethernet", plain)),
            carrier=bool(info.get("carrier")),
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
            raise DataError(f"{where}: {key} is {end!r}; expected an EndSpec")
        if plain and end.schedule is None:  # no timeline knows it
            end = replace(end, schedule=PiecewiseSchedule.constant())
        return end

    def _port_name(self, info: dict[str, Any], side: str) -> str:
        node, port = info["node" + side], info["port" + side]
        generated = f"{node}-eth{port}" if self._plain(node) else f"eth{port}"
        if info.get("moving") and side == "2":
            generated = DOWNLINK
        name = str(info.get("intfName" + side) or generated)
        if problem := port_problem(name):
            raise DataError(f"node {node}: {problem}; shorten the node's name, or give intfName{side}")
        return name

    def _interface_address(self, where: str, info: dict[str, Any], side: str) -> str:
        """The address on an interface: what params say, else a plain host's own on its first interface, else none."""
        node = info["node" + side]
        given = (info.get("params" + side) or {}).get("ip")
        if given:
            try:
                return str(IPv4Interface(str(given) if "/" in str(given) else f"{given}/8"))
            except ValueError as error:
                raise DataError(f"{where}: params{side}: ip: {error}; expected such as '10.0.1.1/24'") from None
        if node not in self._plain_ipv4 or self._first_port[node] != info["port" + side]:
            return ""
        return str(self._plain_ipv4[node])

    def _hardware_addresses(self) -> dict[str, str]:
        """Given MAC addresses by "<node>:<port>"."""
        found: dict[str, str] = {}
        for info in self._infos:
            for side in "12":
                node = info["node" + side]
                given = info.get("addr" + side) or (info.get("params" + side) or {}).get("mac")
                if not given and self._first_port[node] == info["port" + side]:
                    given = self._node_options[node].get("mac")
                if given:
                    if not re.fullmatch(r"[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}", str(given)):
                        raise DataError(f"node {node}: mac {given!r}; expected one such as '00:00:00:00:00:01'")
                    found[f"{node}:{self._port_name(info, side)}"] = str(given)
        return found


def _plain_role(name: str, cls: Any) -> str:
    """A class of the user's own may forward (the LinuxRouter of Mininet's examples); limits of CPU we cannot keep."""
    kinds = {kind.__name__ for kind in getattr(cls, "__mro__", ())}
    if kinds & {"CPULimitedHost", "NAT", "Controller"}:
        raise DataError(f"node {name}: cls={cls.__name__} is not supported; use a plain host")
    return "router" if kinds and "Host" not in kinds and cls.__name__ != "Node" else "host"


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
