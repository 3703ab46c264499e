"""A snapshot of a running run, made from what the runtime holds at this moment.

Invariant: a snapshot fits into one control message however large the run is; what is left out is the least interesting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.record.snapshot import FlowRow, LinkRow, ProbeRow, Snapshot
from emulator.runtime.collector import LIVE_ROWS, Collector

if TYPE_CHECKING:
    from emulator.network import Network

WARNINGS = 10


def nodes(network: Network) -> dict[str, int]:
    """How many nodes live where."""
    live = len(network.live)
    return {"live": live, "transit": len(network.nodes) - live}


def fill(snapshot: Snapshot, collector: Collector, warnings: list[str]) -> Snapshot:
    """Add what has been measured so far."""
    late = collector.lateness_ms()
    snapshot["lateness_ms"] = {"p50": late["p50"], "p99": late["p99"], "max": late["max"]}
    snapshot["probes"] = probe_rows(collector)
    snapshot["flows"] = flow_rows(collector)
    snapshot["links"] = link_rows(collector)
    snapshot["drops"] = collector.drops_so_far()
    snapshot["events"] = [
        {"t_s": row["t_s"], "node": row["node"], "kind": row["kind"], "text": row["text"]} for row in collector.tail
    ]
    snapshot["warnings"] = [text[:300] for text in warnings[:WARNINGS]]
    return snapshot


def probe_rows(collector: Collector) -> list[ProbeRow]:
    rows: list[ProbeRow] = []
    for (node, peer), pair in list(collector.probes.items())[:LIVE_ROWS]:
        row: ProbeRow = {"pair": f"{node} → {peer}", "sent": pair.received + pair.lost, "lost": pair.lost}
        if pair.received:
            row["seen_ms"] = pair.seen_s * 1e3
        if pair.asked_s is not None:
            row["asked_ms"] = pair.asked_s * 1e3
        if pair.error_s is not None:
            row["error_ms"] = pair.error_s * 1e3
        rows.append(row)
    return rows


def flow_rows(collector: Collector) -> list[FlowRow]:
    rows: list[FlowRow] = []
    for (sender, receiver, _), flow in list(collector.flows.items())[:LIVE_ROWS]:
        span_s = flow.last_s - flow.first_s
        rows.append(
            {
                "pair": f"{sender} → {receiver}",
                "bytes": flow.bytes,
                "now_bps": flow.now_bps,
                "mean_bps": flow.bytes * 8 / span_s if span_s > 0 else 0.0,
            }
        )
    return rows


def link_rows(collector: Collector) -> list[LinkRow]:
    rows: list[LinkRow] = []
    for link in collector.notable_links():
        row: LinkRow = {"end": link.end, "rate_bps": link.delivered_bps, "drops": link.drops}
        if link.asked_delay_ms is not None:
            row["asked_ms"] = link.asked_delay_ms
        if link.late_ms is not None:
            row["late_ms"] = link.late_ms
        rows.append(row)
    return rows
