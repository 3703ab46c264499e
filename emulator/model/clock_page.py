"""The run's clock on a host that has another one: lines over the host's own clock, in memory that its processes share.

The run's clock is CLOCK_MONOTONIC of host 0. What it reads elsewhere is worked out from probes by one process of each
host (runtime/cluster/host.py), which writes a new line here several times a second. All others, the packet engine too
(link/engine/trunk_clock.c), read the newest line, so a host has one answer to the question of what time it is.
Invariant: no reader sees half a line. A single byte says which line is the newest, and its place is written again only
LINES lines later.
"""

from __future__ import annotations

import mmap
import os
from struct import Struct
from typing import NamedTuple

LINES = 64
FIRST_BYTES = 64  # before the lines; of them only the first is used: number of the newest line from 1 on, 0: none yet
LINE_BYTES = 32
_LINE = Struct("=qqd")


class Line(NamedTuple):
    """The run's clock: `run_ns` at the own reading `at_ns`, and so much quicker than the own one since (s/s)."""

    at_ns: int
    run_ns: int
    rate: float

    def run_at_ns(self, own_ns: int) -> int:
        since_ns = own_ns - self.at_ns
        return self.run_ns + since_ns + round(since_ns * self.rate)

    def own_at_ns(self, run_ns: int) -> int:
        """The own reading at which the run's clock reads so."""
        since_ns = run_ns - self.run_ns
        return self.at_ns + since_ns - round(since_ns * self.rate / (1.0 + self.rate))


OWN = Line(0, 0, 0.0)  # on host 0, and before anything is known


class ClockPage:
    """The lines of one host, behind the descriptor of a memory file; a new one where none is given."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = os.memfd_create("clock", os.MFD_CLOEXEC) if fd is None else fd
        size = FIRST_BYTES + LINES * LINE_BYTES
        if fd is None:
            os.ftruncate(self.fd, size)
        self.memory = mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)

    def write(self, line: Line) -> None:
        """Let this one hold from now on. System calls keep the order of the two writes on every processor."""
        place = self.memory[0] % LINES
        os.pwrite(self.fd, _LINE.pack(*line), FIRST_BYTES + place * LINE_BYTES)
        os.pwrite(self.fd, bytes((place + 1,)), 0)

    def line(self) -> Line:
        """The newest."""
        newest = self.memory[0]
        if not newest:
            return OWN
        return Line(*_LINE.unpack_from(self.memory, FIRST_BYTES + (newest - 1) * LINE_BYTES))
