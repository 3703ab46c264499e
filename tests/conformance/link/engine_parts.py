"""The engine's functions on single packets as Python functions over bytes.

Invariant: every call gives the C code a buffer of exactly the packet's bytes, so that a sanitizer sees the first byte
read or written beyond it.
"""

import os
import subprocess
from ctypes import CDLL, POINTER, Structure, byref, c_bool, c_double, c_int, c_uint8, c_uint32, c_void_p, string_at
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.link.engine import build
from emulator.link.engine.binding import PROTOTYPES

LARGE_BYTES = 65664  # core.h: what a cut may need
ANSWER_BYTES = 10 + 1280
SOURCES = ("packet.c", "icmp.c", "random.c", "probes.c")
PROBES = ("wire_size", "set_hop_limit", "complete", "segments", "icmp_error", "echo_reply", "random")

_packet = (c_void_p, c_uint32)
INNER = {
    "packet_version": (c_int, *_packet, c_uint32),
    "packet_destination": (c_void_p, *_packet, POINTER(c_int)),
    "packet_source": (c_void_p, *_packet, POINTER(c_int)),
    "address_is_group": (c_bool, c_void_p, c_int),
    "packet_hop_limit": (c_int, *_packet),
    "packet_segment": (c_uint32, *_packet, c_uint32, POINTER(c_uint32)),
    "packet_segments": (c_uint32, *_packet, c_uint32),
    "packet_flip": (c_bool, *_packet, c_uint32, c_double),
    "sum16": (c_uint32, *_packet, c_uint32),
    "allowance_take": (c_bool, c_void_p, c_double),
}
EXPORTED = {name: PROTOTYPES[name] for name in PROTOTYPES if name.removeprefix("engine_") in PROBES}


@cache
def parts() -> CDLL:
    """A library of these files alone, with their inner functions too; with sanitizers where the process has them."""
    sanitized = "asan" in os.environ.get("LD_PRELOAD", "")
    plan = build.Plan(sanitize="address,undefined" if sanitized else "")
    compiler = build.find_compiler(plan).command
    files = [str(build.FOLDER / name) for name in SOURCES]
    with TemporaryDirectory(prefix="engine-parts-") as folder:
        path = str(Path(folder, "parts.so"))
        subprocess.run([*compiler, *plan.flags(), "-fvisibility=default", *files, "-o", path, "-lm"], check=True)
        library = CDLL(path)
    for name, (result, *arguments) in (EXPORTED | INNER).items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def engine() -> "Exported":
    """The functions that abi.h names. This line decides of which library: these files alone, or all of it."""
    return Exported(parts())


def inner() -> "Inner":
    return Inner(parts())


def buffer(data: bytes):
    return (c_uint8 * len(data)).from_buffer_copy(data)


class Exported:
    """The functions that abi.h names."""

    def __init__(self, library: CDLL) -> None:
        self._library = library

    def wire_size(self, data, ip=10):
        return self._library.engine_wire_size(buffer(data), len(data), ip == 24)

    def with_hop_limit(self, data, hops):
        inside = buffer(data)
        self._library.engine_set_hop_limit(inside, len(data), hops)
        return bytes(inside)

    def completed(self, data):
        inside = buffer(data)
        assert self._library.engine_complete(inside, len(data)) == len(data)
        return bytes(inside)

    def segments(self, data, ip, first, count):
        """`count` segments from `first` on as one packet; b"" where it cannot be cut."""
        out = (c_uint8 * LARGE_BYTES)()
        size = self._library.engine_segments(buffer(data), len(data), ip == 24, first, count, out)
        return string_at(out, size)

    def pieces(self, data, ip=10):
        """All segments one by one."""
        out, inside, parts = (c_uint8 * LARGE_BYTES)(), buffer(data), []
        while size := self._library.engine_segments(inside, len(data), ip == 24, len(parts), 1, out):
            parts.append(string_at(out, size))
        return parts

    def answer(self, data, node, expired, hops=1):
        out, family = (c_uint8 * ANSWER_BYTES)(), 4 if len(node) == 4 else 6
        size = self._library.engine_icmp_error(buffer(data), len(data), buffer(node), family, expired, hops, out)
        return string_at(out, size) or None

    def echo_reply(self, data):
        out = (c_uint8 * LARGE_BYTES)()
        return string_at(out, self._library.engine_echo_reply(buffer(data), len(data), out)) or None

    def random(self, label, count):
        data, out = label.encode(), (c_double * count)()
        self._library.engine_random(buffer(data), len(data), out, count)
        return list(out)


class Inner:
    """Functions that the engine keeps to itself."""

    def __init__(self, library: CDLL) -> None:
        self._library = library

    def sum16(self, data, start=0):
        return self._library.sum16(buffer(data), len(data), start)

    def version(self, data, ip=10):
        return self._library.packet_version(buffer(data), len(data), ip)

    def _address(self, find, data):
        inside, family = buffer(data), c_int(-1)
        at = find(inside, len(data), byref(family))
        return string_at(at, 4 if family.value == 4 else 16) if at else b"", family.value

    def destination(self, data):
        return self._address(self._library.packet_destination, data)

    def source(self, data):
        return self._address(self._library.packet_source, data)

    def is_group(self, address):
        family = {4: 4, 16: 6}.get(len(address), 0)
        return self._library.address_is_group(buffer(address) if address else None, family)

    def hop_limit(self, data):
        return self._library.packet_hop_limit(buffer(data), len(data))

    def merged(self, data, ip=10):
        headers = c_uint32(77)
        segment = self._library.packet_segment(buffer(data), len(data), ip, byref(headers))
        return segment, headers.value

    def segments(self, data, ip=10):
        return self._library.packet_segments(buffer(data), len(data), ip)

    def flipped(self, data, ip, where):
        """The packet with its bit flipped, and whether it was."""
        inside = buffer(data)
        done = self._library.packet_flip(inside, len(data), ip, where)
        return bytes(inside), done

    def allowance(self):
        """A new bucket: the function that takes from it."""
        zeroed = _Allowance()
        return lambda t_s: self._library.allowance_take(byref(zeroed), t_s)


class _Allowance(Structure):
    _fields_ = (("tokens", c_double), ("at_s", c_double))
