"""A breach: something that was released early did not come true. The validator writes down what it saw and stops.

Invariant: whoever went on after a breach would build on results that are wrong, so nothing leaves the process any more.
"""

from __future__ import annotations

from pathlib import Path

from emulator.errors import EmulationError
from emulator.node import NodeContext
from nodes.dagbft.consensus.core import PROTOCOLS, Consensus
from nodes.dagbft.consensus.run_file import write
from nodes.dagbft.execution.ledger import Ledger

FILE = "breach.json"


def look_for_breach(context: NodeContext, consensus: Consensus, ledger: Ledger) -> None:
    """EmulationError, told and written down, where an early place or an early result has turned out wrong.

    `breach.json` in the node's store is a DAG file (`consensus.run_file`) of the blocks above the floor; other
    validators write theirs when they notice.
    """
    places, results = consensus.check.wrong, ledger.counts.early_wrong
    if not places and not results:
        return
    written = _write(context.store / FILE, consensus)
    text = f"{places} early places and {results} early results did not come true; {written}"
    context.emit("breach", text=text)
    raise EmulationError(text)


def _write(path: Path, consensus: Consensus) -> str:
    dag = consensus.dag
    protocol = next(name for name, rule in PROTOCOLS.items() if isinstance(consensus.rule, rule))
    blocks = [block for _, layer in sorted(dag.layers.items()) for block in layer.blocks if block is not None]
    text = write("breach", dag.committee, protocol, blocks, floor=dag.floor, commits=consensus.commits)
    try:
        path.write_text(text)
    except OSError as error:
        return f"the DAG could not be written: {error.strerror}"
    return f"the DAG as it is held here is in {FILE} of the node's store"
