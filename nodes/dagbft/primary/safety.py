"""Breaches of early finality: an early place or result differs from the committed one. The validator records the
evidence and continues without early results.

Invariant: after a breach the validator sends no more early results, also after a restart. Commits continue, as they do
not rest on the rules of early finality.
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
    """Store and report the certificates which prove that more than f validators are faulty, before this one stops.

    Each is written as its message in hexadecimal digits, to be checked with the committee's keys.
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
    """Reads the self-checks of consensus and ledger.

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
        """At the first wrong early place or result: store and report the evidence, and stop early answers."""
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
