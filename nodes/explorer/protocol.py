"""Exploration, described: what the screen, the report and captures show of it.

Invariant: names only; nothing is imported before somebody looks.
"""

from __future__ import annotations

from emulator.sdk.protocol import Protocol

PROTOCOL = Protocol(
    name="explorer",
    title="Exploration",
    panel="nodes.explorer.panel:ExplorerPanel",
    figures="scenarios.explore.analysis:figures",
    dissectors="nodes.explorer.dissectors:dissectors",
    quiet=frozenset({"explore", "carried", "edges"}),
)
