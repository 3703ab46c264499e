"""What all processes of a host use of its machine, read a few at a time by `observe.usage`.

Invariant: it sees the processes of the host's own sandbox alone, whose /proc this is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from emulator.observe.usage import Usage


class Use(TypedDict):
    """Cores over the last second or so, and memory that processes share with nobody."""

    host_cpu: float
    host_memory_bytes: int


class HostUse:
    """The readings of one host."""

    def __init__(self) -> None:
        self._usage = Usage()

    def read(self, now_s: float) -> Use:
        """Read the next few processes; the sums of what is known of all."""
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        self._usage.read(pids, now_s)
        found = [use for pid in pids if (use := self._usage.of(pid)) is not None]
        return {"host_cpu": sum(use.cpu for use in found), "host_memory_bytes": sum(use.memory_bytes for use in found)}
