"""Probes, TCP flows and requests, described: what the screen, the report and captures show of them.

Invariant: names only; nothing is imported before somebody looks.
"""

from __future__ import annotations

from emulator.sdk.protocol import Protocol, TrafficRecords

PROTOCOL = Protocol(
    name="traffic",
    title="Traffic",
    panel="nodes.traffic.panel:TrafficPanel",
    figures="nodes.traffic.figures:figures",
    dissectors="nodes.traffic.dissectors:dissectors",
    quiet=frozenset({"probe", "flow-sent", "requests"}),
    traffic=TrafficRecords(
        round_trip="rtt_s", lost="probe_lost", flow_rate="goodput_bps", flow_size="flow_bytes", flow_end="flow"
    ),
)
