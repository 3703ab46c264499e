"""Structures and constants that Python and the packet engine share, described once.

`header.py` makes the engine's `structures.h` from them; ctypes uses them directly. Invariant: the layout that the
library was compiled with is compared with these before any other use of it (`binding.load`).
"""

from __future__ import annotations

from ctypes import Array, c_int64
from enum import IntEnum, IntFlag
from typing import ClassVar

from emulator.link.engine.described import Described, Fields, Member, fields_of
from emulator.link.stats import EndStats
from emulator.schedule.row_layout import COLUMNS

CONSTANTS = {
    "ENGINE_ABI": 1,
    "SENT_CELLS": 16,
    "RECEIVED_CELLS": 8,
    "LATENESS_BUCKETS": 320,  # of 1/8 octave from 2^-20 s on, as emulator.link.lateness
    "TAPS": 32,
    "TAP_MAGIC": 0x536B7955,  # with which a batch of captured packets begins
    "HOSTS": 64,  # that a network may be split over
    "PROBES": 64,  # of a trunk's clock, the newest that its report keeps
}
SENT_CELLS, RECEIVED_CELLS = CONSTANTS["SENT_CELLS"], CONSTANTS["RECEIVED_CELLS"]
LATENESS_BUCKETS, TAPS = CONSTANTS["LATENESS_BUCKETS"], CONSTANTS["TAPS"]
COLUMNS_READ = tuple(column.name for column in COLUMNS if column.c_type)  # of a row, by the engine


def field_of_column(name: str) -> str:
    """Field of engine_config that says where a column of the rows lies."""
    return f"at_{name.replace('.', '_')}"


class EndFlag(IntFlag):
    """What is unusual about a link end.

    MOVING: the far node (of a forward end) or the sender (of a backward one) follows the rows.
    ETHERNET: frames, not packets. HEAD_DROP: a full queue drops its oldest packet.
    HOLD_WHEN_DOWN: an outage keeps packets instead of dropping them.
    OVERTAKING: a later packet may arrive first. BURST_LOSS: Gilbert-Elliott chain.
    """

    MOVING = 1
    ETHERNET = 2
    HEAD_DROP = 4
    HOLD_WHEN_DOWN = 8
    OVERTAKING = 16
    BURST_LOSS = 32


class Sent(IntEnum):
    """Cells of 8 bytes, which only grow, that the sender's lane counts for a link end."""

    PACKETS = 0
    BYTES = 1
    DROP_QUEUE = 2
    DROP_LOSS = 3
    DROP_OUTAGE = 4
    DROP_OVERLOAD = 5
    DELAY_SUM_S = 6
    DUPLICATED = 7
    CORRUPTED = 8


class Received(IntEnum):
    """Cells of 8 bytes, which only grow, that the receiver's lane counts for a link end."""

    PACKETS = 0
    BYTES = 1
    LATE_SUM_S = 2
    LATE_MAX_S = 3
    DROP_REFUSED = 4
    DROP_NOROUTE = 5
    DROP_TTL = 6


class Cause(IntEnum):
    """Why a packet is in a capture: it was sent, or dropped for this cause."""

    SENT = EndStats.SENT_PACKETS
    QUEUE = EndStats.DROP_QUEUE
    LOSS = EndStats.DROP_LOSS
    OUTAGE = EndStats.DROP_OUTAGE
    OVERLOAD = EndStats.DROP_OVERLOAD
    NOROUTE = EndStats.DROP_NOROUTE
    TTL = EndStats.DROP_TTL


class OrderKind(IntEnum):
    """What an order does."""

    SET = 0
    HOLD = 1
    RELEASE = 2
    TAPS = 3
    STOP = 4


class Record(IntEnum):
    """What an engine_handover is: a packet in flight; one that waits in a queue whose end another host sends on now; or
    the state of such a queue, behind its packets."""

    PACKET = 0
    WAITING = 1
    MOVED = 2


class Value(IntFlag):
    """Values of a link end that an order sets, or gives back to the schedule."""

    UP = 1
    RATE = 2
    DELAY = 4
    LOSS = 8


# --- structures -------------------------------------------------------------------------------------------------------


class EngineEnd(Described):
    """A link end."""

    members: ClassVar[list[Member]] = [
        Member("double", "queue_bytes queue_packets queue_s", "bounds of what waits, the packet in transmission apart; "
               "inf: none"),
        Member("double", "jitter_s", "added delay is uniform in [0, 2 jitter_s)"),
        Member("double", "duplicate corrupt", "probabilities"),
        Member("double", "good_to_bad bad_to_good loss_good loss_bad", "of burst loss"),
        Member("double", "period_s", "of its knots; inf: they do not repeat"),
        Member("int32_t", "sender far", "nodes; of a moving link those at the start"),
        Member("int32_t", "first_knot", "place in the knot arrays; -1: the end follows the rows"),
        Member("int32_t", "knot_count"),
        Member("int32_t", "substep", "place in the rows' substep tables; -1: none"),
        Member("uint32_t", "flags", "END_*"),
        Member("uint32_t", "label", "where the name of its random streams begins in `labels`"),
        Member("uint32_t", "label_bytes"),
    ]  # fmt: skip
    _fields_: ClassVar[Fields] = fields_of(members, CONSTANTS)


class EnginePort(Described):
    """A port of a node."""

    members: ClassVar[list[Member]] = [
        Member("int32_t", "fd", "non-blocking; -1: a port in memory, emptied by `engine_take`"),
        Member("int32_t", "node"),
        Member("int32_t", "end", "on which its packets leave; -1: by destination (a live satellite's shared downlink)"),
        Member("int32_t", "ethernet"),
    ]
    _fields_: ClassVar[Fields] = fields_of(members, CONSTANTS)


class EngineAddress(Described):
    """An address of a node."""

    members: ClassVar[list[Member]] = [
        Member("uint8_t", "family", "4 or 6"),
        Member("uint8_t", "bytes[16]"),
        Member("uint8_t", "unused[3]"),
        Member("int32_t", "dest", "its destination: a place in the route table, or dests + node for a transit node"),
    ]
    _fields_: ClassVar[Fields] = fields_of(members, CONSTANTS)


class EngineTrunk(Described):
    """The way to another host: a UDP socket that is connected to its engine."""

    members: ClassVar[list[Member]] = [
        Member("int32_t", "host"),
        Member("int32_t", "fd", "non-blocking; -1: a trunk in memory (`engine_trunk_pull`, `engine_trunk_push`)"),
        Member("uint64_t", "cookie_sent cookie_expected", "of datagrams to that host, and of those from it"),
        Member(
            "uint32_t",
            "datagram_bytes",
            "of the largest datagram, its head included; where sizes are tried before "
            "play (`engine_attend`), of the largest that is tried",
        ),
        Member("uint32_t", "unused"),
    ]
    _fields_: ClassVar[Fields] = fields_of(members, CONSTANTS)


class EngineConfig(Described):
    """All that the engine is told of a network. The caller keeps the arrays alive as long as the engine."""

    members: ClassVar[list[Member]] = [
        Member("int32_t", "nodes ends dests ports addresses lanes"),
        Member("int32_t", "static_routes", "the routes of the first row hold for the whole run"),
        Member("int32_t", "transit_routes", "transit nodes can be reached: 0 no, 1 along shortest delays, 2 from "
               "neighbours only"),
        Member("const engine_end *", "end"),
        Member("const engine_port *", "port"),
        Member("const engine_address *", "address"),
        Member("const uint8_t *", "live", "nodes: has a namespace (ports, a kernel that counts hops)"),
        Member("const uint8_t *", "may_forward", "nodes: may stand in the middle of a way to a transit node"),
        Member("const int32_t *", "lane_of_node", "nodes"),
        Member("const uint8_t *", "host_of_node", "nodes; 0: all are of this host"),
        Member("const uint8_t *", "ipv4", "nodes x 4; all zero: none"),
        Member("const uint8_t *", "ipv6", "nodes x 16"),
        Member("const uint8_t *", "labels", '"<seed>/link/<end name>/" of each end'),
        Member("const double *", "knot_t_s knot_delay_s knot_rate_bps knot_loss"),
        Member("const uint8_t *", "knot_up"),
        Member("const uint8_t *", "ring", "rows of the schedule in shared memory (emulator/schedule/ring.py); 0: none"),
        Member("int64_t", "ring_header_bytes ring_bytes_per_row ring_capacity"),
        Member("int64_t", " ".join(map(field_of_column, COLUMNS_READ)), "columns of a row (row_columns.h): bytes from "
               "its slot's begin"),
        Member("int64_t", "substep_knots"),
        Member("double", "step_s"),
        Member("int64_t", "small_slots large_slots", "packets of up to 2 KiB and larger ones that each lane may hold"),
        Member("int64_t", "handover_bytes", "of the ring between two lanes"),
        Member("double *", "sent", "ends x SENT_CELLS, filled by the engine"),
        Member("double *", "received", "lanes x ends x RECEIVED_CELLS"),
        Member("int64_t *", "unrouted", "nodes: packets of a shared downlink without a route"),
        Member("const engine_trunk *", "trunk", "one a host beside this one"),
        Member("int32_t", "trunks own_host"),
    ]  # fmt: skip
    _fields_: ClassVar[Fields] = fields_of(members, CONSTANTS)


class LaneReport(Described):
    """What a lane knows about itself; it grows, where nothing else is said. Read while the lane writes it."""

    lateness_sum_s: float
    lateness_max_s: float
    cpu_s: float
    slept_s: float
    overloaded_s: float
    late_engine_s: float
    late_scheduler_s: float
    late_capture_s: float
    now_s: float
    late_packets: int
    wakeups: int
    turns: int
    late_rows: int
    handed_over: int
    late_handovers: int
    late_queues: int
    pool_small: int
    pool_large: int
    obeyed: int
    turn_max_ns: int
    realtime: int
    lateness: Array[c_int64]
    members: ClassVar[list[Member]] = [
        Member("double", "lateness_sum_s lateness_max_s"),
        Member("double", "cpu_s", "of its thread"),
        Member("double", "slept_s"),
        Member("double", "overloaded_s", "time in which ports were not read because due packets lagged"),
        Member("double", "late_engine_s late_scheduler_s late_capture_s", "lateness of packets later than 1 ms, by "
               "what caused it"),
        Member("double", "now_s", "scenario time of its last turn"),
        Member("int64_t", "late_packets", "later than 1 ms"),
        Member("int64_t", "wakeups turns"),
        Member("int64_t", "late_rows", "times that a row was not there when it was needed"),
        Member("int64_t", "handed_over late_handovers"),
        Member("int64_t", "late_queues", "that came from another host too late to keep their packets' times"),
        Member("int64_t", "pool_small pool_large", "packets held at the moment"),
        Member("int64_t", "obeyed", "number of the last order that it has obeyed"),
        Member("int64_t", "turn_max_ns", "longest turn since `engine_turn_max_ns`"),
        Member("int32_t", "realtime", "whether it runs in a real-time class at the moment"),
        Member("int32_t", "unused"),
        Member("int64_t", "lateness[LATENESS_BUCKETS]"),
    ]  # fmt: skip
    _fields_: ClassVar[Fields] = fields_of(members, CONSTANTS)


class ClockProbe(Described):
    """A question about the clock of another host and its answer: ns of each host's own CLOCK_MONOTONIC."""

    asked_ns: int
    answered_ns: int
    heard_ns: int
    told_ns: int
    asker: int
    members: ClassVar[list[Member]] = [
        Member("int64_t", "asked_ns answered_ns", "of the host that asked: when it sent, and when the answer came"),
        Member("int64_t", "heard_ns told_ns", "of the host that answered: when the question came, and when it sent"),
        Member("int64_t", "asker", "host"),
    ]
    _fields_: ClassVar[Fields] = fields_of(members, CONSTANTS)


class TrunkReport(Described):
    """What a trunk knows about itself; counters only grow. Read while the engine writes it."""

    records_sent: int
    records_received: int
    queues_sent: int
    queues_received: int
    peer_sent: int
    bytes_sent: int
    bytes_received: int
    datagrams_sent: int
    datagrams_received: int
    asked: int
    repaired: int
    given_up: int
    late: int
    reordered: int
    rejected: int
    repeated: int
    dropped: int
    datagram_bytes: int
    fragments: int
    heard_s: float
    least_rtt_s: float
    latency: Array[c_int64]
    probed: int
    probe: Array[ClockProbe]
    members: ClassVar[list[Member]] = [
        Member("int64_t", "records_sent records_received"),
        Member("int64_t", "queues_sent queues_received", "of them: ends of queues that move, which are no packets"),
        Member("int64_t", "peer_sent", "records that the other host has sent whole, by its newest beat"),
        Member("int64_t", "bytes_sent bytes_received", "of records, with their heads"),
        Member("int64_t", "datagrams_sent datagrams_received", "with records, repairs not counted"),
        Member("int64_t", "asked repaired given_up", "datagrams: asked for again, sent again, missing for good"),
        Member("int64_t", "late reordered", "records that came after they were due, and of those the ones that a later "
               "one of their end had overtaken"),
        Member("int64_t", "rejected repeated", "datagrams and records that make no sense; datagrams that came twice"),
        Member("int64_t", "dropped", "records for which the trunk had no room"),
        Member("int64_t", "datagram_bytes", "of the largest datagram that passes both ways, as found before play"),
        Member("int64_t", "fragments", "1: the path no longer takes such datagrams whole, so they go in fragments"),
        Member("double", "heard_s", "scenario time of the last datagram"),
        Member("double", "least_rtt_s", "of the newest probes; inf: none was answered"),
        Member("int64_t", "latency[LATENESS_BUCKETS]", "datagrams with records by the time that they took, as the two "
               "hosts' scenario times have it"),
        Member("int64_t", "probed", "probes so far: number n lies at place n mod PROBES"),
        Member("clock_probe", "probe[PROBES]"),
    ]  # fmt: skip
    _fields_: ClassVar[Fields] = fields_of(members, CONSTANTS, {"clock_probe": ClockProbe})


class EngineOrder(Described):
    """What is done to a link end."""

    members: ClassVar[list[Member]] = [
        Member("uint32_t", "kind", "ORDER_*"),
        Member("int32_t", "end"),
        Member("uint32_t", "set clear", "VALUE_*: which follow the values below, which follow the schedule again"),
        Member("uint32_t", "taps", "ORDER_TAPS: bit n: tap n listens to this end"),
        Member("uint32_t", "up"),
        Member("double", "rate_bps delay_s loss"),
    ]
    _fields_: ClassVar[Fields] = fields_of(members, CONSTANTS)


class EngineDelivery(Described):
    """A packet seen from outside."""

    members: ClassVar[list[Member]] = [
        Member("double", "at_s", "due time; of a packet that waits: when it was offered"),
        Member("int32_t", "end node"),
        Member("int32_t", "dest hops"),
        Member("uint32_t", "size", "bytes on the wire"),
        Member("uint32_t", "bytes", "that it has, virtio header included"),
        Member("uint64_t", "offset", "of its bytes in the buffer given"),
    ]
    _fields_: ClassVar[Fields] = fields_of(members, CONSTANTS)


class EngineHandover(Described):
    """What crosses between lanes and between hosts: a packet that has left an end, with the instant at which it is due
    at the far node. `bytes` follow: of the packet, or of what Record says."""

    members: ClassVar[list[Member]] = [
        Member("double", "due_s", "of a packet that waits: when it was offered; of a queue's state: begin of the step"),
        Member("int32_t", "end"),
        Member("int32_t", "node", "receiver; of a packet that waits: its place in the queue"),
        Member("int32_t", "dest"),
        Member("int16_t", "hops"),
        Member("uint8_t", "kind", "RECORD_*"),
        Member("uint8_t", "step", "modulo 256: at whose begin a queue moved; of a packet: in which it left"),
        Member("uint32_t", "size bytes"),
    ]
    _fields_: ClassVar[Fields] = fields_of(members, CONSTANTS)


STRUCTURES: dict[str, type[Described]] = {
    "engine_end": EngineEnd,
    "engine_port": EnginePort,
    "engine_address": EngineAddress,
    "engine_trunk": EngineTrunk,
    "engine_config": EngineConfig,
    "engine_lane_report": LaneReport,
    "clock_probe": ClockProbe,
    "trunk_report": TrunkReport,
    "engine_order": EngineOrder,
    "engine_delivery": EngineDelivery,
    "engine_handover": EngineHandover,
}
