"""What the processes of a run use of the machine, read from /proc a few at a time.

Invariant: a reading costs a bounded time however many processes there are; a process that is not read in this turn
keeps its last figures, and one that has gone has none.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

BATCH = 48  # processes read in one turn: about a millisecond
LEAST_S = 0.9  # between two readings of one process
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Use(NamedTuple):
    """Of one process: cores used between the last two readings, resident memory."""

    cpu: float
    rss_bytes: int


class Usage:
    """Readings of the processes whose ids it is given."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._last: dict[int, tuple[float, float, Use]] = {}  # by pid: when, CPU seconds then, what it came to
        self._at = 0

    def read(self, pids: Sequence[int], now_s: float) -> None:
        """Read the next few of `pids` whose last reading is old enough."""
        if len(self._last) > 2 * len(pids) + BATCH:  # mostly processes that have ended
            kept = set(pids)
            self._last = {pid: found for pid, found in self._last.items() if pid in kept}
        for _ in range(min(BATCH, len(pids))):
            self._at = (self._at + 1) % len(pids)
            pid = pids[self._at]
            before = self._last.get(pid)
            if before is None or now_s - before[0] >= LEAST_S:
                self._read(pid, now_s, before)

    def of(self, pid: int) -> Use | None:
        """The last figures of a process."""
        found = self._last.get(pid)
        return found[2] if found is not None else None

    def _read(self, pid: int, now_s: float, before: tuple[float, float, Use] | None) -> None:
        try:
            text = (self._proc / str(pid) / "stat").read_text()
        except OSError:
            self._last.pop(pid, None)
            return
        fields = text.rpartition(")")[2].split()  # proc(5): state is field 3, utime 14, stime 15, rss 24
        cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS
        rss_bytes = int(fields[21]) * _PAGE_BYTES
        cpu = (cpu_s - before[1]) / (now_s - before[0]) if before is not None else 0.0
        self._last[pid] = (now_s, cpu_s, Use(cpu, rss_bytes))
