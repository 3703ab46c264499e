"""A network for the engine: flat arrays by link end, node and port, and the configuration that points to them.

Invariant: every array that the configuration points to is held by its Tables, so it exists as long as the engine does.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.link.engine.structures import (
    COLUMNS_READ,
    RECEIVED_CELLS,
    SENT_CELLS,
    EndFlag,
    EngineAddress,
    EngineConfig,
    EngineEnd,
    EnginePort,
    EngineTrunk,
    field_of_column,
)
from emulator.link.trunks import Hosts
from emulator.model.errors import EmulationError
from emulator.model.network import Effects, GilbertElliott, Ints, Network, PiecewiseSchedule
from emulator.schedule.ring import RowRing
from emulator.schedule.substep import substep_places

_LINE = 64  # bytes of a cache line: counters of two lanes must not share one


class Port(Protocol):
    """A port of the fabric: `fd` is that of a TUN or TAP device, or -1 for a port in memory."""

    @property
    def node(self) -> int: ...
    @property
    def end(self) -> int: ...  # on which its packets leave; -1: by destination
    @property
    def fd(self) -> int: ...
    @property
    def ethernet(self) -> bool: ...


class MemoryPort(NamedTuple):
    """A port without a device: its packets wait for `Engine.take`."""

    node: int
    end: int
    ethernet: bool = False
    fd: int = -1


def memory_ports(network: Network) -> list[MemoryPort]:
    """The ports of a fabric, in memory: one for each fixed end of a live node, and where links move one for all
    downlinks of a live satellite, and one for all uplinks of a node that shares one."""
    moving = any(link.moving for link in network.links)
    ports = []
    shared = set[int]()
    for number, link in enumerate(network.links):
        if network.nodes[link.a].live and link.moving and network.nodes[link.a].shared_uplink:
            shared.add(link.a)
        elif network.nodes[link.a].live:
            ports.append(MemoryPort(link.a, 2 * number, link.ethernet))
        if network.nodes[link.b].live and not link.moving:
            ports.append(MemoryPort(link.b, 2 * number + 1, link.ethernet))
    shared.update(node for node in network.live if network.nodes[node].shared_downlink and moving)
    ethernet = any(link.moving and link.ethernet for link in network.links)
    return ports + [MemoryPort(node, -1, ethernet) for node in sorted(shared)]


@dataclass(slots=True)
class Tables:
    """The configuration and its arrays. The engine writes into `sent`, `received` and `unrouted`."""

    config: EngineConfig
    sent: NDArray[np.float64]  # ends × SENT_CELLS
    received: NDArray[np.float64]  # lanes × ends × RECEIVED_CELLS
    unrouted: NDArray[np.int64]  # nodes
    kept: dict[str, NDArray[Any]] = field(default_factory=dict)  # by field of the configuration
    ring: RowRing | None = None


def tables(
    network: Network,
    ports: Iterable[Port],
    ring: RowRing | None,
    seed: int,
    *,
    lane_of_node: Ints | None = None,
    lanes: int = 1,
    hosts: Hosts | None = None,
    small_slots: int,
    large_slots: int,
    handover_bytes: int,
) -> Tables:
    """The configuration of the engine for a network. `ports` are those of this host's nodes. EmulationError if a link
    end has neither knots nor rows."""
    nodes, ends, dests = len(network.nodes), 2 * len(network.links), len(network.live)
    own = np.zeros(nodes, np.int32) if lane_of_node is None else np.ascontiguousarray(lane_of_node, np.int32)
    if own.shape != (nodes,) or (nodes and not 0 <= own.min() <= own.max() < lanes):
        raise ValueError(f"lane_of_node needs one lane from 0 to {lanes - 1} for each of {nodes} nodes")
    knots = KnotArrays()
    labels, where = _labels(network, seed)
    sent, received = cells((ends, SENT_CELLS)), cells((lanes, ends, RECEIVED_CELLS))
    unrouted = np.zeros(nodes, np.int64)
    addresses, texts = _addresses(network)
    kept: dict[str, NDArray[Any]] = {
        "end": _ends(network, ring, knots, where),
        "port": np.array([(port.fd, port.node, port.end, port.ethernet) for port in ports], np.dtype(EnginePort)),
        "address": addresses,
        "live": np.array([node.live for node in network.nodes], np.uint8),
        "may_forward": _may_forward(network),
        "lane_of_node": own,
        **texts,
        "labels": labels,
        **knots.columns(),
        "sent": sent,
        "received": received,
        "unrouted": unrouted,
        **_hosts(hosts, nodes),
    }
    config = EngineConfig(
        nodes=nodes,
        ends=ends,
        dests=dests,
        ports=len(kept["port"]),
        addresses=len(addresses),
        lanes=lanes,
        trunks=len(kept.get("trunk", ())),
        own_host=hosts.own if hosts is not None else 0,
        static_routes=network.routing == "static",
        transit_routes=_transit_routes(network, ring),
        step_s=network.timeline.step_s if network.timeline is not None else inf,
        small_slots=small_slots,
        large_slots=large_slots,
        handover_bytes=handover_bytes,
        **{name: array.ctypes.data for name, array in kept.items()},
        **_ring_fields(ring),
    )
    return Tables(config, sent, received, unrouted, kept, ring)


def cells(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Counters, all 0, that begin with a cache line."""
    size = int(np.prod(shape)) * 8
    raw = np.zeros(size + _LINE, np.uint8)
    begin = -raw.ctypes.data % _LINE
    return raw[begin : begin + size].view(np.float64).reshape(shape)


class KnotArrays:
    """The knots of all ends in one array; equal table objects are stored once."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._tables: list[PiecewiseSchedule] = []
        self._count = 0

    def place(self, knots: PiecewiseSchedule) -> int:
        place = self._places.get(id(knots))
        if place is None:
            place = self._places[id(knots)] = self._count
            self._tables.append(knots)  # so that nothing else gets its id
            self._count += len(knots.t_s)
        return place

    def columns(self) -> dict[str, NDArray[Any]]:
        """By field of the configuration."""
        out: dict[str, NDArray[Any]] = {}
        for name in ("t_s", "delay_s", "rate_bps", "loss", "up"):
            kind = np.uint8 if name == "up" else np.float64
            columns = [np.asarray(getattr(table, name)) for table in self._tables]
            out[f"knot_{name}"] = np.concatenate(columns).astype(kind) if columns else np.zeros(0, kind)
        return out


def _ends(network: Network, ring: RowRing | None, knots: KnotArrays, labels: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """engine_end of every link end."""
    known: dict[int, tuple[tuple[float, ...], int]] = {}  # by effects: their columns and flags
    places = substep_places(network)
    rows = []
    for end in range(2 * len(network.links)):
        link, spec = network.links[end // 2], network.end_spec(end)
        columns = known.get(id(spec.effects))
        if columns is None:
            columns = known[id(spec.effects)] = _effect_columns(spec.effects)
        sender, far = (link.b, link.a) if end % 2 else (link.a, link.b)
        flags = columns[1] | link.moving * EndFlag.MOVING | link.ethernet * EndFlag.ETHERNET
        if spec.schedule is None:
            if ring is None:
                raise EmulationError(f"link end {network.end_name(end)} has neither knots nor a timeline")
            table = (inf, sender, far, -1, 0, places.get(end, -1))
        else:
            table = (spec.schedule.period_s, sender, far, knots.place(spec.schedule), len(spec.schedule.t_s), -1)
        rows.append((*columns[0], *table, int(flags), *labels[end]))
    return np.array(rows, np.dtype(EngineEnd))


def _effect_columns(effects: Effects) -> tuple[tuple[float, ...], int]:
    """The columns of engine_end from `queue_bytes` to `loss_bad`, and the flags."""
    burst = effects.burst_loss or GilbertElliott(0.0, 0.0, 0.0, 0.0)
    flags = (
        effects.head_drop * EndFlag.HEAD_DROP
        | effects.hold_when_down * EndFlag.HOLD_WHEN_DOWN
        | effects.overtaking * EndFlag.OVERTAKING
        | (effects.burst_loss is not None) * EndFlag.BURST_LOSS
    )
    bounds = effects.queue_bytes, effects.queue_packets, effects.queue_s
    chances = burst.good_to_bad, burst.bad_to_good, burst.loss_good, burst.loss_bad
    return (*bounds, effects.jitter_s, effects.duplicate, effects.corrupt, *chances), int(flags)


def _labels(network: Network, seed: int) -> tuple[NDArray[np.uint8], list[tuple[int, int]]]:
    """The names of the ends' random streams without the effect, and the place and length of each."""
    names = [f"{seed}/link/{network.end_name(end)}/".encode() for end in range(2 * len(network.links))]
    where, begin = [], 0
    for name in names:
        where.append((begin, len(name)))
        begin += len(name)
    return np.frombuffer(b"".join(names) + b"\0", np.uint8), where


def _addresses(network: Network) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """engine_address of every node that has one, and both tables of addresses by node. A live node's destination is its
    place among the live ones, a transit node's dests + its number; of equal addresses a live node's counts."""
    place = {node: index for index, node in enumerate(network.live)}
    found: dict[bytes, tuple[int, int]] = {}
    by_node: dict[str, NDArray[Any]] = {}
    for name, family, kind, length in (("ipv4", 4, socket.AF_INET, 4), ("ipv6", 6, socket.AF_INET6, 16)):
        column = by_node[name] = np.zeros((len(network.nodes), length), np.uint8)
        for number, node in enumerate(network.nodes):
            text: str = getattr(node, name)
            if not text:
                continue
            address = socket.inet_pton(kind, text)
            column[number] = np.frombuffer(address, np.uint8)
            if node.live or address not in found:
                found[address] = family, place.get(number, len(place) + number)
    table = np.zeros(len(found), np.dtype(EngineAddress))
    for index, (address, (family, dest)) in enumerate(found.items()):
        table[index]["family"], table[index]["dest"] = family, dest
        table[index]["bytes"][: len(address)] = np.frombuffer(address, np.uint8)
    return table, by_node


def _hosts(hosts: Hosts | None, nodes: int) -> dict[str, NDArray[Any]]:
    """The host of every node and engine_trunk of every other host, where there is one."""
    if hosts is None or not hosts.trunks:
        return {}
    of_node = np.ascontiguousarray(hosts.of_node, np.uint8)
    if of_node.shape != (nodes,):
        raise ValueError(f"the split has {of_node.size} nodes, and the network {nodes}")
    rows = [
        (host, trunk.fd, trunk.cookie_sent, trunk.cookie_expected, trunk.datagram_bytes, 0)
        for host, trunk in sorted(hosts.trunks.items())
    ]
    return {"host_of_node": of_node, "trunk": np.array(rows, np.dtype(EngineTrunk))}


def _may_forward(network: Network) -> NDArray[np.uint8]:
    """The nodes that may lie inside a path."""
    return np.array([node.forwards for node in network.nodes], np.uint8)


def _transit_routes(network: Network, ring: RowRing | None) -> int:
    """How transit nodes can be reached themselves: 1 along the shortest delays of the playing step, 2 from neighbours
    only, 0 not at all. Static routes are those of the first row, which has none to transit nodes: so 0, as a way that
    heals itself would deny what "static" says. Without rows nothing is routed."""
    if ring is None:
        return 0
    return {"least-delay": 1, "neighbours": 2}.get(network.routing, 0)


def _ring_fields(ring: RowRing | None) -> dict[str, int]:
    if ring is None:
        return {}
    layout = ring.layout()
    return {
        "ring": layout.base_address,
        "ring_header_bytes": layout.header_bytes,
        "ring_bytes_per_row": layout.bytes_per_row,
        "ring_capacity": layout.capacity,
        "substep_knots": layout.substep_knots,
        **{field_of_column(name): layout.offsets[name] for name in COLUMNS_READ if name in layout.offsets},
    }
