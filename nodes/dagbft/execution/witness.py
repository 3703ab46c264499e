"""The witness of a ledger: it records which results became final together, and when keys were written last.

Invariant: the list of results that became final with a commit is the same at all validators, in the order
(block, row): it depends on the commits alone, also if a ledger began with a snapshot. A repeated batch or part has no
result. A list of early-final results holds those of one block; it may differ between validators.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from nodes.dagbft.execution.executor import REPEATED, BlockExecution
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.transactions import Outcome, written_by
from nodes.dagbft.field_types import Cause

WINDOW = 64  # commits for which written keys are kept
_SEEN = {Cause.EARLY: 4, Cause.COMMITTED: 8}  # flags in `BlockExecution.reported`, beside those of clients


class Settlement:
    """Results that have become final together."""

    def __init__(self, kind: Cause, commits: int) -> None:
        self.kind = kind
        self.commits = commits  # executed commits, this one included; 0 for early results
        self.rows: list[tuple[BlockExecution, int]] = []

    def results(self) -> list[tuple[bytes, Outcome, int, int]]:
        """Transaction, outcome, and round and author of the block, in the order (block, row)."""
        found = []
        for execution, index in sorted(self.rows, key=lambda row: (row[0].slot, row[1])):
            outcome = (execution.final if self.kind == Cause.COMMITTED else execution.early)[index]
            assert outcome is not None
            found.append((execution.row(index)[0], outcome, *execution.slot))
        return found


class Written(NamedTuple):
    """The keys that a commit wrote."""

    commits: int  # executed commits, this one included
    lengths: tuple[int, ...]  # committed blocks of each shard, after this commit
    keys: set[int]


class Witness:
    """Observes a ledger from its beginning on; `take` returns the settlements since the last call."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._settled: list[Settlement] = []
        self._window = deque([Written(ledger.commits, tuple(ledger.lengths), set())])
        self._last: dict[int, Written] = {}  # by key, of those in the window
        ledger.witness = self._note

    def take(self) -> list[Settlement]:
        """The settlements since the last call, in order."""
        taken, self._settled = self._settled, []
        return taken

    def written(self, key: int) -> Written:
        """The commit that wrote a key last, if it is in the window; else the oldest commit of the window."""
        return self._last.get(key, self._window[0])

    def _note(self, execution: BlockExecution, cause: Cause) -> None:
        """Called by the ledger with a block that has new outcomes."""
        outcomes = execution.final if cause == Cause.COMMITTED else execution.early
        if not execution.reported:
            execution.reported = bytearray(len(outcomes))
        reported, flag = execution.reported, _SEEN[cause]
        fresh = [at for at, outcome in enumerate(outcomes) if outcome is not None and not reported[at] & flag]
        for index in fresh:
            reported[index] |= flag
        if cause == Cause.COMMITTED:
            self._note_written(execution, fresh)
        if rows := [(execution, index) for index in fresh if outcomes[index] != REPEATED]:
            commits = self._ledger.commits if cause == Cause.COMMITTED else 0
            if not commits or not self._settled or self._settled[-1].commits != commits:
                self._settled.append(Settlement(cause, commits))
            self._settled[-1].rows += rows

    def _note_written(self, execution: BlockExecution, rows: list[int]) -> None:
        ledger, window = self._ledger, self._window
        if window[-1].commits != ledger.commits:
            window.append(Written(ledger.commits, tuple(ledger.lengths), set()))
            while len(window) > WINDOW:
                gone = window.popleft()
                for key in gone.keys:
                    if self._last[key] is gone:
                        del self._last[key]
        written = window[-1]
        for index in rows:
            for key in written_by(execution.row(index)[1]):
                written.keys.add(key)
                self._last[key] = written
