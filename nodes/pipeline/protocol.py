"""A language model in parts, described for the screen and the report.

Invariant: names only; nothing is imported before somebody looks.
"""

from __future__ import annotations

from emulator.sdk.protocol import Protocol, TrafficRecords

PROTOCOL = Protocol(
    name="pipeline",
    title="Language model in parts",
    panel="nodes.pipeline.panel:PipelinePanel",
    figures="nodes.pipeline.figures:figures",
    dissectors="nodes.pipeline.dissectors:dissectors",
    quiet=frozenset({"chunk", "token"}),
    traffic=TrafficRecords(round_trip=None, lost=None, flow_rate=None, flow_size=None, flow_end=None),
)
