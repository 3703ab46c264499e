"""Warnings of a run: faults of the emulation that a reader must know before they trust its figures.

Invariant: a warning appears as soon as its reason does, on the live screen and in the verdict, and stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from emulator.link.stats import EndStats

if TYPE_CHECKING:
    from emulator.runtime.plane import Plane
    from emulator.runtime.programs.processes import Processes
    from emulator.runtime.supervisor.collector import Collector

LARGE_LOGS_BYTES = 100_000_000  # in sum


def found(data_plane: Plane, collector: Collector, processes: Processes | None = None) -> list[str]:
    """Warnings so far."""
    told = [*data_plane.warnings()]
    if collector.dropped_records:
        told.append(f"{collector.dropped_records} events and samples were lost: nodes recorded more than was taken")
    if processes is not None and processes.rejected:
        told.append(f"{processes.rejected} malformed messages were refused, the first of {processes.first_rejected}")
    if data_plane.late_rows:
        told.append(f"{data_plane.late_rows} rows of the schedule came after their step had begun")
    if collector.saturated:
        told.append(f"the packet engine was at its limit in {collector.saturated} of {collector.reports} reports")
    if data_plane.refused_routes:
        count = len(data_plane.refused_routes)
        told.append(f"the kernel refused {count} route changes, the first: {data_plane.refused_routes[0]}")
    if collector.metrics.queued and not collector.metrics.errors_s:
        told.append("no probe error: every probe shared its path with traffic that may have queued before it")
    return told


def at_end(collector: Collector) -> list[str]:
    """Warnings of a run that is over."""
    sent = sum(counters[EndStats.SENT_PACKETS] for counters in collector.counters.values())
    if collector.reports and collector.end_names and not sent:
        return ["no packet crossed any link: no program sent anything to another node"]
    return []


def large_logs(folder: Path) -> list[str]:
    """Says so where programs have printed much: logs are kept whole, and share a disk with what the run records."""
    sizes = {path: path.stat().st_size for path in folder.rglob("*.txt")}
    total_bytes = sum(sizes.values())
    if total_bytes <= LARGE_LOGS_BYTES:
        return []
    largest = max(sizes, key=lambda path: sizes[path])
    return [
        f"programs printed {total_bytes / 1e6:,.0f} MB, which are kept in logs/; the most is in "
        f"{largest.relative_to(folder)}, {sizes[largest] / 1e6:,.0f} MB"
    ]
