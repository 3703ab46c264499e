"""Speculation: the probable results of the chained transactions in a header that has just been made.

Invariant: no other result depends on it. It may be wrong: a client that continues from it names the result that it
expects, so that its next transaction has no effect if the real result differs.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodes.dagbft.execution.executor import DEPENDENCY_ROUNDS, BlockExecution, Committed
from nodes.dagbft.execution.overlay import Overlay
from nodes.dagbft.execution.state import Layer, apply
from nodes.dagbft.execution.transactions import (
    NOTHING,
    SHARD_BITS,
    Kind,
    Row,
    home_of,
    keys_of,
    result_hash,
)


class Speculation:
    """Runs transactions speculatively on top of the overlay."""

    def __init__(self, committed: Committed, overlay: Overlay) -> None:
        self._committed = committed
        self._overlay = overlay
        self._results: dict[bytes, int] = {}  # round of each speculative result that was reported

    def results(self, execution: BlockExecution, below: Sequence[BlockExecution]) -> list[tuple[bytes, bytes]]:
        """(transaction, result hash) of the chained transactions. `below`: blocks of the shard, by round, between the
        early-final ones and this one.
        """
        values = Layer(self._overlay.values_of(execution.shard))
        for other in _that_matter(execution, below):
            for row in _rows(other):
                self._run(other, row, values)
        found = []
        for row in _rows(execution):
            hash = self._run(execution, row, values)
            if hash is not None:
                self._results[hash] = execution.block.round
                found.append((row[0], hash))
        least = execution.block.round - DEPENDENCY_ROUNDS
        self._results = {hash: round for hash, round in self._results.items() if round >= least}
        return found

    def _run(self, execution: BlockExecution, row: Row, values: Layer) -> bytes | None:
        """Run one transaction; returns its result hash if it is chained and its inputs are known."""
        id, operations, transaction = row
        if home_of(row) != execution.shard:
            return None
        if transaction is None:
            apply(operations, values)
            return None
        if transaction.kind == Kind.GAMMA:
            return None
        expected = transaction.expected
        if expected != NOTHING and not self._is_met(expected, execution.block.round):
            return None
        foreign = [key for key in keys_of(operations) if key >> SHARD_BITS != execution.shard]
        for key in foreign:
            values[key] = self._foreign(key)
        outcome = apply(operations, values)
        return result_hash(id, outcome) if transaction.chained else None

    def _foreign(self, key: int) -> int:
        shard = key >> SHARD_BITS
        if shard < len(self._overlay.chains):
            return self._overlay.values_of(shard)[key]
        return self._committed.values[key]

    def _is_met(self, expected: bytes, round: int) -> bool:
        return expected in self._results or self._committed.met(expected, round)


def _that_matter(execution: BlockExecution, below: Sequence[BlockExecution]) -> list[BlockExecution]:
    """The blocks that write keys which the chained transactions touch, directly or through other blocks."""
    touched = {key for row in _rows(execution) for key in keys_of(row[1])}
    found = []
    for other in reversed(below):
        assert other.batches is not None
        if any(not batch.written.isdisjoint(touched) for batch in other.batches):
            found.append(other)
            touched |= {key for row in _rows(other) for key in keys_of(row[1])}
    return found[::-1]


def _rows(execution: BlockExecution) -> list[Row]:
    return [row for batch in execution.batches or () for row in batch.rows]
