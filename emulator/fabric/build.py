"""The fabric: a network namespace for each live node, a TUN or TAP port for each link end, addresses, and routes.

Invariant: everything is held by descriptors of this process and has no name outside it; after the last of them closes,
the kernel removes interfaces, routes and namespaces. Needs a sandbox (`sandbox.spawn`) or root.
"""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from errno import EMFILE, ENFILE, ENOENT, ESRCH
from pathlib import Path

from emulator.fabric.kernel import netlink, syscalls, tun
from emulator.model.errors import EmulationError, PlatformError
from emulator.model.network import DOWNLINK, LinkSpec, Network, NodeSpec
from emulator.schedule.fib import SHARED_PORT, UNREACHABLE, RouteDelta

# Packets that wait in a port for the relay: 1,000 at 350,000 a second, if the relay has no core for 3 ms. Each is a
# pointer that is allocated with the port, so with thousands of ports there are fewer.
TX_PACKETS, TX_PACKETS_OF_MANY, MANY_PORTS = 5000, 1000, 1000
SPARE_DESCRIPTORS = 512
_BRIDGE_INDEX = tun.FIRST_INDEX - 1
# The hardware address of every shared downlink, so that a station's neighbour entry is valid for the next satellite.
DOWNLINK_MAC = "02:00:00:00:00:00"


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of a live node, and the descriptor from which the relay reads the node's packets.

    `end` is the link end on which the port's packets are sent; SHARED_PORT (-1): the relay looks the destination up.
    This is so for the port of a live satellite towards all stations, and of a station with several access links.
    """

    node: int
    end: int
    name: str
    fd: int
    ethernet: bool = False


@dataclass(slots=True)
class _Live:
    """A node with a namespace: its descriptor, its ports, and a route socket, opened on first use."""

    netns: int
    ports: list[Port] = field(default_factory=list)
    index: dict[int, int] = field(default_factory=dict)  # interface number by end
    socket: netlink.Socket | None = None


class Fabric:
    """The part of a network that the kernel holds; `live`: which of its live nodes stand here (None: all)."""

    def __init__(self, network: Network, live: Sequence[int] | None = None) -> None:
        self.network = network
        self._here = network.live if live is None else live
        self._live: dict[int, _Live] = {}
        self._plan = _ports_of(network)
        ports = sum(len(self._plan[node]) for node in self._here)
        self._tx_packets = TX_PACKETS if ports < MANY_PORTS else TX_PACKETS_OF_MANY
        self._inherited: dict[str, bytes] = {}

    # -- building ------------------------------------------------------------------------------------------------------

    def build(self, progress: Callable[[int, int], None] | None = None) -> list[Port]:
        """Make every live node; returns all ports in the order of nodes and of their links.

        `progress(done, total)` counts nodes. Raises PlatformError if the machine cannot hold the network, and
        EmulationError if the kernel refuses a request; `close` removes the nodes made until then.
        """
        live = self._here
        plugs = 2 * sum(link.carrier for link in self.network.links)
        allow_descriptors(2 * len(live) + plugs + sum(len(self._plan[node]) for node in live), len(live))
        home = syscalls.open_netns()
        try:
            for done, node in enumerate(live):
                try:
                    self._build_node(node)
                except OSError as error:
                    raise _explain(error, self.network.nodes[node].name, done, len(live)) from error
                if progress and (done % 16 == 15 or done + 1 == len(live)):
                    progress(done + 1, len(live))
        finally:
            syscalls.setns(home, syscalls.CLONE_NEWNET)
            os.close(home)
        return [port for node in live for port in self._live[node].ports]

    def _build_node(self, number: int) -> None:
        node, plan = self.network.nodes[number], self._plan[number]
        syscalls.unshare(syscalls.CLONE_NEWNET)
        held = self._live[number] = _Live(syscalls.open_netns())
        forwards = _forwards(node, plan)
        self._set_sysctls(forwards, forwards and any(end < 0 for end, _, _ in plan))
        for at, (end, name, link) in enumerate(plan):
            index = tun.FIRST_INDEX + at
            ethernet = link.ethernet if link is not None else _ethernet_downlinks(self.network)
            held.ports.append(Port(number, end, name, tun.open_port(name, index, ethernet, offload=True), ethernet))
            held.index[end] = index
        route_socket = netlink.Socket()
        try:
            if forwards:
                self._forward_ipv6_quietly(route_socket, held)
            # A TUN or TAP device takes every packet at once, so a queue before it is always empty, and costs 24 kB. A
            # kernel without queueing disciplines refuses, and has no such queue.
            route_socket.try_send([netlink.no_queue(index) for index in held.index.values()])
            route_socket.send(self._configuration(number), node.name)
        finally:
            route_socket.close()

    def _configuration(self, number: int) -> list[bytes]:
        """The netlink messages that set a node's addresses, bridge and first routes."""
        node, held = self.network.nodes[number], self._live[number]
        messages = [netlink.set_link(1, up=True)]
        numbered = False  # by interface, as Mininet does
        if node.bridge:
            messages += [netlink.add_bridge(node.name[:15], _BRIDGE_INDEX)]
        for (end, _, link), port in zip(self._plan[number], held.ports, strict=True):
            index = held.index[end]
            address = "" if link is None else (link.b_address if end % 2 else link.a_address)
            numbered = numbered or bool(address)
            messages.append(
                netlink.set_link(
                    index,
                    txqlen=self._tx_packets,
                    master=_BRIDGE_INDEX if node.bridge else None,
                    mac=port_mac(self.network, end) if port.ethernet else "",
                    link_local=bool(address),
                )
            )
            messages.append(
                netlink.set_link(index, up=True)
            )  # apart, because one message would be carried out up first
            if not port.ethernet:
                messages.append(netlink.add_neighbour(index, "0.0.0.0"))
            if address:
                ip, _, length = address.partition("/")
                messages.append(netlink.add_address(index, ip, int(length or 32)))
            elif port.ethernet and link is not None and not node.bridge:
                peer = self.network.nodes[link.a if end % 2 else link.b]
                messages += [
                    netlink.add_neighbour(index, ip, port_mac(self.network, end ^ 1))
                    for ip in (peer.ipv4, peer.ipv6)
                    if ip
                ]
            elif port.ethernet and link is None:
                messages += _neighbours_below(self.network, index)
        if node.bridge:
            return [*messages, netlink.set_link(_BRIDGE_INDEX, up=True)]
        if node.ipv4 and not numbered:
            messages.append(netlink.add_address(1, node.ipv4, 32))
        if node.ipv6:
            messages.append(netlink.add_address(1, node.ipv6, 128))
        if len(held.ports) == 1 and not numbered and self.network.routing != "none":
            messages += self._only_routes(number, held.ports[0].end)
        gateway = self.network.extra.get("default_routes", {}).get(node.name)
        if gateway:
            messages.append(netlink.route(bytes(4), 0, held.index[held.ports[0].end], gateway=_packed(gateway)))
        return messages

    def _only_routes(self, number: int, end: int) -> list[bytes]:
        """The routes of a node with one port: all by that port, or only its neighbour."""
        if self.network.routing != "neighbours":
            return [self._route(number, bytes(4), 0, end), self._route(number, bytes(16), 0, end)]
        link = self.network.links[end // 2]
        peer = self.network.nodes[link.a if end % 2 else link.b]
        addresses = [_packed(address) for address in (peer.ipv4, peer.ipv6) if address and peer.live]
        return [self._route(number, address, 8 * len(address), end) for address in addresses]

    def _route(self, number: int, prefix: bytes, length: int, end: int) -> bytes:
        """The route of node `number` to a prefix by a link end; on Ethernet its peer is the gateway."""
        if end == UNREACHABLE:
            return netlink.route(prefix, length, 0, unreachable=True)
        index = self._live[number].index[end]
        link = self.network.links[end // 2]
        if end == SHARED_PORT or not link.ethernet:
            return netlink.route(prefix, length, index)
        peer = self.network.nodes[link.a if end % 2 else link.b]
        gateway = _packed(peer.ipv4 if len(prefix) == 4 else peer.ipv6)
        return netlink.route(prefix, length, index, gateway=gateway, onlink=True)

    def _set_sysctls(self, forwards: bool, hairpin: bool) -> None:
        """Set the settings that a namespace must not inherit. Only different values are written: each costs 70 µs."""
        expected = {
            "ipv4/ip_forward": b"1" if forwards else b"0",
            "ipv6/conf/all/forwarding": b"0",  # until its interfaces are there: see _forward_ipv6_quietly
            "ipv4/conf/all/rp_filter": b"0",  # a packet may come back by another interface than it would leave by
            "ipv4/conf/default/rp_filter": b"0",
        }
        if hairpin:  # the shared downlink forwards out of the port that a packet came by; that is no detour
            expected |= {"ipv4/conf/all/send_redirects": b"0", "ipv4/conf/default/send_redirects": b"0"}
        for name, value in expected.items():
            if name not in self._inherited:
                self._inherited[name] = _read("/proc/sys/net/" + name)
            if self._inherited[name] not in (value, b""):  # empty: not in this kernel (IPv6 switched off)
                _write("/proc/sys/net/" + name, value)

    def _forward_ipv6_quietly(self, route_socket: netlink.Socket, held: _Live) -> None:
        """Forward IPv6 without joining ff02::2 on the ports, which the kernel would report on each of them (MLD) when
        it comes up: it joins on interfaces that can multicast, so for this moment they cannot."""
        name = "ipv6/conf/all/forwarding"
        if self._inherited[name] == b"":
            return
        for multicast in (False, True):
            route_socket.send([netlink.set_link(index, multicast=multicast) for index in held.index.values()], name)
            if not multicast:
                _write("/proc/sys/net/" + name, b"1")

    # -- while it runs -------------------------------------------------------------------------------------------------

    def netns(self, node: int) -> int:
        """Descriptor of a live node's network namespace, for `syscalls.setns`. EmulationError if it has none."""
        if node not in self._live:
            name = self.network.nodes[node].name
            raise EmulationError(f"{name} is a transit node of the relay and has no namespace; see `materialise`")
        return self._live[node].netns

    def apply_routes(self, deltas: Iterable[RouteDelta]) -> list[str]:
        """Apply route changes, additions before deletions; returns the kernel's errors, for the verdict.

        To delete a missing route (deleted by the user in the node) is no error.
        """
        refused: list[str] = []
        for delta in deltas:
            held = self._live[delta.node]
            if held.socket is None:
                with syscalls.inside(held.netns):
                    held.socket = netlink.Socket()
            for errno, what in held.socket.try_send(self._changes(delta)):
                if errno not in (ESRCH, ENOENT):
                    refused.append(f"{self.network.nodes[delta.node].name}: {what}")
        return refused

    def _changes(self, delta: RouteDelta) -> bytes:
        held, width = self._live[delta.node], 4 if delta.version == 4 else 16
        plain, messages = [], []
        for prefix, length, end in delta.add:
            own = self._own_end(end)
            if length and not (own >= 0 and self.network.links[own // 2].ethernet):
                plain.append((prefix.to_bytes(width, "big"), length, 0 if own == UNREACHABLE else held.index[own]))
            else:
                messages.append(self._route(delta.node, prefix.to_bytes(width, "big"), length, own))
        if plain:
            prefixes, lengths, indexes = zip(*plain, strict=True)
            messages.append(netlink.routes(b"".join(prefixes), lengths, indexes, delta.version))
        messages += [
            netlink.route(prefix.to_bytes(width, "big"), length, 0, delete=True) for prefix, length in delta.delete
        ]
        return b"".join(messages)

    def _own_end(self, end: int) -> int:
        """The end as in a node's ports: SHARED_PORT for an end that leaves by a shared port."""
        if end < 0 or not (link := self.network.links[end // 2]).moving:
            return end
        return SHARED_PORT if end % 2 or self.network.nodes[link.a].shared_uplink else end

    def counters(self) -> dict[str, netlink.LinkStats]:
        """Kernel counters by "<node>:<port>"; tx_dropped: packets for a port that was full as the relay was late."""
        found: dict[str, netlink.LinkStats] = {}
        for number, held in self._live.items():
            with syscalls.inside(held.netns):
                route_socket = netlink.Socket()
            try:
                ours = {port.name for port in held.ports}
                for link in route_socket.links():
                    if link.name in ours:
                        found[f"{self.network.nodes[number].name}:{link.name}"] = link
            finally:
                route_socket.close()
        return found

    def close(self) -> None:
        """Close all descriptors; the kernel removes the network once no process of a node is left."""
        for held in self._live.values():
            for port in held.ports:
                os.close(port.fd)
            if held.socket:
                held.socket.close()
            os.close(held.netns)
        self._live.clear()


def allow_descriptors(more: int, live: int = 0) -> None:
    """Raise the limit of open files by `more`. PlatformError if the machine refuses; it names `live` nodes."""
    needed = more + sum(1 for _ in Path("/proc/self/fd").iterdir()) + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return
    try:  # root may raise the hard limit too
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, needed), max(hard, needed)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if hard < needed:
            what = f"{live} live nodes need" if live else "the hosts of this run need"
            raise PlatformError(
                f"{what} {needed} open files, the hard limit is {hard}; raise it "
                f"(`ulimit -Hn {needed}` as root, or 'nofile' in /etc/security/limits.conf), or materialise fewer"
            ) from None


_Plan = list[tuple[int, str, LinkSpec | None]]  # end (-1: shared port), interface name, link


def _ports_of(network: Network) -> dict[int, _Plan]:
    """The ports of each live node."""
    plan: dict[int, _Plan] = {number: [] for number in network.live}
    downlink = next((link.b_port or DOWNLINK for link in network.links if link.moving), "")
    for number, link in enumerate(network.links):
        if link.a in plan and link.moving and network.nodes[link.a].shared_uplink:
            if not any(end == SHARED_PORT for end, _, _ in plan[link.a]):
                plan[link.a].append((SHARED_PORT, link.a_port, None))
        elif link.a in plan:
            plan[link.a].append((2 * number, link.a_port, link))
        if not link.moving and link.b in plan:
            plan[link.b].append((2 * number + 1, link.b_port, link))
    for number, ports in plan.items():
        if downlink and network.nodes[number].shared_downlink:
            ports.append((SHARED_PORT, downlink, None))
    return plan


def port_mac(network: Network, end: int) -> str:
    """The hardware address of an Ethernet port: that of the scenario; else a local one that contains the number of the
    end, by which the engine finds the route from a shared downlink."""
    if end == SHARED_PORT or (end % 2 and network.links[end // 2].moving):
        return DOWNLINK_MAC
    mac = network.extra.get("macs", {}).get(network.end_name(end))
    return str(mac) if mac else "02:00:" + (end + 1).to_bytes(4, "big").hex(":")


def _ethernet_downlinks(network: Network) -> bool:
    return any(link.moving and link.ethernet for link in network.links)


def _neighbours_below(network: Network, index: int) -> list[bytes]:
    """All nodes that a shared downlink may serve, as neighbours of the interface: IPv6 would not find them, as their
    addresses are on loopback."""
    return [
        netlink.add_neighbour(index, ip, port_mac(network, 2 * number))
        for number, link in enumerate(network.links)
        if link.moving
        for ip in (network.nodes[link.a].ipv4, network.nodes[link.a].ipv6)
        if ip
    ]


def _forwards(node: NodeSpec, plan: _Plan) -> bool:
    return node.forwards and not node.bridge and (len(plan) > 1 or any(end < 0 for end, _, _ in plan))


def _packed(address: str) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.inet_pton(family, address)


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.read(fd, 64).strip()
    finally:
        os.close(fd)


def _write(path: str, value: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value)
    finally:
        os.close(fd)


def _explain(error: OSError, name: str, done: int, total: int) -> Exception:
    made = f"{name}: after {done} of {total} nodes the kernel refused: {error}"
    if error.errno in (EMFILE, ENFILE):
        return PlatformError(f"{made}; raise the limit of open files (`ulimit -n`), or materialise fewer nodes")
    if error.filename == tun.DEVICE or error.errno in (1, 13):
        return PlatformError(f"{made}; `skyloom doctor` names what is missing and how to install it")
    return EmulationError(made)
