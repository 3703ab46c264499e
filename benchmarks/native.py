"""Floors and a load in C (native.c), compiled for one benchmark with the compiler and flags of the engine.

Invariant: it is linked to the library that `emulator.link.engine.binding` loads, so both see one engine.
"""

from __future__ import annotations

import subprocess
import tempfile
from ctypes import CDLL, POINTER, Structure, c_double, c_int32, c_int64, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from emulator.link.engine import build
from emulator.link.engine.binding import library, library_path

SOURCE = Path(__file__).with_name("native.c")


class Load(Structure):
    """What `play_load` plays; see native.c."""

    wall_ns: int
    cpu_ns: int
    _fields_: ClassVar[list[tuple[str, Any]]] = [
        ("t_s", c_double),
        ("step_s", c_double),
        ("steps", c_int64),
        ("threads", c_int64),
        ("end_of_node", c_void_p),
        ("ipv4", c_void_p),
        ("live", c_void_p),
        ("live_count", c_int64),
        ("junk", c_void_p),
        ("junk_bytes", c_uint64),
        ("room", c_void_p),
        ("bytes", c_void_p),
        ("most", c_int64),
        ("bytes_room", c_int64),
        ("wall_ns", c_int64),
        ("cpu_ns", c_int64),
    ]


@cache
def native() -> CDLL:
    """The compiled functions. BuildError where there is no compiler."""
    library()
    plan = build.Plan()
    compiler = build.find_compiler(plan)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "native.so")
        flags = [*build.FLAGS, plan.optimisation, *build.WARNINGS, "-shared", f"-I{build.FOLDER}"]
        command = [*compiler.command, *flags, "-o", str(made), str(SOURCE), str(library_path().resolve()), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise build.BuildError(f"{SOURCE.name} could not be compiled:\n{done.stderr}")
        found = CDLL(str(made))
    found.bare_relay.argtypes, found.bare_relay.restype = (c_int32, c_int32, c_double), None
    found.delay_datagrams.argtypes, found.delay_datagrams.restype = (*[c_int32] * 2, *[c_double] * 3), None
    found.only_wake.argtypes, found.only_wake.restype = (c_double, POINTER(c_double), c_int64), None
    found.bare_hops.argtypes = (*[c_void_p] * 3, *[c_int32] * 3, c_void_p, c_int32, c_int64)
    found.bare_hops.restype = c_int64
    found.play_load.argtypes, found.play_load.restype = (c_void_p, POINTER(Load)), None
    return found
