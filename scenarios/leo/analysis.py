"""Headline figures of a satellite run: round trips, handovers, flows. Its drawings are those of traffic.

Invariant: it reads the run folder only, so that all of it can be made again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict, from the events and samples of the run."""
    events, samples = run.events, run.samples
    flows = _flows(events, samples)
    sent, lost = _probes(events)
    summary: dict[str, Any] = {
        "rtt_ms": _quantiles(_values(samples, "rtt_s"), 1e3),
        "request_ms": _quantiles(_values(samples, "latency_s"), 1e3),
        "probes": sent,
        "probes_lost": lost,
        "handovers": _kind(events, "handover").height,
        "flows": flows,
    }
    if sent:
        summary["probes_lost_share"] = lost / sent
    if flows:
        summary["slowest_flow_mbit_s"] = min(flow["mbit_s"] for flow in flows)
    return summary


def _kind(events: polars.DataFrame, kind: str) -> polars.DataFrame:
    import polars

    return events.filter(polars.col("kind") == kind)


def _values(samples: polars.DataFrame, name: str) -> polars.Series:
    import polars

    return samples.filter(polars.col("name") == name)["value"]


def _quantiles(values: polars.Series, scale: float) -> dict[str, float]:
    if values.is_empty():
        return {}
    return {
        label: round(float(values.quantile(share, "linear") or 0.0) * scale, 3)
        for label, share in (("min", 0.0), ("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


def _probes(events: polars.DataFrame) -> tuple[int, int]:
    """Probes sent and lost, from the events that the probes leave at their end."""
    tallies = [json.loads(data) for data in _kind(events, "probe")["data"]]
    return sum(tally["sent"] for tally in tallies), sum(tally["lost"] for tally in tallies)


def _flows(events: polars.DataFrame, samples: polars.DataFrame) -> list[dict[str, Any]]:
    """Each TCP flow as its receiver saw it, with the retransmissions that its sender counted."""
    sent = {}
    for row in _kind(events, "flow-sent").iter_rows(named=True):
        data = json.loads(row["data"])
        sent[row["node"], data["peer"], data["flow"]] = data
    flows = []
    for row in _kind(events, "flow").iter_rows(named=True):
        data = json.loads(row["data"])
        flows.append(
            {
                "from": data["peer"],
                "to": row["node"],
                "mbit_s": round(data["mean_bps"] / 1e6, 3),
                "mbytes": round(data["bytes"] / 1e6, 3),
                "retransmits": sent.get((data["peer"], row["node"], data["flow"]), {}).get("retransmits"),
            }
        )
    return sorted(flows, key=lambda flow: (flow["from"], flow["to"]))
