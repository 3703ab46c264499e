"""Processor time that the hypervisor of a virtual machine gave to others while we wanted to run ("steal").

Invariant: it only reads /proc/stat. A run that was late on such a machine is late, but its reader should know why.
"""

from __future__ import annotations

from pathlib import Path

NOTABLE = 0.02  # share of all processor time from which on a reader is told
_STEAL = 7  # place of the field in the "cpu" line: user nice system idle iowait irq softirq steal


def read() -> tuple[int, int]:
    """Ticks stolen and ticks in all since the machine started."""
    try:
        ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return 0, 0
    return (ticks[_STEAL] if len(ticks) > _STEAL else 0), sum(ticks)


def warnings(before: tuple[int, int], after: tuple[int, int]) -> list[str]:
    """What to tell of the time between two readings; nothing where next to nothing was stolen."""
    stolen, ticks = after[0] - before[0], after[1] - before[1]
    if ticks <= 0 or stolen < NOTABLE * ticks:
        return []
    return [f"the hypervisor took {stolen / ticks:.0%} of this machine's processor time; that, too, makes packets late"]
