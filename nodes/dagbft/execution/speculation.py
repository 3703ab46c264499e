"""Speculation: what the chained transactions of a header that has just been made will probably put out.

Invariant: nothing else depends on it. It may be wrong, and a client that goes on from it says what it expects, so that
its next transaction does nothing where that was not so.
"""

from __future__ import annotations

from collections.abc import Sequence

from nodes.dagbft.execution.executor import DEPENDENCY_ROUNDS, Carried, Committed
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
    """Guesses on top of the overlay."""

    def __init__(self, committed: Committed, overlay: Overlay) -> None:
        self._committed = committed
        self._overlay = overlay
        self._results: dict[bytes, int] = {}  # results that were told: the round of each

    def results(self, carried: Carried, below: Sequence[Carried]) -> list[tuple[bytes, bytes]]:
        """(transaction, result hash) of what is chained. `below`: blocks of the shard, by round, that lie between the
        early-final ones and this one.
        """
        values = Layer(self._overlay.values_of(carried.shard))
        for other in _that_matter(carried, below):
            for row in _rows(other):
                self._run(other, row, values)
        found = []
        for row in _rows(carried):
            hash = self._run(carried, row, values)
            if hash is not None:
                self._results[hash] = carried.block.round
                found.append((row[0], hash))
        least = carried.block.round - DEPENDENCY_ROUNDS
        self._results = {hash: round for hash, round in self._results.items() if round >= least}
        return found

    def _run(self, carried: Carried, row: Row, values: Layer) -> bytes | None:
        """Run one transaction; its hash where it is chained and can be guessed."""
        id, operations, transaction = row
        if home_of(row) != carried.shard:
            return None
        if transaction is None:
            apply(operations, values)
            return None
        if transaction.kind == Kind.GAMMA:
            return None
        expected = transaction.expected
        if expected != NOTHING and not self._is_met(expected, carried.block.round):
            return None
        foreign = [key for key in keys_of(operations) if key >> SHARD_BITS != carried.shard]
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


def _that_matter(carried: Carried, below: Sequence[Carried]) -> list[Carried]:
    """The blocks that write what the chained transactions touch, directly or over others."""
    touched = {key for row in _rows(carried) for key in keys_of(row[1])}
    found = []
    for other in reversed(below):
        assert other.batches is not None
        if any(not batch.written.isdisjoint(touched) for batch in other.batches):
            found.append(other)
            touched |= {key for row in _rows(other) for key in keys_of(row[1])}
    return found[::-1]


def _rows(carried: Carried) -> list[Row]:
    return [row for batch in carried.batches or () for row in batch.rows]
