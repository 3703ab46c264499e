"""What the processes of a run use of the machine, read from /proc a few at a time.

Invariant: a reading costs a bounded time however many processes there are; a process that is not read in this turn
keeps its last figures, and one that has gone has none.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

BATCH = 32  # processes whose time is read in one turn: about 2 ms
LEAST_S = 0.9  # between two readings of one process
MEMORY_BATCH = 2  # processes whose memory is read in one turn: the kernel walks their pages, 0.3 ms each
MEMORY_S = 5.0  # between two readings of one process
_TICKS = os.sysconf("SC_CLK_TCK")


class Use(NamedTuple):
    """Of one process: cores used between the last two readings, memory that it shares with nobody."""

    cpu: float
    memory_bytes: int


class _Reading(NamedTuple):
    at_s: float
    cpu_s: float
    cpu: float


class Usage:
    """Readings of the processes whose ids it is given."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._times: dict[int, _Reading] = {}  # by pid
        self._memory: dict[int, tuple[float, int]] = {}  # by pid: when, bytes
        self._at = self._memory_at = 0

    def read(self, pids: Sequence[int], now_s: float) -> None:
        """Read the next few of `pids` whose last reading is old enough."""
        if len(self._times) > 2 * len(pids) + BATCH:  # mostly processes that have ended
            kept = set(pids)
            self._times = {pid: found for pid, found in self._times.items() if pid in kept}
            self._memory = {pid: found for pid, found in self._memory.items() if pid in kept}
        for _ in range(min(BATCH, len(pids))):
            self._at = (self._at + 1) % len(pids)
            self._read_time(pids[self._at], now_s)
        for _ in range(min(MEMORY_BATCH, len(pids))):
            self._memory_at = (self._memory_at + 1) % len(pids)
            self._read_memory(pids[self._memory_at], now_s)

    def of(self, pid: int) -> Use | None:
        """The last figures of a process; its memory is 0 until it is read for the first time."""
        found = self._times.get(pid)
        return Use(found.cpu, self._memory.get(pid, (0.0, 0))[1]) if found is not None else None

    def _read_time(self, pid: int, now_s: float) -> None:
        before = self._times.get(pid)
        if before is not None and now_s - before.at_s < LEAST_S:
            return
        try:
            text = (self._proc / str(pid) / "stat").read_text()
        except OSError:
            self._times.pop(pid, None)
            return
        fields = text.rpartition(")")[2].split()  # proc(5): state is field 3, utime 14, stime 15
        cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS
        cpu = (cpu_s - before.cpu_s) / (now_s - before.at_s) if before is not None else 0.0
        self._times[pid] = _Reading(now_s, cpu_s, cpu)

    def _read_memory(self, pid: int, now_s: float) -> None:
        before = self._memory.get(pid)
        if before is not None and now_s - before[0] < MEMORY_S:
            return
        try:
            lines = (self._proc / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            return
        private = [int(line.split()[1]) for line in lines if line.startswith("Private_")]  # kB
        self._memory[pid] = (now_s, 1024 * sum(private))
