"""Amnesiac flooding, described: what the screen, the report and captures show of it.

Invariant: names only; nothing is imported before somebody looks.
"""

from __future__ import annotations

from emulator.sdk.protocol import Protocol

PROTOCOL = Protocol(
    name="amnesiac",
    title="Amnesiac flooding",
    panel="nodes.amnesiac.panel:AmnesiacPanel",
    figures="scenarios.amnesiac.analysis:figures",
    dissectors="nodes.amnesiac.dissectors:dissectors",
    quiet=frozenset({"flood"}),
)
