"""Plurality consensus, described: what the screen, the report and captures show of it.

Invariant: names only; nothing is imported before somebody looks.
"""

from __future__ import annotations

from emulator.sdk.protocol import Protocol

PROTOCOL = Protocol(
    name="plurality",
    title="Plurality consensus",
    panel="nodes.plurality.panel:PluralityPanel",
    figures="scenarios.plurality.analysis:figures",
    dissectors="nodes.plurality.dissectors:dissectors",
    quiet=frozenset({"round", "agents"}),
)
