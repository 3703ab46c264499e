"""hosts.parquet and trunks.parquet: what the hosts of a run on several of them cost, and the trunks between them did.

Invariant: counters are cumulative, as their hosts told them; a run on one machine has neither table.
"""

from __future__ import annotations

from typing import NamedTuple

from emulator.record.folder import RunFolder
from emulator.record.spool import Columns, Spool


class HostInterval(NamedTuple):
    """One host at one time; lateness is of all packets so far."""

    t_s: float
    host: int
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    engine_cpu_s: float
    relay_cpu_s: float  # the engine's with it
    late_rows: int  # that its engine had to wait for
    overloaded_s: float
    cores: float  # that all its processes use
    memory_bytes: int  # that these share with nobody, as far as it was read


class TrunkInterval(NamedTuple):
    """One direction between two hosts at one time, as its receiver has it; `repaired` as its sender has."""

    t_s: float
    sender: int
    receiver: int
    packets: int  # that came
    bytes: int  # of them, with their heads
    datagrams: int
    asked: int  # for again
    repaired: int
    late: int  # packets that came after they were due
    lost: int
    mtu: int  # of IP packets that the path carries whole in both directions, of the sizes that were tried
    latency_p50_us: float
    latency_p99_us: float
    offset_us: float | None  # the sender's clock less the receiver's
    drift_ppm: float | None  # of the two clocks, as the one of them has it that asks
    bound_us: float | None  # by which the offset can be wrong


def _columns(row: type[HostInterval] | type[TrunkInterval]) -> Columns:
    return {name: "f64" if name.endswith(("_s", "_ms", "_us", "_ppm")) else "i64" for name in row._fields}


class HostLog(Spool):
    """hosts.parquet: rows of HostInterval."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(folder.path, "hosts", _columns(HostInterval), folder.warn)


class TrunkLog(Spool):
    """trunks.parquet: rows of TrunkInterval."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(folder.path, "trunks", _columns(TrunkInterval), folder.warn)
