"""The compiled engine as ctypes sees it: the structures and functions of abi.h, and the library that has them.

Invariant: `library` gives out no library whose structures differ from these in a size or an offset, or which lacks a
function; what differs is told as a PlatformError.
"""

from __future__ import annotations

import os
from ctypes import (
    CDLL,
    POINTER,
    Array,
    Structure,
    c_char_p,
    c_double,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
    sizeof,
)
from enum import IntEnum, IntFlag
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from emulator.model.errors import PlatformError

ABI = 1
LATENESS_BUCKETS = 320
TAPS = 32
VARIABLE = "SKYLOOM_ENGINE"  # of the environment: another library than the one beside this file
_REMEDY = "run `make setup` in the checkout, or `pip install -e .` in your own environment"


class EndFlag(IntFlag):
    """What is unusual about a link end."""

    MOVING = 1
    ETHERNET = 2
    HEAD_DROP = 4
    HOLD_WHEN_DOWN = 8
    OVERTAKING = 16
    BURST_LOSS = 32


class Sent(IntEnum):
    """Cells that the sender's lane counts for a link end."""

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
    """Cells that the receiver's lane counts for a link end."""

    PACKETS = 0
    BYTES = 1
    LATE_SUM_S = 2
    LATE_MAX_S = 3
    DROP_REFUSED = 4
    DROP_NOROUTE = 5
    DROP_TTL = 6


SENT_CELLS = 16
RECEIVED_CELLS = 8


class OrderKind(IntEnum):
    SET = 0
    HOLD = 1
    RELEASE = 2
    TAPS = 3
    STOP = 4


class Value(IntFlag):
    """Values of a link end that an order sets, or gives back to the schedule."""

    UP = 1
    RATE = 2
    DELAY = 4
    LOSS = 8


# --- structures, in the order of abi.h --------------------------------------------------------------------------------

_Fields = list[tuple[str, Any]]  # a name and a ctypes class


def _of(kind: Any, names: str) -> _Fields:
    return [(name, kind) for name in names.split()]


class EngineEnd(Structure):
    _fields_: ClassVar[_Fields] = [
        *_of(c_double, "queue_bytes queue_packets queue_s jitter_s duplicate corrupt"),
        *_of(c_double, "good_to_bad bad_to_good loss_good loss_bad period_s"),
        *_of(c_int32, "sender far first_knot knot_count fine"),
        *_of(c_uint32, "flags label label_bytes"),
    ]


class EnginePort(Structure):
    _fields_: ClassVar[_Fields] = _of(c_int32, "fd node end ethernet")


class EngineAddress(Structure):
    _fields_: ClassVar[_Fields] = [
        ("family", c_uint8),
        ("bytes", c_uint8 * 16),
        ("unused", c_uint8 * 3),
        ("dest", c_int32),
    ]


class EngineConfig(Structure):
    """Pointers are plain addresses: `tables.Tables` keeps what they point to."""

    _fields_: ClassVar[_Fields] = [
        *_of(c_int32, "nodes ends dests ports addresses lanes static_routes transit_routes"),
        *_of(c_void_p, "end port address live may_forward lane_of_node ipv4 ipv6 labels"),
        *_of(c_void_p, "knot_t_s knot_delay_s knot_rate_bps knot_loss knot_up ring"),
        *_of(c_int64, "ring_header_bytes ring_bytes_per_row ring_capacity"),
        *_of(c_int64, "at_head at_delay_start_s at_delay_end_s at_rate_bps at_loss at_up at_peer at_next_end"),
        *_of(c_int64, "at_fine_count at_fine_t_s at_fine_delay_s at_fine_rate_bps at_fine_loss at_fine_up fine_knots"),
        ("step_s", c_double),
        *_of(c_int64, "small_slots large_slots handover_bytes"),
        *_of(c_void_p, "sent received unrouted"),
    ]


class LaneReport(Structure):
    """What a lane knows about itself; read while the lane writes it."""

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
    pool_small: int
    pool_large: int
    obeyed: int
    turn_max_ns: int
    realtime: int
    lateness: Array[c_int64]
    _fields_: ClassVar[_Fields] = [
        *_of(c_double, "lateness_sum_s lateness_max_s cpu_s slept_s overloaded_s"),
        *_of(c_double, "late_engine_s late_scheduler_s late_capture_s now_s"),
        *_of(c_int64, "late_packets wakeups turns late_rows handed_over late_handovers"),
        *_of(c_int64, "pool_small pool_large obeyed turn_max_ns"),
        *_of(c_int32, "realtime unused"),
        ("lateness", c_int64 * LATENESS_BUCKETS),
    ]


class EngineOrder(Structure):
    _fields_: ClassVar[_Fields] = [
        ("kind", c_uint32),
        ("end", c_int32),
        *_of(c_uint32, "set clear taps up"),
        *_of(c_double, "rate_bps delay_s loss"),
    ]


class EngineDelivery(Structure):
    _fields_: ClassVar[_Fields] = [
        ("at_s", c_double),
        *_of(c_int32, "end node dest hops"),
        *_of(c_uint32, "size bytes"),
        ("offset", c_uint64),
    ]


class EngineHandover(Structure):
    _fields_: ClassVar[_Fields] = [
        ("due_s", c_double),
        *_of(c_int32, "end node dest hops"),
        *_of(c_uint32, "size bytes"),
    ]


STRUCTURES: dict[str, type[Structure]] = {
    "engine_end": EngineEnd,
    "engine_port": EnginePort,
    "engine_address": EngineAddress,
    "engine_config": EngineConfig,
    "engine_lane_report": LaneReport,
    "engine_order": EngineOrder,
    "engine_delivery": EngineDelivery,
    "engine_handover": EngineHandover,
}

# --- functions: result, then arguments. Bytes go as c_void_p, which takes bytes, buffers and addresses ---------------

_PACKET = (c_void_p, c_uint32)
PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "engine_create": (c_void_p, POINTER(EngineConfig), c_char_p, c_size_t),
    "engine_destroy": (None, c_void_p),
    "engine_built_with": (c_char_p,),
    "engine_layout": (c_size_t, POINTER(c_uint32), c_size_t),
    "engine_report": (POINTER(LaneReport), c_void_p, c_int),
    "engine_turn_max_ns": (c_int64, c_void_p, c_int),
    "engine_offer": (c_int, c_void_p, c_int32, c_double, *_PACKET, c_uint32, c_int32, c_int32),
    "engine_play": (None, c_void_p, c_double, c_int),
    "engine_next_s": (c_double, c_void_p),
    "engine_obey": (None, c_void_p, POINTER(EngineOrder), c_double),
    "engine_take": (c_int64, c_void_p, POINTER(EngineDelivery), c_int64, c_void_p, c_uint64),
    "engine_inside": (c_int64, c_void_p, c_int32, c_int, POINTER(EngineDelivery), c_int64, c_void_p, c_uint64),
    "engine_holds": (None, c_void_p, c_int32, c_double, POINTER(c_double)),
    "engine_run": (c_int, c_void_p, c_int, c_int64, c_int, c_int),
    "engine_send": (c_int64, c_void_p, POINTER(EngineOrder)),
    "engine_obeyed": (c_int64, c_void_p),
    "engine_order_fd": (c_int, c_void_p),
    "engine_gate": (None, c_void_p, c_int),
    "engine_tap_open": (c_int, c_void_p, c_int, c_uint64, c_uint32),
    "engine_tap_close": (None, c_void_p, c_int),
    "engine_tap_lost": (c_int64, c_void_p, c_int),
    "engine_tap_drain": (c_uint64, c_void_p, c_int, c_void_p, c_uint64),
    "engine_wire_size": (c_uint32, *_PACKET, c_int),
    "engine_set_hop_limit": (None, *_PACKET, c_int),
    "engine_complete": (c_uint32, *_PACKET),
    "engine_segments": (c_uint32, *_PACKET, c_int, c_uint32, c_uint32, c_void_p),
    "engine_icmp_error": (c_uint32, *_PACKET, c_void_p, c_int, c_int, c_int, c_void_p),
    "engine_echo_reply": (c_uint32, *_PACKET, c_void_p),
    "engine_random": (None, *_PACKET, POINTER(c_double), c_int64),
}


# --- the library ------------------------------------------------------------------------------------------------------


def library_path() -> Path:
    """Where the engine is: what SKYLOOM_ENGINE names, or libengine.so beside this file."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path(__file__).with_name("libengine.so")


@cache
def library() -> CDLL:
    """The engine's library, loaded and checked once in a process. PlatformError where there is none that fits."""
    return load(library_path())


def load(path: Path) -> CDLL:
    """The library at `path`, with prototypes. PlatformError where it is missing, damaged or of other sources."""
    if not path.exists():
        whence = f" ({VARIABLE} names it)" if os.environ.get(VARIABLE) else ""
        raise PlatformError(f"the packet engine is not there: expected {path}{whence}; {_REMEDY}")
    try:
        found = CDLL(str(path))
    except OSError as error:
        raise PlatformError(f"the packet engine does not load: {error}; {_REMEDY}") from error
    for name, (result, *arguments) in PROTOTYPES.items():
        try:
            function = getattr(found, name)
        except AttributeError:
            raise PlatformError(
                f"the packet engine {path} is of other sources than this Python code: it has no {name}; {_REMEDY}"
            ) from None
        function.restype, function.argtypes = result, arguments
    fault = _misfit(found)
    if fault:
        raise PlatformError(f"the packet engine {path} is of other sources than this Python code: {fault}; {_REMEDY}")
    return found


def expected_layout() -> list[tuple[str, int]]:
    """What `engine_layout` must return, each number with the name of what it measures."""
    out = [("ENGINE_ABI", ABI)]
    for name, structure in STRUCTURES.items():
        out.append((f"sizeof({name})", sizeof(structure)))
        out += [(f"offset of {name}.{field[0]}", getattr(structure, field[0]).offset) for field in structure._fields_]
    return [
        *out,
        ("SENT_CELLS", SENT_CELLS),
        ("RECEIVED_CELLS", RECEIVED_CELLS),
        ("LATENESS_BUCKETS", LATENESS_BUCKETS),
        ("TAPS", TAPS),
    ]


def _misfit(found: CDLL) -> str:
    """The first number in which the library's layout differs from what Python expects; "" where none does."""
    expected = expected_layout()
    count = found.engine_layout(None, 0)
    numbers = (c_uint32 * count)()
    found.engine_layout(numbers, count)
    for (name, wanted), number in zip(expected, numbers, strict=False):
        if number != wanted:
            return f"{name} is {number}, expected {wanted}"
    return "" if count == len(expected) else f"its layout has {count} numbers, expected {len(expected)}"


def built_with() -> str:
    """Which compiler made the library, as its build told it."""
    text: bytes = library().engine_built_with()
    return text.decode(errors="replace")
