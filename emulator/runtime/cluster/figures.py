"""What the reports of all hosts say of hosts and trunks: rows for the tables, figures for the verdict.

Invariant: pure. A packet that a trunk lost is the emulator's fault: it is in `trunks.lost` and in no drop of a link.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from emulator.link.lateness import Lateness
from emulator.link.stats import DROPS, EndStats
from emulator.link.trunks import IP_HEADERS
from emulator.record.hosts import HostInterval, TrunkInterval
from emulator.record.verdict.schema import MachineRow, TrunkFigures, TrunkRow
from emulator.runtime.cluster.pair_clocks import PairClocks

Health = Mapping[str, Any]  # what a relay tells about itself: `emulator/link/health.py`


def host_interval(host: int, health: Health) -> HostInterval:
    late = Lateness.unpack(health["lateness"])
    return HostInterval(
        health["t_s"], host, late.quantile(0.5) * 1e3, late.quantile(0.99) * 1e3, late.max_s * 1e3,
        health["engine_cpu_s"], health["cpu_s"], health["late_rows"], health["overloaded_s"],
        health["host_cpu"], health["host_memory_bytes"],
    )  # fmt: skip


def trunk_intervals(healths: Mapping[int, Health], clocks: PairClocks) -> Iterator[TrunkInterval]:
    """Every direction whose receiver has told of it."""
    for receiver, health in healths.items():
        for sender, trunk in health["trunks"].items():
            latency = _latency(trunk)
            sent = healths[sender]["trunks"].get(receiver, {}) if sender in healths else {}
            found = clocks.between(receiver, sender)
            clock = (found[0] * 1e6, found[1].drift * 1e6, found[1].bound_s * 1e6) if found else (None, None, None)
            yield TrunkInterval(
                health["t_s"], sender, receiver, trunk["records_received"], trunk["bytes_received"],
                trunk["datagrams_received"], trunk["asked"], sent.get("repaired", 0), trunk["late"], lost(trunk),
                trunk["datagram_bytes"] + IP_HEADERS,
                latency.quantile(0.5) * 1e6, latency.quantile(0.99) * 1e6, *clock,
            )  # fmt: skip


def lost(trunk: Mapping[str, Any]) -> int:
    """Packets that a trunk's receiver misses, by what its sender's newest beat said and what it had no room for."""
    return max(0, int(trunk["peer_sent"]) - int(trunk["records_received"])) + int(trunk["dropped"])


def trunk_figures(healths: Mapping[int, Health]) -> TrunkFigures:
    """`trunks` of the verdict."""
    rows = list(trunk_intervals(healths, PairClocks()))
    crossings = sum(row.packets for row in rows)
    return {
        "crossings": crossings,
        "late_share": sum(row.late for row in rows) / crossings if crossings else 0.0,
        "lost": sum(row.lost for row in rows),
        "repaired": sum(row.repaired for row in rows),
        "worst_latency_ms": max((row.latency_p99_us for row in rows), default=0.0) * 1e-3,
        "mtu": min((row.mtu for row in rows), default=0),
    }


def narrowed(names: Sequence[str], healths: Mapping[int, Health]) -> list[str]:
    """A warning for each direction whose path has changed in play, so that datagrams no longer pass whole."""
    return [
        f"trunk from {names[host]} to {names[peer]}: its path no longer carries IP packets of "
        f"{trunk['datagram_bytes'] + IP_HEADERS} bytes whole, as it did before play; they go in fragments"
        for host, health in healths.items()
        for peer, trunk in health["trunks"].items()
        if trunk["fragments"]
    ]


def late_queues(names: Sequence[str], healths: Mapping[int, Health]) -> list[str]:
    """A warning for each host that played queues of moving links without what the host before it knew of them."""
    return [
        f"{names[host]}: at {health['late_queues']} handovers a queue came too late from the host that had it; "
        "packets of these links were lost, doubled and delayed by other random draws than on one host"
        for host, health in healths.items()
        if health["late_queues"]
    ]


def machine_rows(names: Sequence[str], nodes: list[int], healths: Mapping[int, Health]) -> list[MachineRow]:
    """`machines` of the verdict; `nodes`: how many each has."""
    rows: list[MachineRow] = []
    for host, (name, count) in enumerate(zip(names, nodes, strict=True)):
        health = healths.get(host)
        row: MachineRow = {
            "name": name, "nodes": count, "lateness_ms": {}, "engine_cpu_s": 0.0, "relay_cpu_s": 0.0, "late_rows": 0,
            "memory_bytes": 0,
        }  # fmt: skip
        if health is not None:
            found = host_interval(host, health)
            row["lateness_ms"] = {"p50": found.late_p50_ms, "p99": found.late_p99_ms, "max": found.late_max_ms}
            row["engine_cpu_s"], row["relay_cpu_s"] = found.engine_cpu_s, found.relay_cpu_s
            row["late_rows"], row["memory_bytes"] = found.late_rows, found.memory_bytes
        rows.append(row)
    return rows


def trunk_rows(names: Sequence[str], healths: Mapping[int, Health]) -> list[TrunkRow]:
    """Each direction for eyes."""
    return [
        {
            "pair": f"{names[row.sender]} → {names[row.receiver]}", "packets": row.packets, "late": row.late,
            "lost": row.lost, "repaired": row.repaired, "latency_p50_ms": row.latency_p50_us * 1e-3,
            "latency_p99_ms": row.latency_p99_us * 1e-3,
        }
        for row in trunk_intervals(healths, PairClocks())
    ]  # fmt: skip


def unaccounted(counters: Mapping[int, list[float]], healths: Mapping[int, Health]) -> int:
    """Packets that link ends took and nobody can tell of: neither delivered, dropped, held by an engine nor on a trunk.

    Of the last reports of all hosts, `counters` being the sums of both halves of each end. 0, or the engine is wrong.
    """
    inside = sum(
        values[EndStats.SENT_PACKETS] + values[EndStats.DUPLICATED] - values[EndStats.DELIVERED_PACKETS]
        - sum(values[drop] for drop in DROPS)
        for values in counters.values()
    )  # fmt: skip
    held = sum(health["held"] for health in healths.values())
    between = sum(
        _packets(trunk, "sent") - _packets(healths[peer]["trunks"][host], "received")
        for host, health in healths.items()
        for peer, trunk in health["trunks"].items()
    )
    return int(inside - held - between)


def _packets(trunk: Mapping[str, Any], which: str) -> int:
    """Packets among the records of a trunk."""
    return int(trunk[f"records_{which}"]) - int(trunk[f"queues_{which}"])


def _latency(trunk: Mapping[str, Any]) -> Lateness:
    found = Lateness()
    found.counts = {int(bucket): int(count) for bucket, count in trunk["latency"]}
    found.max_s = float("inf")
    return found
