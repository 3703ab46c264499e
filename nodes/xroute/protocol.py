"""Chains that pass messages over several hops and their relayers, described for the screen and the report.

Invariant: it holds names only; modules are imported on first use. Captures need no dissector: the RPC is plain HTTP.
"""

from __future__ import annotations

from emulator.sdk.protocol import Protocol, TrafficRecords

PROTOCOL = Protocol(
    name="xroute",
    title="Messages over several chains",
    panel="nodes.xroute.panel:XroutePanel",
    figures="nodes.xroute.figures:figures",
    quiet=frozenset({"block"}),
    traffic=TrafficRecords(round_trip=None, lost=None, flow_rate=None, flow_size=None, flow_end=None),
)
