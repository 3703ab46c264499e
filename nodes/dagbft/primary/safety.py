"""A breach: something that was released early did not come true. The validator writes down what it saw, and goes on.

Invariant: after a breach no early result leaves the process any more, in this life or a later one. Commits do: what is
committed does not rest on the rules of early finality.
"""

from __future__ import annotations

import json
from pathlib import Path

from emulator.sdk.node import NodeContext
from nodes.dagbft.consensus.core import Consensus
from nodes.dagbft.consensus.run_file import write
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.primary.blocks import SafetyViolation
from nodes.dagbft.wire import encode

FILE = "breach.json"
EVIDENCE = "evidence.json"


def write_evidence(context: NodeContext, breach: SafetyViolation) -> None:
    """Write down and tell the certificates that show more than f validators to be faulty, before this one stops.

    Each is given as its message in hexadecimal digits; whoever has the committee's keys can check them.
    """
    path = context.store / EVIDENCE
    rows = [
        {"round": each.round, "author": each.author, "voters": [voter for voter, _ in each.votes],
         "message": encode(each).hex()}
        for each in breach.evidence
    ]  # fmt: skip
    try:
        path.write_text(json.dumps({"breach": str(breach), "certificates": rows}, indent=1) + "\n")
        written = f"{len(rows)} certificates that show it are in {EVIDENCE} of the node's store"
    except OSError as error:
        written = f"the certificates could not be written: {error.strerror}"
    context.emit("breach", text=f"{breach}; {written}")


class SafetyMonitor:
    """Looks at the self-checks of consensus and ledger.

    `breach.json` in the node's store is a DAG file (`consensus.run_file`) of the blocks above the floor at the first
    breach, with the counts; other validators write theirs when they notice.
    """

    def __init__(self, context: NodeContext, consensus: Consensus, ledger: Ledger) -> None:
        self._context = context
        self._consensus = consensus
        self._ledger = ledger
        self._path = context.store / FILE
        self.found = self._path.exists()
        if self.found:
            ledger.stop_early_answers()

    def look(self) -> None:
        """Write down and tell the first early place or result that has turned out wrong, and stop early answers."""
        places, results = self._consensus.check.wrong, self._ledger.counts.early_wrong
        if self.found or not (places or results):
            return
        self.found = True
        self._ledger.stop_early_answers()
        written = _write(self._path, self._consensus, places, results)
        self._context.emit(
            "breach",
            text=f"{places} early places and {results} early results did not come true; {written}. Early answers stop",
        )


def _write(path: Path, consensus: Consensus, places: int, results: int) -> str:
    dag = consensus.dag
    blocks = [block for _, layer in sorted(dag.layers.items()) for block in layer.blocks if block is not None]
    text = write(
        "breach", dag.committee, consensus.rules.protocol, blocks,
        floor=dag.floor, commits=consensus.commits, places_wrong=places, early_wrong=results,
    )  # fmt: skip
    try:
        path.write_text(text)
    except OSError as error:
        return f"the DAG could not be written: {error.strerror}"
    return f"the DAG as it is held here is in {FILE} of the node's store"
