"""A slow model of a small network: link ends, routes by step, hop limits, and what transit nodes answer.

Everything happens in the order of (time, number of the link end), one packet at a time. Invariant: the model knows no
lanes; an engine of any number of lanes has to give what it gives.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from math import inf

from emulator.link.stats import EndStats
from emulator.model.network import Network, ScheduleRow
from oracle.icmp import Allowance, answer
from oracle.link_end import LinkEnd
from oracle.packet_bytes import (
    ETHERNET,
    VIRTIO,
    destination,
    hop_limit,
    is_group,
    source,
    with_hop_limit,
)
from oracle.packets import Data, Packet
from oracle.schedule import Schedule

UNKNOWN, NOWHERE = -1, -2  # destinations: not looked up yet, and known to nobody
Arrival = tuple[int, Packet]  # link end, and the packet as it reached a port


class NetworkModel:
    """The network with all of its rows. `may_forward` names the nodes that lie on ways to transit nodes."""

    def __init__(
        self,
        network: Network,
        rows: Sequence[ScheduleRow],
        seed: int,
        may_forward: Sequence[bool],
        echo: Callable[[bytes], bytes | None],
    ) -> None:
        self.network, self.rows, self.echo, self.may_forward = network, rows, echo, may_forward
        self.schedule = Schedule(network, rows)
        self.ends = [self._end(number, seed) for number in range(2 * len(network.links))]
        self.index: dict[bytes, int] = {}  # destination of an address: live nodes first, transit nodes behind them
        dests = {node: place for place, node in enumerate(network.live)}
        for number, node in reversed(list(enumerate(network.nodes))):
            for family, text in ((socket.AF_INET, node.ipv4), (socket.AF_INET6, node.ipv6)):
                if text:
                    self.index[socket.inet_pton(family, text)] = dests.get(number, len(dests) + number)
        self.allowances: dict[int, Allowance] = {}
        self.trees: dict[tuple[int, int], dict[int, int]] = {}

    def _end(self, number: int, seed: int) -> LinkEnd:
        ip = VIRTIO + ETHERNET if self.network.links[number // 2].ethernet else VIRTIO
        effects = self.network.end_spec(number).effects
        return LinkEnd(lambda t: self.schedule.at(number, t), effects, seed, self.network.end_name(number), ip)

    def play(self, until_s: float) -> list[Arrival]:
        """All that happens until then; returns what reached ports."""
        came: list[Arrival] = []
        while True:
            at_s, number = min((end.next_s(), number) for number, end in enumerate(self.ends))
            if at_s > until_s or at_s == inf:
                return came
            end = self.ends[number]
            end.advance(at_s)
            if end.in_flight and end.in_flight[0].at_s <= at_s:
                packet = end.in_flight.pop(0)
                end.counts[EndStats.DELIVERED_PACKETS] += 1
                end.counts[EndStats.DELIVERED_BYTES] += packet.size
                if self.network.nodes[packet.node].live:
                    came.append((number, self._written(packet)))
                else:
                    self._pass_on(number, packet)

    def _written(self, packet: Packet) -> Packet:
        """A packet as a port gets it: with the hops that are left, where a transit node has looked."""
        if packet.dest == UNKNOWN:
            return packet
        if isinstance(packet.data, tuple):
            return packet._replace(data=tuple(with_hop_limit(part, packet.hops) for part in packet.data))
        return packet._replace(data=with_hop_limit(packet.data, packet.hops))

    def _pass_on(self, number: int, packet: Packet) -> None:
        """A packet at a transit node: on its way, answered, or refused."""
        data = first_of(packet.data)
        if packet.dest == UNKNOWN:
            packet = packet._replace(dest=self.index.get(destination(data), NOWHERE), hops=hop_limit(data))
        t, node = packet.at_s, packet.node
        if packet.dest == len(self.network.live) + node:
            reply = self.echo(data)
            if reply is not None:
                self._say(node, reply, self.index.get(destination(reply), NOWHERE), t)
            return
        following = self._route(packet.dest, node, t)
        if following >= 0 and packet.hops > 1:
            self.ends[following].offer([(t, packet.data, packet.size, packet.dest, packet.hops, -1)])
        elif not is_group(destination(data)):
            self._refuse(number, packet, data)

    def _refuse(self, number: int, packet: Packet, data: bytes) -> None:
        """A packet goes no further: its hop limit is used up, or the node has no route for it."""
        t, node, expired = packet.at_s, packet.node, packet.hops <= 1
        end = self.ends[number]
        end.counts[EndStats.DELIVERED_PACKETS] -= 1
        end.counts[EndStats.DELIVERED_BYTES] -= packet.size
        end._drop(EndStats.DROP_TTL if expired else EndStats.DROP_NOROUTE, packet, t)
        asker = source(data)
        dest = self.index.get(asker, NOWHERE)
        spec = self.network.nodes[node]
        text = spec.ipv4 if len(asker) == 4 else spec.ipv6
        if self._route(dest, node, t) < 0 or not text:
            return
        if self.allowances.setdefault(node, Allowance()).take(t):
            address = socket.inet_pton(socket.AF_INET if len(asker) == 4 else socket.AF_INET6, text)
            reply = answer(data, address, expired, packet.hops)
            if reply is not None:
                self._say(node, reply, dest, t)

    def _say(self, node: int, data: bytes, dest: int, t: float) -> None:
        """Send what a transit node says itself; the node charges a hop for it too."""
        following = self._route(dest, node, t)
        if following >= 0:
            self.ends[following].offer([(t, data, len(data) - VIRTIO, dest, hop_limit(data) + 1, -1)])

    def _route(self, dest: int, node: int, t: float) -> int:
        """On which end a node sends a packet for a destination; -1: it has no way."""
        if dest < len(self.network.live):
            return self.schedule.next_end(dest, node, t)
        if not self.rows or self.network.routing not in ("least-delay", "neighbours"):
            return -1
        return self._tree(dest - len(self.network.live), self.schedule.row(t).step).get(node, -1)

    def _tree(self, target: int, step: int) -> dict[int, int]:
        """The way to a transit node from every node that has one: along the shortest delays at the step's begin."""
        if (target, step) in self.trees:
            return self.trees[target, step]
        begin_s = step * self.schedule.step_s
        arcs = []  # (sender, receiver, delay, end) of every link end that is up
        for number in range(len(self.ends)):
            values, far, _, _ = self.schedule.at(number, begin_s)
            link = self.network.links[number // 2]
            sender = link.b if number % 2 else link.a
            if link.moving and number % 2:
                sender = self._far_if_up(number - 1, begin_s)
            if values.up and values.rate_bps > 0.0 and far >= 0 and sender >= 0:
                arcs.append((sender, far, values.delay_start_s, number))
        best_s, way, near = {target: 0.0}, dict[int, int](), [(0.0, target)]
        while near:  # Dijkstra's algorithm; of equal ways the first one that is found
            cost_s, node = heappop(near)
            if cost_s > best_s[node] or (node != target and not self._passes(node)):
                continue
            for sender, far, delay_s, number in arcs:
                if far == node and cost_s + delay_s < best_s.get(sender, inf):
                    best_s[sender], way[sender] = cost_s + delay_s, number
                    heappush(near, (cost_s + delay_s, sender))
        self.trees[target, step] = way
        return way

    def _passes(self, node: int) -> bool:
        """Whether a node may lie on the way to a transit node."""
        return self.network.routing == "least-delay" and self.may_forward[node]

    def _far_if_up(self, number: int, t: float) -> int:
        values, far, _, _ = self.schedule.at(number, t)
        return far if values.up and values.rate_bps > 0.0 else -1


def first_of(data: Data) -> bytes:
    """The packet whose header speaks for all of it: of a merged one the first segment."""
    return data[0] if isinstance(data, tuple) else data
