"""Description of DAG-BFT validators for the screen, the report and captures.

Invariant: it holds names only; modules are imported on first use.
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
