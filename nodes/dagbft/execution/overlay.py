"""The overlay: the effects of early-final blocks, on top of the committed state.

Each shard has a chain of its early-final blocks that are not committed yet, and a layer of the values that these wrote.
Invariant: a transaction that runs here has the outcome that it will have when it is committed. A transaction whose
outcome may still change waits and locks its keys: if its foreign reads (rules T1 to T3) or its dependency are not
final, or if it touches a locked key. The keys of a gamma transaction are also *unstable* until everything before them
is committed: its effect is known, but not its place in the order, so no other shard may read such a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.execution.executor import DEPENDENCY_ROUNDS, BlockExecution, Committed, Executor
from nodes.dagbft.execution.locks import LockRequest
from nodes.dagbft.execution.state import Layer
from nodes.dagbft.execution.transactions import NOTHING, SHARD_BITS, Outcome, Transaction, keys_of


class ForeignReads(Protocol):
    """Whether foreign keys may be read: `consensus.early.EarlyRule`."""

    def may_read(
        self, block: Block, shard: int, keys: AbstractSet[Any], written: Callable[[int, int], AbstractSet[Any] | None]
    ) -> bool: ...


class Pasts(Protocol):
    """Reachability of blocks: `consensus.dag.Dag`."""

    def reaches(self, slot: Slot, round: int, author: int) -> bool: ...


class Overlay(Executor):
    """Executes early-final blocks."""

    def __init__(
        self,
        n: int,
        committed: Committed,
        written: Callable[[int, int], AbstractSet[int] | None],
        reads: ForeignReads | None,
        pasts: Pasts | None,
    ) -> None:
        super().__init__(committed.applied.above())
        self._committed = committed
        self._written = written
        self._reads = reads  # None: foreign reads are final only at commit
        self._pasts = pasts  # None: dependencies on other shards are final only at commit
        self.chains: list[list[BlockExecution]] = [[] for _ in range(n)]
        self._values = [Layer(committed.values) for _ in range(n)]
        self._unready: dict[LockRequest[BlockExecution], None] = {}  # their foreign values or dependency are not known
        self._results: dict[bytes, tuple[BlockExecution, int]] = {}  # results that may be depended upon, and their rows
        self.news: dict[BlockExecution, None] = {}  # blocks with new outcomes
        self.in_step = False  # whether all events that consensus has emitted have been executed here

    def values_of(self, shard: int) -> Layer:
        return self._values[shard]

    def write(self, key: int, value: int, execution: BlockExecution) -> None:
        self._values[execution.shard][key] = value
        execution.delta[key] = value

    def outcomes(self, execution: BlockExecution) -> list[Outcome | None]:
        return execution.early

    def is_calm(self, execution: BlockExecution) -> bool:
        return not (
            self.locks.queues
            or self._committed.locks.queues
            or any(before.unstable for before in self.chains[execution.shard])
        )

    def note(self, execution: BlockExecution, keys: Iterable[int]) -> None:
        if any(self._is_unstable(execution.shard, key) for key in keys):
            execution.unstable.update(keys)

    def note_gamma(self, execution: BlockExecution, keys: Iterable[int]) -> None:
        execution.unstable.update(keys)

    def note_waiting(self, request: LockRequest[BlockExecution]) -> None:
        request.block.requests[request.index] = request
        if request.foreign is None:
            self._unready[request] = None

    def note_result(self, execution: BlockExecution, index: int, hash: bytes) -> None:
        if execution.unstable.isdisjoint(keys_of(execution.row(index)[1])) and not execution.committed:
            self._results[hash] = execution, index

    def finish(self, execution: BlockExecution, index: int, outcome: Outcome) -> None:
        super().finish(execution, index, outcome)
        execution.requests.pop(index, None)
        self.news[execution] = None

    def append(self, execution: BlockExecution) -> None:
        """Add the next early-final block of its shard."""
        self.chains[execution.shard].append(execution)
        self.advance_chain(execution.shard)

    def advance_chain(self, shard: int) -> None:
        """Execute the blocks of a shard, up to the first whose batches have not been received."""
        values = self._values[shard]
        for execution in self.chains[shard]:
            if execution.played:
                continue
            if execution.batches is None:
                return
            self.play(execution)
            execution.played = True
            held_up = self.locks.queues  # a key locked by an earlier block: its value is not this block's
            for batch in execution.batches:
                execution.delta.update(
                    (key, values[key])
                    for key in batch.written
                    if key in values and (key not in held_up or held_up[key][0].block is execution)
                )
            self.news[execution] = None

    def advance(self) -> None:
        """Run requests whose foreign values and dependency have become known. Has an effect only while `in_step`."""
        moved = True
        while moved and self._unready:
            moved = False
            for request in list(self._unready):
                if request not in self._unready:
                    continue
                transaction = request.block.row(request.index)[2]
                assert transaction is not None
                request.foreign = self.look(request.block, request.index, transaction)
                if request.foreign is not None:
                    del self._unready[request]
                    self.release([request])
                    moved = True

    def look(self, execution: BlockExecution, index: int, transaction: Transaction) -> dict[int, int] | None:
        """The foreign values at the transaction's place; None if they or its dependency are not certain yet."""
        if not self.in_step:
            return None
        if transaction.expected != NOTHING and not self._is_met(execution, index, transaction.expected):
            return None
        by_shard: dict[int, set[int]] = {}
        for key in keys_of(transaction.operations):
            if key >> SHARD_BITS != execution.shard:
                by_shard.setdefault(key >> SHARD_BITS, set()).add(key)
        if not all(self._is_readable(execution, shard, keys) for shard, keys in by_shard.items()):
            return None
        return {key: self._value_before(execution, shard, key) for shard, keys in by_shard.items() for key in keys}

    def _is_readable(self, execution: BlockExecution, shard: int, keys: set[int]) -> bool:
        """Whether the values of these foreign keys at the block's place are known."""
        if shard >= len(self.chains):
            return True  # no such shard, so no writes
        if self._reads is None or not self._reads.may_read(execution.block, shard, keys, self._written):
            return False
        round = execution.block.round
        for before in self.chains[shard]:
            if before.block.round < round and not (before.played and before.unstable.isdisjoint(keys)):
                return False
        if self._committed.locks.touches(keys):
            return False
        queues = [self.locks.queues[key] for key in keys if key in self.locks.queues]
        return all(request.block.block.round >= round for queue in queues for request in queue)

    def latest(self, shard: int, key: int) -> tuple[int, int] | None:
        """The value of a key after all executed blocks of its chain, and the number of these blocks up to the last
        that may have written it (0: none has). None if the value is not certain.
        """
        if key in self.locks.queues or self._is_unstable(shard, key):
            return None
        played = [execution for execution in self.chains[shard] if execution.played]
        wrote = max((number for number, execution in enumerate(played, 1) if key in execution.delta), default=0)
        return self._values[shard][key], wrote

    def _value_before(self, execution: BlockExecution, shard: int, key: int) -> int:
        """The value of a foreign key after all rounds below the block."""
        if shard < len(self.chains):
            for before in reversed(self.chains[shard]):
                if before.block.round < execution.block.round and key in before.delta:
                    return before.delta[key]
        return self._committed.values[key]

    def _is_met(self, execution: BlockExecution, index: int, expected: bytes) -> bool:
        """Whether the dependency will certainly be met. False if that is unknown, or if it will not."""
        block = execution.block
        if self._committed.met(expected, block.round):
            return True
        found = self._results.get(expected)
        if found is None or abs(block.round - found[0].block.round) > DEPENDENCY_ROUNDS:
            return False
        other, row = found
        if other is execution:
            return row < index
        if other.shard == execution.shard:
            return other.block.round < block.round
        return self._pasts is not None and self._pasts.reaches(execution.slot, *other.slot)

    def _is_unstable(self, shard: int, key: int) -> bool:
        return key in self._committed.locks.queues or any(key in before.unstable for before in self.chains[shard])

    def pop(self, execution: BlockExecution) -> None:
        """Remove a committed block, the first of its chain: its writes are now in the committed state."""
        self.chains[execution.shard].remove(execution)
        self.applied.take_back(execution)
        self._prune(execution.shard, execution.delta)
        if self._results and any(batch.chained for batch in execution.batches or ()):
            self._results = {hash: row for hash, row in self._results.items() if row[0] is not execution}

    def adopt(self, request: LockRequest[BlockExecution]) -> None:
        """Queue a committed transaction that waits, with its foreign values: it may be free earlier here."""
        if (known := request.block.requests.get(request.index)) is not None:
            if self._unready.pop(known, 0) is None:
                known.foreign = dict(request.foreign or {})
                self.release([known])
            return
        mine = LockRequest(request.block, request.index, request.operations, request.keys, dict(request.foreign or {}))
        part = request.block.row(request.index)[2]
        if request.group is not None and part is not None:
            mine.group = self.locks.join(request.group.name, part.part, part.parts, part.deadline)
        self.locks.add(mine)
        self.note_waiting(mine)
        self.release([mine])

    def settle(self, rows: Iterable[tuple[BlockExecution, int]]) -> None:
        """Remove the requests of committed rows that have their outcome; their keys then have the committed values.

        Except keys on which an earlier row waits in the committed state, where a row that ends without running (its
        dependency is not met) overtakes it. The earlier row has run in the overlay, so its value is kept here.
        """
        freed: list[LockRequest[BlockExecution]] = []
        for execution, index in rows:
            request = execution.requests.pop(index, None)
            if request is None:
                self._prune(execution.shard, keys_of(execution.row(index)[1]))
                continue
            self._unready.pop(request, None)
            if request.group is not None:
                self.locks.close(request.group)
            for key in request.keys:
                if not self._is_ahead(execution, index, key):
                    self._values[execution.shard].pop(key, None)
            freed += self.locks.remove(request)
        self.release(freed)

    def _is_ahead(self, execution: BlockExecution, index: int, key: int) -> bool:
        """Whether in the committed state a row before this one still waits for the key."""
        queue = self._committed.locks.queues.get(key)
        if not queue:
            return False
        first = queue[0]
        return (first.block.place, first.index) < (execution.place, index)

    def _prune(self, shard: int, keys: Iterable[int]) -> None:
        """Drop the values of keys that no block of the chain has written since, so that the committed values show."""
        values, chain, locked = self._values[shard], self.chains[shard], self._committed.locks.queues
        for key in keys:
            if key in values and key not in locked and not any(key in later.delta for later in chain):
                del values[key]

    def reset(self) -> None:
        """Start again from the committed state: blocks were committed in another order than predicted."""
        for chain in self.chains:
            for execution in chain:
                execution.played = False
                self.applied.take_back(execution)
                execution.delta, execution.unstable = {}, set()
            chain.clear()
        for request in self.locks.requests:
            request.block.requests.clear()
        self._values = [Layer(self._committed.values) for _ in self.chains]
        self._unready.clear()
        self._results.clear()
        locks, self.locks = self._committed.locks, type(self.locks)()
        self.locks.copy_past(locks)
        for request in locks.requests:
            self.adopt(request)
