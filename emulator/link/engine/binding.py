"""The compiled engine for ctypes: the functions of abi.h, and the library with them.

Invariant: `library` returns no library whose structures differ from those of `structures` in a size or an offset, or
that lacks a function; a difference is a PlatformError.
"""

from __future__ import annotations

import os
from ctypes import (
    CDLL,
    POINTER,
    c_char_p,
    c_double,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
    sizeof,
)
from functools import cache
from pathlib import Path
from typing import Any

from emulator.link.engine.structures import (
    CONSTANTS,
    STRUCTURES,
    EngineConfig,
    EngineDelivery,
    EngineOrder,
    LaneReport,
    TrunkReport,
)
from emulator.model.errors import PlatformError

VARIABLE = "SKYLOOM_ENGINE"  # environment variable with the path of another library
_REMEDY = "run `make setup` in the checkout, or `pip install -e .` in your own environment"

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
    "engine_trunk_report": (POINTER(TrunkReport), c_void_p, c_int),
    "engine_trunk_pull": (c_uint32, c_void_p, c_int, c_double, c_void_p, c_uint32),
    "engine_attend": (None, c_void_p),
    "engine_share_clock": (None, c_void_p, c_void_p),
    "engine_run_clock_ns": (c_int64, c_void_p, c_int64),
    "engine_trunk_push": (None, c_void_p, c_int, c_double, *_PACKET),
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
    """The path of the engine: SKYLOOM_ENGINE, or libengine.so beside this file."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path(__file__).with_name("libengine.so")


@cache
def library() -> CDLL:
    """The engine's library, loaded and checked once in a process. PlatformError if there is no matching one."""
    return load(library_path())


def load(path: Path) -> CDLL:
    """The library at `path`, with prototypes. PlatformError if it is missing, damaged or of other sources."""
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
    """The expected result of `engine_layout`: each number with its name."""
    out = [("ENGINE_ABI", CONSTANTS["ENGINE_ABI"])]
    for name, structure in STRUCTURES.items():
        out.append((f"sizeof({name})", sizeof(structure)))
        out += [(f"offset of {name}.{field[0]}", getattr(structure, field[0]).offset) for field in structure._fields_]
    return out + [
        (name, CONSTANTS[name]) for name in ("SENT_CELLS", "RECEIVED_CELLS", "LATENESS_BUCKETS", "TAPS", "PROBES")
    ]


def _misfit(found: CDLL) -> str:
    """The first number in which the library's layout differs from the expected one; "" if none does."""
    expected = expected_layout()
    count = found.engine_layout(None, 0)
    numbers = (c_uint32 * count)()
    found.engine_layout(numbers, count)
    for (name, number_expected), number in zip(expected, numbers, strict=False):
        if number != number_expected:
            return f"{name} is {number}, expected {number_expected}"
    return "" if count == len(expected) else f"its layout has {count} numbers, expected {len(expected)}"


def built_with() -> str:
    """The compiler of the library, as recorded by its build."""
    text: bytes = library().engine_built_with()
    return text.decode(errors="replace")
