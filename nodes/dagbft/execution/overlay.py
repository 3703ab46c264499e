"""The overlay: what early-final blocks do, on top of what is committed.

Each shard has a chain, its early-final blocks that are not committed yet, and a layer of the values that these wrote.
Invariant: what runs here has the outcome that it will have when it is committed. What could come out otherwise waits,
and locks its keys: a transaction whose foreign reads (rules T1 to T3) or dependency are not final, and whatever touches
a key that is locked. Where a gamma transaction is involved its keys are also *unstable* until all that is before them
is committed: what it does is known, but not when, so that nothing may read such a key from another shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.execution.executor import DEPENDENCY_ROUNDS, Carried, Committed, Executor
from nodes.dagbft.execution.locks import Waiting
from nodes.dagbft.execution.state import Layer
from nodes.dagbft.execution.transactions import NOTHING, SHARD_BITS, Outcome, Transaction, keys_of


class ForeignReads(Protocol):
    """What consensus knows of foreign shards: `consensus.early.EarlyRule`."""

    def may_read(
        self, block: Block, shard: int, keys: AbstractSet[Any], written: Callable[[int, int], AbstractSet[Any] | None]
    ) -> bool: ...


class Pasts(Protocol):
    """What lies in whose past: `consensus.dag.Dag`."""

    def reaches(self, slot: Slot, round: int, author: int) -> bool: ...


class Overlay(Executor):
    """Plays early-final blocks."""

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
        self._reads = reads  # None: foreign reads are final when they are committed
        self._pasts = pasts  # None: so are dependencies
        self.chains: list[list[Carried]] = [[] for _ in range(n)]
        self._values = [Layer(committed.values) for _ in range(n)]
        self._unready: dict[Waiting[Carried], None] = {}  # foreign values or dependency not known
        self._results: dict[bytes, tuple[Carried, int]] = {}  # results that may be depended upon, and their rows
        self.news: dict[Carried, None] = {}  # blocks of which outcomes have become known
        self.in_step = False  # whether consensus knows nothing that has not been played here

    def values_of(self, shard: int) -> Layer:
        return self._values[shard]

    def write(self, key: int, value: int, carried: Carried) -> None:
        self._values[carried.shard][key] = value
        carried.delta[key] = value

    def outcomes(self, carried: Carried) -> list[Outcome | None]:
        return carried.early

    def is_calm(self, carried: Carried) -> bool:
        return not (
            self.locks.queues
            or self._committed.locks.queues
            or any(before.unstable for before in self.chains[carried.shard])
        )

    def note(self, carried: Carried, keys: Iterable[int]) -> None:
        if any(self._is_unstable(carried.shard, key) for key in keys):
            carried.unstable.update(keys)

    def note_gamma(self, carried: Carried, keys: Iterable[int]) -> None:
        carried.unstable.update(keys)

    def note_waiting(self, waiting: Waiting[Carried]) -> None:
        waiting.block.waiting[waiting.index] = waiting
        if waiting.foreign is None:
            self._unready[waiting] = None

    def note_result(self, carried: Carried, index: int, hash: bytes) -> None:
        if carried.unstable.isdisjoint(keys_of(carried.row(index)[1])) and not carried.committed:
            self._results[hash] = carried, index

    def finish(self, carried: Carried, index: int, outcome: Outcome) -> None:
        super().finish(carried, index, outcome)
        carried.waiting.pop(index, None)
        self.news[carried] = None

    def append(self, carried: Carried) -> None:
        """The next block of its shard is early-final."""
        self.chains[carried.shard].append(carried)
        self.advance_chain(carried.shard)

    def advance_chain(self, shard: int) -> None:
        """Play the blocks of a shard whose batches have come."""
        values = self._values[shard]
        for carried in self.chains[shard]:
            if carried.played:
                continue
            if carried.batches is None:
                return
            self.play(carried)
            carried.played = True
            held_up = self.locks.queues  # by a block before this one: the value is of none of these two
            for batch in carried.batches:
                carried.delta.update(
                    (key, values[key])
                    for key in batch.written
                    if key in values and (key not in held_up or held_up[key][0].block is carried)
                )
            self.news[carried] = None

    def advance(self) -> None:
        """Run what was not ready and is now. Only of use when consensus knows nothing that has not been told here."""
        moved = True
        while moved and self._unready:
            moved = False
            for waiting in list(self._unready):
                if waiting not in self._unready:
                    continue
                transaction = waiting.block.row(waiting.index)[2]
                assert transaction is not None
                waiting.foreign = self.look(waiting.block, waiting.index, transaction)
                if waiting.foreign is not None:
                    del self._unready[waiting]
                    self.release([waiting])
                    moved = True

    def look(self, carried: Carried, index: int, transaction: Transaction) -> dict[int, int] | None:
        """Foreign values as they will be at the transaction's place, if that is certain and its dependency is met."""
        if not self.in_step:
            return None
        if transaction.expected != NOTHING and not self._is_met(carried, index, transaction.expected):
            return None
        by_shard: dict[int, set[int]] = {}
        for key in keys_of(transaction.operations):
            if key >> SHARD_BITS != carried.shard:
                by_shard.setdefault(key >> SHARD_BITS, set()).add(key)
        if not all(self._is_readable(carried, shard, keys) for shard, keys in by_shard.items()):
            return None
        return {key: self._value_before(carried, shard, key) for shard, keys in by_shard.items() for key in keys}

    def _is_readable(self, carried: Carried, shard: int, keys: set[int]) -> bool:
        """Whether the keys of a foreign shard have, here, the values that they will have at the block's place."""
        if shard >= len(self.chains):
            return True  # no such shard: nobody writes there
        if self._reads is None or not self._reads.may_read(carried.block, shard, keys, self._written):
            return False
        round = carried.block.round
        for before in self.chains[shard]:
            if before.block.round < round and not (before.played and before.unstable.isdisjoint(keys)):
                return False
        if self._committed.locks.touches(keys):
            return False
        queues = [self.locks.queues[key] for key in keys if key in self.locks.queues]
        return all(waiting.block.block.round >= round for queue in queues for waiting in queue)

    def latest(self, shard: int, key: int) -> tuple[int, int] | None:
        """The value of a key after all blocks of its chain that have been played, and the number of those up to the
        last that may have written it (0: none has). None where the value is not certain.
        """
        if key in self.locks.queues or self._is_unstable(shard, key):
            return None
        played = [carried for carried in self.chains[shard] if carried.played]
        wrote = max((number for number, carried in enumerate(played, 1) if key in carried.delta), default=0)
        return self._values[shard][key], wrote

    def _value_before(self, carried: Carried, shard: int, key: int) -> int:
        """The value of a foreign key as the rounds below the block leave it."""
        if shard < len(self.chains):
            for before in reversed(self.chains[shard]):
                if before.block.round < carried.block.round and key in before.delta:
                    return before.delta[key]
        return self._committed.values[key]

    def _is_met(self, carried: Carried, index: int, expected: bytes) -> bool:
        """Whether it is certain that the dependency will be met: never whether it is certain that it will not."""
        block = carried.block
        if self._committed.met(expected, block.round):
            return True
        found = self._results.get(expected)
        if found is None or abs(block.round - found[0].block.round) > DEPENDENCY_ROUNDS:
            return False
        other, row = found
        if other is carried:
            return row < index
        if other.shard == carried.shard:
            return other.block.round < block.round
        return self._pasts is not None and self._pasts.reaches(carried.slot, *other.slot)

    def _is_unstable(self, shard: int, key: int) -> bool:
        return key in self._committed.locks.queues or any(key in before.unstable for before in self.chains[shard])

    def pop(self, carried: Carried) -> None:
        """The first block of its chain has been committed: what it wrote lies below now."""
        self.chains[carried.shard].remove(carried)
        self.applied.take_back(carried)
        self._prune(carried.shard, carried.delta)
        if self._results and any(batch.chained for batch in carried.batches or ()):
            self._results = {hash: row for hash, row in self._results.items() if row[0] is not carried}

    def adopt(self, waiting: Waiting[Carried]) -> None:
        """A committed transaction waits: it waits here too, with what it read at its place, and may be free earlier."""
        if (known := waiting.block.waiting.get(waiting.index)) is not None:
            if self._unready.pop(known, 0) is None:
                known.foreign = dict(waiting.foreign or {})
                self.release([known])
            return
        mine = Waiting(waiting.block, waiting.index, waiting.operations, waiting.keys, dict(waiting.foreign or {}))
        part = waiting.block.row(waiting.index)[2]
        if waiting.group is not None and part is not None:
            mine.group = self.locks.join(waiting.group.name, part.part, part.parts, part.deadline)
        self.locks.add(mine)
        self.note_waiting(mine)
        self.release([mine])

    def settle(self, rows: Iterable[tuple[Carried, int]]) -> None:
        """All these committed rows have their outcome: they wait no more. Their keys have the values that lie below.

        That does not hold for a key on which a row before waits in the committed state: a row that ends without running
        (its dependency is not met) overtakes it there. The row before has run here, and its value stays here alone.
        """
        freed: list[Waiting[Carried]] = []
        for carried, index in rows:
            waiting = carried.waiting.pop(index, None)
            if waiting is None:
                self._prune(carried.shard, keys_of(carried.row(index)[1]))
                continue
            self._unready.pop(waiting, None)
            if waiting.group is not None:
                self.locks.close(waiting.group)
            for key in waiting.keys:
                if not self._is_ahead(carried, index, key):
                    self._values[carried.shard].pop(key, None)
            freed += self.locks.remove(waiting)
        self.release(freed)

    def _is_ahead(self, carried: Carried, index: int, key: int) -> bool:
        """Whether the committed state still has a row to run that stands before this one and touches the key."""
        queue = self._committed.locks.queues.get(key)
        if not queue:
            return False
        first = queue[0]
        return (first.block.place, first.index) < (carried.place, index)

    def _prune(self, shard: int, keys: Iterable[int]) -> None:
        """Drop the values of keys that nobody has written here since, so that they are as they are below."""
        values, chain, locked = self._values[shard], self.chains[shard], self._committed.locks.queues
        for key in keys:
            if key in values and key not in locked and not any(key in later.delta for later in chain):
                del values[key]

    def reset(self) -> None:
        """Blocks came in another order than was foretold: start again from what is committed."""
        for chain in self.chains:
            for carried in chain:
                carried.played = False
                self.applied.take_back(carried)
                carried.delta, carried.unstable = {}, set()
            chain.clear()
        for waiting in self.locks.waiting:
            waiting.block.waiting.clear()
        self._values = [Layer(self._committed.values) for _ in self.chains]
        self._unready.clear()
        self._results.clear()
        locks, self.locks = self._committed.locks, type(self.locks)()
        self.locks.copy_past(locks)
        for waiting in locks.waiting:
            self.adopt(waiting)
