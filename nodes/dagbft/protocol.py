"""DAG-BFT validators, described: what the screen, the report and captures show of them.

Invariant: names only; nothing is imported before somebody looks.
"""

from __future__ import annotations

from emulator.sdk.protocol import Protocol

PROTOCOL = Protocol(
    name="dagbft",
    title="DAG-BFT",
    panel="nodes.dagbft.panel:DagBftPanel",
    figures="scenarios.lemonshark.analysis:figures",
    dissectors="nodes.dagbft.dissectors:dissectors",
    quiet=frozenset({"header", "advance", "early", "commit", "tally"}),
)
