"""Packets that end at a transit node: counted, and answered to their source by ICMP as a router would.

Invariant: an answer is routed from that node like any other packet, and each node answers only so often (Allowance).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from emulator.link.end import End
from emulator.link.icmp import Allowance, answer
from emulator.link.item import Item
from emulator.link.packet import VIRTIO, destination, hop_limit, is_group, source
from emulator.link.rows import Rows
from emulator.link.stats import EndStats
from emulator.network import Network


class Refusals:
    """Time exceeded and unreachable, from every transit node of a network. `offer` sends on a link end."""

    def __init__(
        self, network: Network, rows: Rows, index: Mapping[bytes, int], offer: Callable[[int, list[Item]], None]
    ) -> None:
        self._network = network
        self._rows = rows
        self._index = index
        self._offer = offer
        self._allowances: dict[int, Allowance] = {}

    def refuse(self, end: End, item: Item) -> None:
        """A packet that came by `end` goes no further: its hop limit is used up, or the node has no route for it."""
        t, data, _, _, hops, node = item
        if is_group(destination(data)):
            return  # router solicitations and their like: the node has heard them
        expired = hops <= 1
        end.lose(EndStats.DROP_TTL if expired else EndStats.DROP_NOROUTE, item)
        asker = source(data)
        dest = self._index.get(asker, -1)
        number = self._rows.table[dest * self._rows.width + node] if dest >= 0 else -1
        if number < 0:
            return
        allowance = self._allowances.get(node)
        if allowance is None:
            allowance = self._allowances[node] = Allowance()
        spec = self._network.nodes[node]
        text = spec.ipv4 if len(asker) == 4 else spec.ipv6
        if not text or not allowance.take(t):
            return
        address = socket.inet_pton(socket.AF_INET if len(asker) == 4 else socket.AF_INET6, text)
        reply = answer(data, address, expired, hops)
        if reply is not None:
            self._offer(number, [(t, reply, len(reply) - VIRTIO, dest, hop_limit(reply) + 1, node)])
