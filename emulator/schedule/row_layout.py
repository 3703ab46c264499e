"""What lies where in a slot of the ring: the one description, from which Python's arrays and the engine's C both come.

Invariant: a slot holds the columns in this order, each from a multiple of 64 bytes on, closely packed, in the machine's
byte order. `python -m emulator.link.engine.header` makes the engine's `row_columns.h` of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

HEADER_BYTES = 4096  # before the first slot; begins with int64 latest, the step of the newest row, -1 before the first
ALIGNMENT = 64  # bytes of a cache line
HANDOVER = np.dtype([("t_s", "f8"), ("link", "i4"), ("before", "i4"), ("after", "i4"), ("_", "i4")])
C_TYPES = {"int64": "int64_t", "int32": "int32_t", "float64": "double", "bool": "uint8_t"}  # of dtypes, by name


class Column(NamedTuple):
    """`shape` by the letters of `Sizes`; the packet engine reads what has a C type."""

    name: str
    dtype: np.dtype[Any]
    shape: str
    meaning: str

    @property
    def c_type(self) -> str:
        """ "" where the engine does not read the column."""
        return C_TYPES.get(self.dtype.name, "")


def _column(name: str, dtype: Any, shape: str, meaning: str) -> Column:
    return Column(name, np.dtype(dtype), shape, meaning)


COLUMNS = (
    _column("head", np.int64, "2", "step, the slot's sequence counter (-1 while it is written); number of handovers"),
    _column("delay_start_s", np.float64, "E", "delay at the begin of the step"),
    _column("delay_end_s", np.float64, "E", "and at its end; in between it goes in a straight line"),
    _column("rate_bps", np.float64, "E", ""),
    _column("loss", np.float64, "E", "a share from 0 to 1"),
    _column("up", np.bool_, "E", "0 or 1"),
    _column("peer", np.int32, "E", "node that receives, -1: nobody"),
    _column("next_end", np.int32, "DN", "end on which a node sends for a destination, -1: it has no route"),
    _column("handovers", HANDOVER, "L", "as many as the head says"),
    _column("substep.count", np.int32, "F", "knots used of a substep table; 0: the row's own values hold"),
    _column("substep.t_s", np.float64, "FK", "time of each knot"),
    _column("substep.delay_s", np.float64, "FK", "goes in a straight line from knot to knot"),
    _column("substep.rate_bps", np.float64, "FK", "holds until the next knot"),
    _column("substep.loss", np.float64, "FK", "holds until the next knot"),
    _column("substep.up", np.bool_, "FK", "holds until the next knot"),
)


class Sizes(NamedTuple):
    """E ends, L links, N nodes, D destinations; F ends have substep tables, of at most K knots each (0: the rows
    have no substep tables)."""

    E: int
    L: int
    N: int
    D: int
    F: int = 0
    K: int = 0


class Placed(NamedTuple):
    """A column in a ring of given sizes: bytes from its slot's begin, and its shape."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def placed(sizes: Sizes) -> tuple[dict[str, Placed], int]:
    """Where each column lies, and how many bytes all of them take."""
    letters: Mapping[str, int] = sizes._asdict()
    found, at = dict[str, Placed](), 0
    for name, dtype, letter_shape, _ in COLUMNS:
        if name.startswith("substep.") and not sizes.K:
            continue
        shape = tuple(int(letter) if letter.isdigit() else letters[letter] for letter in letter_shape)
        found[name] = Placed(at, dtype, shape)
        at += -(-prod(shape) * dtype.itemsize // ALIGNMENT) * ALIGNMENT
    return found, at
