"""Executors: they play blocks, in the order of their shard, on values.

One plays what is committed, another (overlay.py) what is early-final and not committed yet; this is what they share,
and the first of them. Invariant: a transaction runs at its place, or waits there behind a lock; what it reads of
foreign shards, and whether its dependency holds, is settled at its place even where it runs later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, MutableMapping

from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.execution.locks import Group, Locks, Waiting
from nodes.dagbft.execution.state import State, apply
from nodes.dagbft.execution.transactions import (
    MOST_WAIT_ROUNDS,
    NOTHING,
    SHARD_BITS,
    Kind,
    Operations,
    Outcome,
    Ready,
    Row,
    Transaction,
    home_of,
    keys_of,
    result_hash,
    written_by,
)

DEPENDENCY_ROUNDS = 32  # a result can be depended upon by blocks that are no further away
VOID: Outcome = ()  # of what makes no sense, or is carried by a block of another shard
REPEATED, LATE, UNMET = "repeated", "late", "dependency"  # part or batch again; past its deadline; dependency unmet
CYCLE, EXPIRED = "cycle", "expired"  # gamma transactions that are given up


class Carried:
    """A block with what it carries, and what became of it."""

    __slots__ = (
        "batches", "block", "committed", "counted", "delta", "early", "final", "inline", "payload", "place", "played",
        "position", "shard", "slot", "told", "unstable", "waiting",
    )  # fmt: skip

    def __init__(self, block: Block, shard: int, payload: tuple[bytes, ...], inline: Ready | None = None) -> None:
        self.block = block
        self.slot: Slot = block.slot
        self.shard = shard
        self.payload = payload  # digests of batches
        self.inline = inline  # the last of these, where the block brings it itself
        self.batches: list[Ready] | None = None  # of the payload, once all are held
        self.position = -1  # that was foretold in the order of the shard; -1: none was
        self.place = -1  # in the order of the shard, once committed
        self.early: list[Outcome | None] = []  # by row; None: not known early
        self.final: list[Outcome | None] = []  # by row; None: not yet
        self.committed = False
        self.played = False  # in the overlay
        self.delta: dict[int, int] = {}  # what it wrote in the overlay
        self.unstable: set[int] = set()  # keys that gamma transactions may still write at a time not known
        self.waiting: dict[int, Waiting[Carried]] = {}  # what waits in the overlay, by row
        self.counted = 0  # early outcomes that have been counted
        self.told = bytearray()  # by row: 1 told early, 2 told committed

    @property
    def named(self) -> tuple[bytes, ...]:
        """The digests of batches that come from elsewhere."""
        return self.payload if self.inline is None else self.payload[:-1]

    def row(self, index: int) -> Row:
        """A row by its number among those of all batches."""
        for batch in self.batches or ():
            if index < len(batch.rows):
                return batch.rows[index]
            index -= len(batch.rows)
        raise IndexError(index)


class Applied:
    """Which batches a shard has had, so that one that is carried again does nothing. `below` has had others before."""

    def __init__(self, n: int, rounds: int, below: Applied | None = None) -> None:
        self._first: list[dict[bytes, Slot]] = [{} for _ in range(n)]
        self._rounds = rounds  # so far apart, batches are not known to be the same
        self._below = below

    def above(self) -> Applied:
        """What lies above this one."""
        return Applied(len(self._first), self._rounds, self)

    def _find(self, shard: int, digest: bytes) -> Slot | None:
        found = self._first[shard].get(digest)
        return found if found is not None or self._below is None else self._below._find(shard, digest)

    def enter(self, carried: Carried, digest: bytes) -> bool:
        """Whether the shard has the batch for the first time; says the same when the same block asks again."""
        first = self._find(carried.shard, digest)
        if first is None or abs(first[0] - carried.block.round) > self._rounds:
            self._first[carried.shard][digest] = carried.slot
            return True
        return first == carried.slot

    def take_back(self, carried: Carried) -> None:
        """The block has not been played here after all, or has been below by now."""
        first = self._first[carried.shard]
        for digest in carried.payload:
            if first.get(digest) == carried.slot:
                del first[digest]

    def forget(self, round: int) -> None:
        """No block up to this round, or within `rounds` above it, will come any more."""
        for first in self._first:
            for digest in [digest for digest, slot in first.items() if slot[0] <= round - self._rounds]:
                del first[digest]

    def entries(self) -> tuple[tuple[int, bytes, int, int], ...]:
        """(shard, batch, round, author) of each, rising."""
        found = [(shard, *entry) for shard, first in enumerate(self._first) for entry in first.items()]
        return tuple(sorted((shard, digest, round, author) for shard, digest, (round, author) in found))

    def resume(self, entries: Iterable[tuple[int, bytes, int, int]]) -> None:
        """These have come before."""
        for shard, digest, round, author in entries:
            self._first[shard][digest] = (round, author)


class Executor:
    """Plays blocks. What differs between committed and early state is in the methods that raise NotImplementedError."""

    def __init__(self, applied: Applied) -> None:
        self.locks: Locks[Carried] = Locks()
        self.applied = applied

    def values_of(self, shard: int) -> MutableMapping[int, int]:
        """The values of a shard's keys."""
        raise NotImplementedError

    def write(self, key: int, value: int, carried: Carried) -> None:
        raise NotImplementedError

    def outcomes(self, carried: Carried) -> list[Outcome | None]:
        """Where the outcomes of its rows are kept."""
        raise NotImplementedError

    def look(self, carried: Carried, index: int, transaction: Transaction) -> dict[int, int] | str | None:
        """The foreign values that a transaction reads; why it must not run; or None: this is not known yet."""
        raise NotImplementedError

    def is_calm(self, carried: Carried) -> bool:
        """Whether plain transactions of the block can run without a look at locks."""
        return not self.locks.queues

    def note(self, carried: Carried, keys: Iterable[int]) -> None:
        """A transaction of the block touches these keys of its shard."""

    def note_gamma(self, carried: Carried, keys: Iterable[int]) -> None:
        """A part of a gamma transaction does."""

    def note_waiting(self, waiting: Waiting[Carried]) -> None:
        """It has to wait."""

    def note_result(self, carried: Carried, index: int, hash: bytes) -> None:
        """The result of a chained transaction."""

    def break_cycles(self, group: Group) -> None:
        """A part of this group has come and cannot run."""

    def play(self, carried: Carried) -> None:
        """Run, or make wait, all that the block carries."""
        outcomes, values = self.outcomes(carried), self.values_of(carried.shard)
        assert carried.batches is not None
        for digest, batch in zip(carried.payload, carried.batches, strict=True):
            if not self.applied.enter(carried, digest):
                outcomes += [REPEATED] * len(batch.rows)
            elif batch.plain and batch.shard == carried.shard and self.is_calm(carried):
                outcomes += [apply(operations, values) for _, operations, _ in batch.rows]
            else:
                for row in batch.rows:
                    outcomes.append(None)
                    if row[2] is None and self.is_calm(carried) and home_of(row) == carried.shard:
                        outcomes[-1] = apply(row[1], values)
                    else:
                        self._place(carried, len(outcomes) - 1, row)

    def _place(self, carried: Carried, index: int, row: Row) -> None:
        """Run a transaction, or have it wait."""
        _, operations, transaction = row
        if home_of(row) != carried.shard:
            self.finish(carried, index, VOID)
            return
        keys = tuple(dict.fromkeys([key for key in keys_of(operations) if key >> SHARD_BITS == carried.shard]))
        if transaction is not None and transaction.kind == Kind.GAMMA:
            self._place_part(carried, index, transaction, keys)
            return
        foreign = self.look(carried, index, transaction) if transaction is not None else {}
        if isinstance(foreign, str):
            self.finish(carried, index, foreign)
            return
        self.note(carried, keys)
        if foreign is None or self.locks.touches(keys):
            waiting = Waiting(carried, index, operations, keys, foreign)
            self.locks.add(waiting)
            self.note_waiting(waiting)
        else:
            self.finish(carried, index, self._run(operations, foreign, {carried.shard: carried}))

    def _place_part(self, carried: Carried, index: int, part: Transaction, keys: tuple[int, ...]) -> None:
        """Lock the keys of a part; where it was the last one missing, all of the gamma transaction runs."""
        if not carried.block.round <= part.deadline <= carried.block.round + MOST_WAIT_ROUNDS:
            self.finish(carried, index, LATE)
            return
        group = self.locks.open(part.group, part.part, part.parts, part.deadline)
        if group is None:
            self.finish(carried, index, REPEATED)
            return
        self.note_gamma(carried, keys)
        waiting = Waiting(carried, index, part.operations, keys, {}, group)
        self.locks.add(waiting)
        self.note_waiting(waiting)
        if self.locks.may_run(waiting):
            self.release([waiting])
        else:
            self.break_cycles(group)

    def _run(self, operations: Operations, foreign: dict[int, int], homes: dict[int, Carried]) -> Outcome:
        """Run operations on the values of several shards; `homes` are the blocks in whose name each is written."""
        values = dict(foreign)
        for key in keys_of(operations):
            if key not in values:
                values[key] = self.values_of(key >> SHARD_BITS)[key]
        outcome = apply(operations, values)
        for key in written_by(operations):
            self.write(key, values[key], homes[key >> SHARD_BITS])
        return outcome

    def release(self, freed: Iterable[Waiting[Carried]]) -> None:
        """Run those of these that can, and all that this frees in turn."""
        open = deque(freed)
        while open:
            waiting = open.popleft()
            if waiting not in self.locks.waiting or not self.locks.may_run(waiting):
                continue
            group = waiting.group
            parts = [waiting] if group is None else self.locks.close(group)
            homes = {part.block.shard: part.block for part in parts}
            outcome = self._run(waiting.operations, waiting.foreign or {}, homes)
            for part in parts:
                open += self.locks.remove(part)
            for part in parts:
                self.finish(part.block, part.index, outcome)

    def finish(self, carried: Carried, index: int, outcome: Outcome) -> None:
        """The outcome of a row is known."""
        self.outcomes(carried)[index] = outcome
        id, _, transaction = carried.row(index)
        if transaction is not None and transaction.chained:
            self.note_result(carried, index, result_hash(id, outcome))


class Committed(Executor):
    """What has been ordered."""

    def __init__(self, applied: Applied) -> None:
        super().__init__(applied)
        self.values = State()
        self.results: dict[bytes, int] = {}  # hashes of results that may be depended upon: the last round of each
        self.finished: list[tuple[Carried, int]] = []  # rows, in the order in which they were finished, but plain ones

    def values_of(self, shard: int) -> MutableMapping[int, int]:
        return self.values

    def write(self, key: int, value: int, carried: Carried) -> None:
        self.values[key] = value

    def outcomes(self, carried: Carried) -> list[Outcome | None]:
        return carried.final

    def finish(self, carried: Carried, index: int, outcome: Outcome) -> None:
        super().finish(carried, index, outcome)
        self.finished.append((carried, index))

    def look(self, carried: Carried, index: int, transaction: Transaction) -> dict[int, int] | str | None:
        if transaction.expected != NOTHING and not self.met(transaction.expected, carried.block.round):
            return UNMET
        home = carried.shard
        return {key: self.values[key] for key in keys_of(transaction.operations) if key >> SHARD_BITS != home}

    def met(self, expected: bytes, round: int) -> bool:
        """Whether a dependency of a transaction of this round is met."""
        found = self.results.get(expected)
        return found is not None and abs(round - found) <= DEPENDENCY_ROUNDS

    def note_result(self, carried: Carried, index: int, hash: bytes) -> None:
        self.results[hash] = max(carried.block.round, self.results.get(hash, 0))

    def break_cycles(self, group: Group) -> None:
        while group.name in self.locks.groups and (victim := self.locks.cycle(group)) is not None:
            self.give_up(victim, CYCLE)

    def expire(self, floor: int) -> None:
        """The floor has risen: give up what can never be complete, and forget what is too old to matter."""
        for group in self.locks.expired(floor):
            self.give_up(group, EXPIRED)
        self.applied.forget(floor)
        if self.results:
            least = floor - DEPENDENCY_ROUNDS
            self.results = {hash: round for hash, round in self.results.items() if round > least}

    def give_up(self, group: Group, reason: str) -> None:
        """None of its operations is done, and its locks are gone."""
        parts = self.locks.close(group)
        freed = [waiting for part in parts for waiting in self.locks.remove(part)]
        for part in parts:
            self.finish(part.block, part.index, reason)
        self.release(freed)
