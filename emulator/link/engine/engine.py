"""The owner of one compiled engine: it makes the engine for a network, passes packets and orders, and reads counters.

An engine runs in memory, at times that the caller passes (`offer`, `play`, `take`), or in real time with one thread a
lane (`run`) and orders (`send`). Invariant: arrays and reports are the engine's own memory, so they can be read while
it runs, and are not accessed after `close`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from ctypes import Array, byref, c_char, c_double, c_uint8, create_string_buffer
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.link.engine.binding import library
from emulator.link.engine.structures import (
    LATENESS_BUCKETS,
    TAPS,
    EndFlag,
    EngineDelivery,
    EngineOrder,
    LaneReport,
    OrderKind,
    Received,
    Sent,
    TrunkReport,
    Value,
)
from emulator.link.engine.tables import Port, tables
from emulator.link.lateness import Lateness
from emulator.link.partition import partition
from emulator.link.stats import EndStats
from emulator.link.trunks import LARGEST_DATAGRAM, Hosts
from emulator.model.clock_page import ClockPage
from emulator.model.errors import EmulationError
from emulator.model.network import Ints, Network
from emulator.schedule.ring import RowRing

SMALL_BYTES, LARGE_BYTES = 2064, 65664  # of a slot for a packet, as in core.h
MANY = 4096  # packets that `take` reads at once
TAKE_BYTES = 4 * 2**20
DRAIN_BYTES = 2**20
_VALUES = {"up": Value.UP, "rate_bps": Value.RATE, "delay_s": Value.DELAY, "loss": Value.LOSS}
_SENT = {
    EndStats.SENT_PACKETS: Sent.PACKETS,
    EndStats.SENT_BYTES: Sent.BYTES,
    EndStats.DROP_QUEUE: Sent.DROP_QUEUE,
    EndStats.DROP_LOSS: Sent.DROP_LOSS,
    EndStats.DROP_OUTAGE: Sent.DROP_OUTAGE,
    EndStats.DROP_OVERLOAD: Sent.DROP_OVERLOAD,  # and packets that ports refused
    EndStats.ASKED_DELAY_SUM_S: Sent.DELAY_SUM_S,
    EndStats.DUPLICATED: Sent.DUPLICATED,
    EndStats.CORRUPTED: Sent.CORRUPTED,
}
_RECEIVED = {
    EndStats.DELIVERED_PACKETS: Received.PACKETS,
    EndStats.DELIVERED_BYTES: Received.BYTES,
    EndStats.LATE_SUM_S: Received.LATE_SUM_S,
    EndStats.DROP_NOROUTE: Received.DROP_NOROUTE,
    EndStats.DROP_TTL: Received.DROP_TTL,
}


class Delivery(NamedTuple):
    """A packet: one that reached a port, or one inside a link end."""

    at_s: float  # when it is due; of a packet in a queue: when it was offered
    end: int
    node: int  # the receiver
    dest: int  # destination, -1 if no transit node has looked it up
    hops: int
    size: int  # bytes on the wire
    data: bytes  # with its virtio header


class Holds(NamedTuple):
    """The scheduled values of a link end from start_s to stop_s, without orders; known up to until_s."""

    start_s: float
    stop_s: float
    delay_start_s: float
    delay_end_s: float
    rate_bps: float
    loss: float
    up: bool
    peer: int
    until_s: float
    ttl_cost: int  # by which sending lowers the hop limit


def new_order(
    kind: OrderKind, end: int = -1, taps: int = 0, values: Mapping[str, float | bool | None] | None = None
) -> EngineOrder:
    """An order for `Engine.send`. `values` are those of SET: `up`, `rate_bps`, `delay_s`, `loss`; None returns to the
    schedule. `taps` are those of TAPS: bit n for tap n."""
    made = EngineOrder(kind=kind, end=end, taps=taps)
    for name, value in (values or {}).items():
        if value is None:
            made.clear |= _VALUES[name]
        else:
            made.set |= _VALUES[name]
            setattr(made, name, bool(value) if name == "up" else value)
    return made


class Engine:
    """The engine of `network` between `ports`. `ring` holds the rows of its timeline; None without one. Where the
    network is split over `hosts`, this is one host's engine, and `ports` are those of its nodes."""

    def __init__(
        self,
        network: Network,
        ports: Iterable[Port],
        ring: RowRing | None,
        seed: int,
        *,
        lanes: int = 1,
        lane_of_node: Ints | None = None,
        hosts: Hosts | None = None,
        small_slots: int = 524288,
        large_slots: int = 16384,
        handover_bytes: int = 8 * 2**20,
    ) -> None:
        if lanes > 1 and lane_of_node is None:
            rows = [ring.row(ring.latest)] if ring is not None and ring.latest >= 0 else []
            lane_of_node = partition(network, lanes, rows)
        self._tables = tables(
            network,
            ports,
            ring,
            seed,
            lanes=lanes,
            lane_of_node=lane_of_node,
            hosts=hosts,
            small_slots=small_slots,
            large_slots=large_slots,
            handover_bytes=handover_bytes,
        )
        self.lanes = lanes
        self.trunks = tuple(sorted(hosts.trunks)) if hosts is not None else ()
        self.ends = 2 * len(network.links)
        self.sent = self._tables.sent
        self.received = self._tables.received
        self.unrouted = self._tables.unrouted
        self._most_bytes = lanes * (small_slots * SMALL_BYTES + large_slots * LARGE_BYTES)
        self._taken: tuple[Array[EngineDelivery], NDArray[np.uint8]] | None = None
        self._drained: Array[c_uint8] | None = None
        self._library = library()
        why = create_string_buffer(512)
        self._address: int | None = self._library.engine_create(byref(self._tables.config), why, len(why))
        if not self._address:
            reason = why.value.decode(errors="replace") or "it does not say why"
            raise EmulationError(f"the packet engine of {len(network.nodes)} nodes cannot be made: {reason}")

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_address", None):
            self.close()

    def close(self) -> None:
        """Free its memory. No thread may be in `run`."""
        address, self._address = self._address, None
        if address:
            self._library.engine_destroy(address)

    @property
    def _engine(self) -> int:
        if self._address is None:
            raise EmulationError("the packet engine was closed; expected an open one")
        return self._address

    # --- in memory: the caller passes the time ------------------------------------------------------------------------

    def offer(self, end: int, t_s: float, data: bytes, size: int | None = None, dest: int = -1, hops: int = 0) -> bool:
        """A packet (virtio header first) enters a link end; returns False if the engine has no room for it."""
        if size is None:
            ethernet = bool(self._tables.kept["end"]["flags"][end] & EndFlag.ETHERNET)
            size = self._library.engine_wire_size(data, len(data), ethernet)
        return bool(self._library.engine_offer(self._engine, end, t_s, data, len(data), size, dest, hops))

    def play(self, until_s: float, threads: bool = False) -> None:
        """Process everything due by `until_s`, in this thread or with one thread a lane."""
        self._library.engine_play(self._engine, until_s, threads)

    def next_s(self) -> float:
        """When the next packet is due; inf if the engine is empty."""
        return float(self._library.engine_next_s(self._engine))

    def obey(self, order: EngineOrder, t_s: float) -> None:
        self._library.engine_obey(self._engine, byref(order), t_s)

    def set(self, end: int, t_s: float, **values: float | bool | None) -> None:
        """Override `up`, `rate_bps`, `delay_s` or `loss` from `t_s` on; None returns to the schedule."""
        self.obey(new_order(OrderKind.SET, end, values=values), t_s)

    def hold(self, end: int, t_s: float, held: bool) -> None:
        """Hold every packet that has not left in the queue, or release them."""
        self.obey(new_order(OrderKind.HOLD if held else OrderKind.RELEASE, end), t_s)

    def tap_ends(self, end: int, mask: int, t_s: float) -> None:
        """Set the taps that capture a link end: bit n for tap n."""
        self.obey(new_order(OrderKind.TAPS, end, taps=mask), t_s)

    def take(self) -> list[Delivery]:
        """Packets that reached ports in memory since the last call, by due time."""
        if self._taken is None:
            self._taken = (EngineDelivery * MANY)(), np.empty(TAKE_BYTES, np.uint8)
        found, room = self._taken
        taken: list[Delivery] = []
        while count := self._library.engine_take(self._engine, found, MANY, room.ctypes.data, len(room)):
            taken += _deliveries(found, count, room)
        return taken

    def queued(self, end: int) -> list[Delivery]:
        """Packets in the queue of a link end, the one in transmission first."""
        return self._inside(end, 0)

    def in_flight(self, end: int) -> list[Delivery]:
        """Packets that have left a link end and not arrived, by due time."""
        return self._inside(end, 1)

    def _inside(self, end: int, half: int) -> list[Delivery]:
        inside, engine = self._library.engine_inside, self._engine
        count: int = inside(engine, end, half, None, 0, None, 0)
        if not count:
            return []
        found = (EngineDelivery * count)()
        room = np.empty(min(count * LARGE_BYTES, self._most_bytes), np.uint8)
        count = min(count, inside(engine, end, half, found, count, room.ctypes.data, len(room)))
        return list(_deliveries(found, count, room))

    def holds(self, end: int, t_s: float) -> Holds:
        """The scheduled values of a link end at `t_s`."""
        out = (c_double * len(Holds._fields))()
        self._library.engine_holds(self._engine, end, t_s, out)
        start_s, stop_s, delay_start_s, delay_end_s, rate_bps, loss, up, peer, until_s, ttl_cost = out
        delays_s = delay_start_s, delay_end_s
        return Holds(start_s, stop_s, *delays_s, rate_bps, loss, bool(up), int(peer), until_s, int(ttl_cost))

    # --- counters -----------------------------------------------------------------------------------------------------

    def all_stats(self) -> NDArray[np.float64]:
        """The counters of every link end, ends × EndStats. Columns may be a packet apart while the engine runs."""
        out = np.zeros((self.ends, len(EndStats)))
        self._fill(out, self.sent, self.received)
        return out

    def some_stats(self, first: int, every: int) -> NDArray[np.float64]:
        """The counters of the link ends `first`, `first + every` …, one row each."""
        sent, received = self.sent[first::every], self.received[:, first::every]
        out = np.zeros((len(sent), len(EndStats)))
        self._fill(out, sent, received)
        return out

    def stats(self, end: int) -> list[float]:
        """The counters of one link end, indexed by EndStats."""
        out = np.zeros((1, len(EndStats)))
        self._fill(out, self.sent[end : end + 1], self.received[:, end : end + 1])
        numbers: list[float] = out[0].tolist()
        return numbers

    @staticmethod
    def _fill(out: NDArray[np.float64], sent: NDArray[np.float64], received: NDArray[np.float64]) -> None:
        total = received.sum(axis=0)
        out[:, list(_SENT)] = sent[:, list(_SENT.values())]
        out[:, list(_RECEIVED)] = total[:, list(_RECEIVED.values())]
        out[:, EndStats.DROP_OVERLOAD] += total[:, Received.DROP_REFUSED]
        out[:, EndStats.LATE_MAX_S] = received[:, :, Received.LATE_MAX_S].max(axis=0)

    def report(self, lane: int) -> LaneReport:
        """The live report of a lane. Not to be read after `close`."""
        found: LaneReport = self._library.engine_report(self._engine, lane).contents
        return found

    def turn_max_s(self, lane: int) -> float:
        """The longest turn since the last call."""
        return float(self._library.engine_turn_max_ns(self._engine, lane)) * 1e-9

    def lateness(self) -> Lateness:
        """Lateness of all packets written to ports, over all lanes."""
        merged = Lateness()
        total = np.zeros(LATENESS_BUCKETS, np.int64)
        for lane in range(self.lanes):
            report = self.report(lane)
            total += np.asarray(report.lateness, np.int64)
            merged.sum_s += report.lateness_sum_s
            merged.max_s = max(merged.max_s, report.lateness_max_s)
        merged.counts = {bucket: int(total[bucket]) for bucket in np.flatnonzero(total).tolist()}
        return merged

    # --- trunks: by the number of the other host ----------------------------------------------------------------------

    def trunk_report(self, host: int) -> TrunkReport:
        """The live report of a trunk. Not to be read after `close`."""
        found: TrunkReport = self._library.engine_trunk_report(self._engine, host).contents
        return found

    def attend(self) -> None:
        """Before `run`: probe the clocks of the other hosts, each 10 ms, and answer their probes."""
        self._library.engine_attend(self._engine)

    def share_clock(self, page: ClockPage) -> None:
        """Read the run's clock by this page from now on, before `run`."""
        self._page = page
        self._library.engine_share_clock(self._engine, byref(c_char.from_buffer(page.memory)))

    def run_clock_ns(self, own_ns: int) -> int:
        """What the run's clock reads when the own one reads `own_ns`."""
        return int(self._library.engine_run_clock_ns(self._engine, own_ns))

    def pull(self, host: int, now_s: float) -> bytes:
        """The next datagram that a trunk in memory sends; b"" if there is none at this time."""
        room = create_string_buffer(LARGEST_DATAGRAM)
        count: int = self._library.engine_trunk_pull(self._engine, host, now_s, room, len(room))
        return room.raw[:count]

    def push(self, host: int, now_s: float, datagram: bytes) -> None:
        """A datagram comes by a trunk in memory."""
        self._library.engine_trunk_push(self._engine, host, now_s, datagram, len(datagram))

    # --- in real time -------------------------------------------------------------------------------------------------

    def run(self, lane: int, t0_ns: int, gate_fd: int, realtime: bool) -> None:
        """Run a lane in this thread until it is stopped; the interpreter lock is released meanwhile."""
        code: int = self._library.engine_run(self._engine, lane, t0_ns, gate_fd, realtime)
        if code:
            raise EmulationError(f"lane {lane} of the packet engine could not be run: {os.strerror(code)}")

    def send(self, order: EngineOrder) -> int:
        """Pass an order to the running engine; returns its number, 0 if too many orders are pending."""
        return int(self._library.engine_send(self._engine, byref(order)))

    def obeyed(self) -> int:
        """Number of the last order that is in force in every lane."""
        return int(self._library.engine_obeyed(self._engine))

    @property
    def order_fd(self) -> int:
        """A descriptor that is readable when orders have come into force."""
        return int(self._library.engine_order_fd(self._engine))

    def gate(self, shut: bool) -> None:
        """Stop reading ports while orders are passed, so that these are in force for all packets sent after them."""
        self._library.engine_gate(self._engine, shut)

    # --- captures -----------------------------------------------------------------------------------------------------

    def open_tap(self, tap: int, room: int, snaplen: int = 0) -> None:
        """Open a tap that keeps up to `room` bytes a lane, and of each packet `snaplen` (0: all)."""
        if not self._library.engine_tap_open(self._engine, tap, room, snaplen):
            raise EmulationError(
                f"capture tap {tap} cannot be opened with {room} bytes a lane; expected a free number below {TAPS}, "
                "and memory for it"
            )

    def close_tap(self, tap: int) -> None:
        """Remove a tap. Before, an order that removes it from every link end must be in force."""
        self._library.engine_tap_close(self._engine, tap)

    def tap_lost(self, tap: int) -> int:
        """Packets for which the tap had no room."""
        return int(self._library.engine_tap_lost(self._engine, tap))

    def drain_tap(self, tap: int) -> bytes:
        """One batch of the tap's packets, in the format of emulator.link.taps; b"" if there is none."""
        if self._drained is None:
            self._drained = (c_uint8 * DRAIN_BYTES)()
        count: int = self._library.engine_tap_drain(self._engine, tap, self._drained, DRAIN_BYTES)
        return bytes(memoryview(self._drained)[:count])


def _deliveries(found: Any, count: int, room: NDArray[np.uint8]) -> Iterator[Delivery]:
    for place in range(count):
        packet = found[place]
        data = room[packet.offset : packet.offset + packet.bytes].tobytes()
        yield Delivery(packet.at_s, packet.end, packet.node, packet.dest, packet.hops, packet.size, data)
