"""The witness of a ledger: which results became final together, and when keys were written last.

Invariant: what became final with a commit is the same list at all validators, in the order (block, row): it depends on
the commits alone, also where a ledger began with a snapshot. A repetition (a batch or a part that was carried again) is
no result. What became final early are lists of one block each; others may have learnt of it in different company.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from nodes.dagbft.execution.executor import REPEATED, Carried
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.transactions import Outcome, written_by
from nodes.dagbft.field_types import Cause

WINDOW = 64  # commits of which it is known which keys they wrote
_SEEN = {Cause.EARLY: 4, Cause.COMMITTED: 8}  # in `Carried.told`, beside what clients have been told


class Settlement:
    """Results that have become final together."""

    def __init__(self, kind: Cause, commits: int) -> None:
        self.kind = kind
        self.commits = commits  # that had been executed then; early: 0
        self.rows: list[tuple[Carried, int]] = []

    def results(self) -> list[tuple[bytes, Outcome, int, int]]:
        """Transaction, outcome, and round and author of the block, in the order (block, row)."""
        found = []
        for carried, index in sorted(self.rows, key=lambda row: (row[0].slot, row[1])):
            outcome = (carried.final if self.kind == Cause.COMMITTED else carried.early)[index]
            assert outcome is not None
            found.append((carried.row(index)[0], outcome, *carried.slot))
        return found


class Written(NamedTuple):
    """Keys that were written with a commit."""

    commits: int  # that one included
    lengths: tuple[int, ...]  # blocks of each shard by then
    keys: set[int]


class Witness:
    """Listens to a ledger from its beginning on; `take` gives what it has seen since the last call."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._settled: list[Settlement] = []
        self._window = deque([Written(ledger.commits, tuple(ledger.lengths), set())])
        self._last: dict[int, Written] = {}  # by key, of those in the window
        ledger.witness = self._note

    def take(self) -> list[Settlement]:
        """In their order."""
        taken, self._settled = self._settled, []
        return taken

    def written(self, key: int) -> Written:
        """With which commit a key was written last; or a later one, with which it was not."""
        return self._last.get(key, self._window[0])

    def _note(self, carried: Carried, cause: Cause) -> None:
        """The ledger has found outcomes of rows of this block."""
        outcomes = carried.final if cause == Cause.COMMITTED else carried.early
        if not carried.told:
            carried.told = bytearray(len(outcomes))
        told, flag = carried.told, _SEEN[cause]
        fresh = [at for at, outcome in enumerate(outcomes) if outcome is not None and not told[at] & flag]
        for index in fresh:
            told[index] |= flag
        if cause == Cause.COMMITTED:
            self._note_written(carried, fresh)
        if rows := [(carried, index) for index in fresh if outcomes[index] != REPEATED]:
            commits = self._ledger.commits if cause == Cause.COMMITTED else 0
            if not commits or not self._settled or self._settled[-1].commits != commits:
                self._settled.append(Settlement(cause, commits))
            self._settled[-1].rows += rows

    def _note_written(self, carried: Carried, rows: list[int]) -> None:
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
            for key in written_by(carried.row(index)[1]):
                written.keys.add(key)
                self._last[key] = written
