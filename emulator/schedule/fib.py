"""Kernel routing tables of the live nodes: next hops compressed into the fewest prefixes, and their changes.

Invariant: for every destination address the longest matching prefix gives exactly the next hop of the row. Packets of a
live node with a shared port for transit nodes leave by that port, and the engine looks up their route itself. Addresses
of no node may match a prefix too; their packets end by TTL.

The compression is ORTC (Draves, King, Venkatachary, Zill: "Constructing Optimal IP Routing Tables", INFOCOM 1999) over
the path-compressed trie of the destinations' addresses, which is the same for every node, so that each step is one
numpy operation over all nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.network import Ints, Network

SHARED_PORT = -1  # a live node's one port for its moving links, where it has such; as `Port.end`
UNREACHABLE = -2
_NO_PORT = -3
_ABSENT = -1  # as a slot: no route with this prefix
_MASK_BITS = 64
_AT_ONCE = 400  # nodes: bounds memory


class Prefix(NamedTuple):
    """The first `length` bits of `address`; the other bits of `address` are 0."""

    address: int
    length: int


@dataclass(frozen=True, slots=True)
class RouteDelta:
    """Changes of one node's kernel routes.

    `add` holds (prefix, length, end) to set, in place of a route of that prefix where there is one; `end` is that of
    the node's port, SHARED_PORT, or UNREACHABLE for a route of that kind. `delete` holds (prefix, length).
    """

    node: int
    add: list[tuple[int, int, int]] = field(default_factory=list)
    delete: list[tuple[int, int]] = field(default_factory=list)
    version: int = 4  # of IP


class Trie(NamedTuple):
    """Path-compressed binary trie over D addresses: nodes 0…D-1 are the addresses, children come before parents."""

    prefixes: list[Prefix]  # 2·D - 1
    children: list[tuple[int, int]]  # of nodes D…2·D-2


def trie(addresses: Sequence[int], bits: int) -> Trie:
    """Trie of distinct addresses of 32 or 128 bits. ValueError where two are equal."""
    order = sorted(range(len(addresses)), key=addresses.__getitem__)
    prefixes = [Prefix(address, bits) for address in addresses]
    children: list[tuple[int, int]] = []
    open_nodes: list[int] = []  # the right edge of the trie so far, from the root down
    depths: list[int] = []  # length of the prefix that joins each to its right neighbour

    def join() -> None:
        right, left, length = open_nodes.pop(), open_nodes.pop(), depths.pop()
        address = prefixes[left].address >> (bits - length) << (bits - length)
        open_nodes.append(len(prefixes))
        prefixes.append(Prefix(address, length))
        children.append((left, right))

    for before, leaf in zip([None, *order], order, strict=False):
        if before is not None:
            common = bits - (addresses[before] ^ addresses[leaf]).bit_length()
            if common == bits:
                raise ValueError(f"two destinations have the address {ip_address(addresses[leaf])}")
            while depths and depths[-1] > common:
                join()
            depths.append(common)
        open_nodes.append(leaf)
    while depths:
        join()
    return Trie(prefixes, children)


class FibCompiler:
    """Compresses the routes of a network's live nodes, row after row, and returns the changes.

    Only destinations with an address of the IP version take part. A node with more than 62 ports, and every node where
    routes lead to neighbours only, gets one route for each destination that it reaches instead of a compressed table.
    """

    def __init__(self, network: Network, version: int = 4) -> None:
        self.version = version
        self.nodes = np.array(network.live, dtype=np.int64)
        texts = [network.nodes[node].ipv4 if version == 4 else network.nodes[node].ipv6 for node in network.live]
        self._addressed = np.array([index for index, text in enumerate(texts) if text], dtype=np.int64)
        addresses = [int(ip_address(text)) for text in texts if text]
        bits = 32 if version == 4 else 128
        self._shared = shared_ports(network)[self.nodes]
        transit = _transit(network, version, set(addresses)) if np.any(self._shared) else []
        prefixes = apart(addresses, transit, bits)  # of transit nodes, behind the destinations
        self.trie = _with_leaves(trie([*addresses, *(prefix.address for prefix in prefixes)], bits), prefixes)
        self._slot_of_end, self._end_of_slot = _slots(network)
        self._ports = np.array([np.count_nonzero(self._end_of_slot[node] != _NO_PORT) for node in self.nodes], int)
        self._by_address = (self._ports > _MASK_BITS) | (network.routing == "neighbours")
        self._table = np.full((len(self.trie.prefixes), len(self.nodes)), _ABSENT, dtype=np.int16)  # slots
        self._known: Ints | None = None  # the next hops in the table
        self._whole = len(self._addressed) == len(network.live) == len(network.nodes)

    def update(self, next_end: Ints) -> list[RouteDelta]:
        """Changes of every live node's routes from the last table to this one (D × N ends: `ScheduleRow.next_end`)."""
        return list(self.changes(next_end))

    def changes(self, next_end: Ints) -> Iterator[RouteDelta]:
        """The same in parts of some nodes, to bound the memory. Exhaust the iterator before the next call.

        `next_end` is kept, so it must not be changed afterwards.
        """
        ends = next_end if self._whole else next_end[np.ix_(self._addressed, self.nodes)]
        changed = np.arange(len(self.nodes))
        if self._known is not None:
            changed = np.flatnonzero((ends != self._known).any(axis=0))
        self._known = ends
        for first in range(0, len(changed), _AT_ONCE):
            part = changed[first : first + _AT_ONCE]
            old, new = self._table[:, part], self.compress(ends[:, part], part)
            self._table[:, part] = new
            nodes = self.nodes[part]
            yield from delta(old, new, self._end_of_slot[nodes], nodes.tolist(), self.trie.prefixes, self.version)

    def compress(self, ends: Ints, places: NDArray[np.integer]) -> NDArray[np.int16]:
        """Tables of the live nodes at `places`: prefix of the trie × node, the slot to send on, or absent.

        `ends` holds their next hops, addressed destination × node.
        """
        slots = np.where(ends < 0, 1, self._slot_of_end[ends]) if self._slot_of_end.size else np.ones_like(ends)
        own = self._addressed[:, None] == places
        if more := (len(self.trie.prefixes) + 1) // 2 - len(slots):
            slots = np.concatenate([slots, np.zeros((more, len(places)), slots.dtype)])  # slot 0: the shared port
            own = np.concatenate([own, np.repeat(~self._shared[None, places], more, axis=0)])
        chosen = np.full((len(self.trie.prefixes), len(places)), _ABSENT, dtype=np.int16)
        plain = self._by_address[places]
        if np.any(plain):
            leaves = np.where(own | (slots == 1), _ABSENT, slots)
            chosen[: len(slots), plain] = leaves[:, plain]
        if not np.all(plain) and len(slots):
            chosen[:, ~plain] = ortc(self.trie, slots[:, ~plain], own[:, ~plain], inherited=1)
        return chosen


def shared_ports(network: Network) -> NDArray[np.bool_]:
    """The nodes that have a port without an end of its own: live satellites where links move, and live stations with
    a shared uplink."""
    moving = any(link.moving for link in network.links)
    return np.array(
        [moving and node.live and (node.shared_downlink or node.shared_uplink) for node in network.nodes],
        dtype=np.bool_,
    )


def _transit(network: Network, version: int, live: set[int]) -> list[int]:
    """Addresses of the transit nodes, where these can be reached along the shortest delays."""
    if network.routing != "least-delay":
        return []
    nodes = [node for node in network.nodes if not node.live]
    texts = [node.ipv4 if version == 4 else node.ipv6 for node in nodes]
    return sorted({int(ip_address(text)) for text in texts if text} - live)


def apart(live: Sequence[int], others: Sequence[int], bits: int) -> list[Prefix]:
    """The fewest prefixes that hold all of `others` and none of `live`."""
    if not others:
        return []
    built = trie([*live, *others], bits)
    pure = [False] * len(live) + [True] * len(others)
    for left, right in built.children:
        pure.append(pure[left] and pure[right])
    found, open_nodes = [], [len(pure) - 1]
    while open_nodes:
        node = open_nodes.pop()
        if pure[node]:
            found.append(built.prefixes[node])
        elif node >= len(live) + len(others):
            open_nodes += built.children[node - len(live) - len(others)]
    return found


def _with_leaves(built: Trie, prefixes: list[Prefix]) -> Trie:
    """The trie with these prefixes as its last leaves, each represented by one of its addresses."""
    leaves = (len(built.prefixes) + 1) // 2
    built.prefixes[leaves - len(prefixes) : leaves] = prefixes
    return built


def _slots(network: Network) -> tuple[Ints, Ints]:
    """A small number for each port of each node: slot by end, and end by node and slot.

    Slot 0 is the shared port, slot 1 stands for unreachable.
    """
    slot_of_end = np.zeros(2 * len(network.links), dtype=np.int32)
    ends_of_node: list[list[int]] = [[SHARED_PORT, UNREACHABLE] for _ in network.nodes]
    for number, link in enumerate(network.links):
        shared_up = link.moving and network.nodes[link.a].shared_uplink
        for end, node, shared in ((2 * number, link.a, shared_up), (2 * number + 1, link.b, link.moving)):
            if not shared:
                slot_of_end[end] = len(ends_of_node[node])
                ends_of_node[node].append(end)
    width = max((len(ends) for ends in ends_of_node), default=2)
    table = np.full((len(network.nodes), width), _NO_PORT, dtype=np.int32)
    for node, ends in enumerate(ends_of_node):
        table[node, : len(ends)] = ends
    return slot_of_end, table


def ortc(trie: Trie, slots: Ints, free: NDArray[np.bool_], inherited: int) -> NDArray[np.int16]:
    """Fewest prefixes for D leaves × M tables: the slot (0…63) at each trie node, or -1 where it needs no route.

    `free` leaves may match anything (a node's own address). `inherited` is the slot that holds without any route.
    """
    leaves, tables = slots.shape
    count = len(trie.prefixes)
    masks = np.empty((count, tables), dtype=np.uint64)
    masks[:leaves] = np.where(free, np.uint64(2**64 - 1), np.uint64(1) << slots.astype(np.uint64))
    for node, (left, right) in enumerate(trie.children, leaves):
        both = masks[left] & masks[right]
        masks[node] = np.where(both, both, masks[left] | masks[right])
    chosen = np.full((count, tables), -1, dtype=np.int16)
    holding = np.empty((count, tables), dtype=np.int16)  # slot that holds below each node
    holding[count - 1] = inherited
    one = np.uint64(1)
    for node in range(count - 1, -1, -1):
        above, mask = holding[node], masks[node]
        fits = (mask >> above.astype(np.uint64)) & one != 0
        slot = np.where(fits, above, _lowest(mask))
        chosen[node] = np.where(fits, -1, slot)
        if node >= leaves:
            left, right = trie.children[node - leaves]
            holding[left] = holding[right] = slot
    return chosen


def _lowest(mask: NDArray[np.uint64]) -> NDArray[np.int16]:
    """Number of the lowest bit set."""
    lowest = mask & (~mask + np.uint64(1))
    return np.frexp(lowest.astype(np.float64))[1].astype(np.int16) - np.int16(1)


def delta(
    old: NDArray[np.int16],
    new: NDArray[np.int16],
    end_of_slot: Ints,
    nodes: Sequence[int],
    prefixes: Sequence[Prefix],
    version: int = 4,
) -> list[RouteDelta]:
    """The changes from the tables `old` to `new` (prefix × node, slots), by node; nodes without changes are left out.

    `end_of_slot`: node × slot.
    """
    places, changed = np.nonzero((old != new).T)  # by node, then prefix
    if not len(places):
        return []
    slots = new.T[places, changed]
    gone = slots == _ABSENT
    ends = end_of_slot[places, slots]
    address, length = (np.array(column, dtype=object) for column in zip(*prefixes, strict=True))
    add = list(zip(address[changed[~gone]], length[changed[~gone]], ends[~gone].tolist(), strict=True))
    delete = list(zip(address[changed[gone]], length[changed[gone]], strict=True))
    bounds = np.arange(len(nodes) + 1)
    begin_add = np.searchsorted(places[~gone], bounds).tolist()
    begin_delete = np.searchsorted(places[gone], bounds).tolist()
    return [
        RouteDelta(
            nodes[place],
            add[begin_add[place] : begin_add[place + 1]],
            delete[begin_delete[place] : begin_delete[place + 1]],
            version,
        )
        for place in np.unique(places).tolist()
    ]


def lookup(routes: Iterable[tuple[int, int, int]], address: int, bits: int = 32) -> int:
    """End of the longest matching prefix, UNREACHABLE if none matches: the kernel's result."""
    best, end = -1, UNREACHABLE
    for prefix, length, candidate in routes:
        if length > best and prefix >> (bits - length) == address >> (bits - length):
            best, end = length, candidate
    return end
