"""Executors: they execute the blocks of each shard in order and write the values.

`Committed` executes committed blocks; `Overlay` (overlay.py) executes early-final blocks that are not committed yet;
`Executor` is what both share. Invariant: a transaction runs at its place in the order, or waits there for a lock. The
foreign values that it reads, and whether its dependency is met, are those at its place, even if it runs later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, MutableMapping

from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.execution.locks import GammaGroup, LockRequest, Locks
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

DEPENDENCY_ROUNDS = 32  # largest distance between the block of a result and a block that depends on it
VOID: Outcome = ()  # of a malformed transaction, or one in a block of another shard
REPEATED, LATE, UNMET = "repeated", "late", "dependency"  # repeated part or batch; past its deadline; dependency unmet
CYCLE, EXPIRED = "cycle", "expired"  # gamma transactions that are given up


class BlockExecution:
    """A block, its batches, and the outcomes of its transactions."""

    __slots__ = (
        "batches", "block", "committed", "counted", "delta", "early", "final", "inline", "payload", "place", "played",
        "position", "reported", "requests", "shard", "slot", "unstable",
    )  # fmt: skip

    def __init__(self, block: Block, shard: int, payload: tuple[bytes, ...], inline: Ready | None = None) -> None:
        self.block = block
        self.slot: Slot = block.slot
        self.shard = shard
        self.payload = payload  # digests of batches
        self.inline = inline  # the last batch of the payload, if the block contains its body
        self.batches: list[Ready] | None = None  # of the payload; None until all have been received
        self.position = -1  # predicted place in the order of the shard; -1: none
        self.place = -1  # place in the order of the shard; -1: not committed yet
        self.early: list[Outcome | None] = []  # by row; None: not known early
        self.final: list[Outcome | None] = []  # by row; None: not known yet
        self.committed = False
        self.played = False  # in the overlay
        self.delta: dict[int, int] = {}  # values that it wrote in the overlay, by key
        self.unstable: set[int] = set()  # keys that gamma transactions may still write, at an unknown place
        self.requests: dict[int, LockRequest[BlockExecution]] = {}  # in the overlay, by row
        self.counted = 0  # early outcomes that are in `Counts.early`
        self.reported = bytearray()  # by row, flags: 1 early, 2 committed outcome sent to its client (4, 8: witness)

    @property
    def named(self) -> tuple[bytes, ...]:
        """The digests of the batches that the block does not contain."""
        return self.payload if self.inline is None else self.payload[:-1]

    def row(self, index: int) -> Row:
        """The row with this index in the concatenation of all batches."""
        for batch in self.batches or ():
            if index < len(batch.rows):
                return batch.rows[index]
            index -= len(batch.rows)
        raise IndexError(index)


class AppliedBatches:
    """The batches that each shard has executed, so that a repeated batch has no effect.

    `below` holds the batches that were executed in the layer below.
    """

    def __init__(self, n: int, rounds: int, below: AppliedBatches | None = None) -> None:
        self._first: list[dict[bytes, Slot]] = [{} for _ in range(n)]
        self._rounds = rounds  # repetitions further apart than this are not recognised
        self._below = below

    def above(self) -> AppliedBatches:
        """An empty layer above this one."""
        return AppliedBatches(len(self._first), self._rounds, self)

    def _find(self, shard: int, digest: bytes) -> Slot | None:
        found = self._first[shard].get(digest)
        return found if found is not None or self._below is None else self._below._find(shard, digest)

    def enter(self, execution: BlockExecution, digest: bytes) -> bool:
        """Whether the block is the first of its shard with this batch; the same answer if it is entered again."""
        first = self._find(execution.shard, digest)
        if first is None or abs(first[0] - execution.block.round) > self._rounds:
            self._first[execution.shard][digest] = execution.slot
            return True
        return first == execution.slot

    def take_back(self, execution: BlockExecution) -> None:
        """Remove the batches of a block that is not executed here any more, or by now in the layer below."""
        first = self._first[execution.shard]
        for digest in execution.payload:
            if first.get(digest) == execution.slot:
                del first[digest]

    def forget(self, round: int) -> None:
        """Drop the batches of blocks whose round is at most `round` - `rounds`."""
        for first in self._first:
            for digest in [digest for digest, slot in first.items() if slot[0] <= round - self._rounds]:
                del first[digest]

    def entries(self) -> tuple[tuple[int, bytes, int, int], ...]:
        """(shard, batch, round, author) of each batch, sorted."""
        found = [(shard, *entry) for shard, first in enumerate(self._first) for entry in first.items()]
        return tuple(sorted((shard, digest, round, author) for shard, digest, (round, author) in found))

    def resume(self, entries: Iterable[tuple[int, bytes, int, int]]) -> None:
        """Set the batches that a snapshot holds."""
        for shard, digest, round, author in entries:
            self._first[shard][digest] = (round, author)


class Executor:
    """Executes blocks. Methods that raise NotImplementedError differ between committed and early state."""

    def __init__(self, applied: AppliedBatches) -> None:
        self.locks: Locks[BlockExecution] = Locks()
        self.applied = applied

    def values_of(self, shard: int) -> MutableMapping[int, int]:
        """The values of a shard's keys."""
        raise NotImplementedError

    def write(self, key: int, value: int, execution: BlockExecution) -> None:
        raise NotImplementedError

    def outcomes(self, execution: BlockExecution) -> list[Outcome | None]:
        """The list that holds the outcomes of the block's rows."""
        raise NotImplementedError

    def look(self, execution: BlockExecution, index: int, transaction: Transaction) -> dict[int, int] | str | None:
        """The foreign values that a transaction reads; or the reason not to run it; or None: not known yet."""
        raise NotImplementedError

    def is_calm(self, execution: BlockExecution) -> bool:
        """Whether plain transactions of the block can run without checking locks."""
        return not self.locks.queues

    def note(self, execution: BlockExecution, keys: Iterable[int]) -> None:
        """Called when a transaction of the block touches these keys of its shard."""

    def note_gamma(self, execution: BlockExecution, keys: Iterable[int]) -> None:
        """Called when a part of a gamma transaction touches these keys of its shard."""

    def note_waiting(self, request: LockRequest[BlockExecution]) -> None:
        """Called when a request has to wait."""

    def note_result(self, execution: BlockExecution, index: int, hash: bytes) -> None:
        """Called with the result of a chained transaction."""

    def break_cycles(self, group: GammaGroup) -> None:
        """Called when a part of this group has been placed and cannot run."""

    def play(self, execution: BlockExecution) -> None:
        """Run each transaction of the block, or queue it."""
        outcomes, values = self.outcomes(execution), self.values_of(execution.shard)
        assert execution.batches is not None
        for digest, batch in zip(execution.payload, execution.batches, strict=True):
            if not self.applied.enter(execution, digest):
                outcomes += [REPEATED] * len(batch.rows)
            elif batch.plain and batch.shard == execution.shard and self.is_calm(execution):
                outcomes += [apply(operations, values) for _, operations, _ in batch.rows]
            else:
                for row in batch.rows:
                    outcomes.append(None)
                    if row[2] is None and self.is_calm(execution) and home_of(row) == execution.shard:
                        outcomes[-1] = apply(row[1], values)
                    else:
                        self._place(execution, len(outcomes) - 1, row)

    def _place(self, execution: BlockExecution, index: int, row: Row) -> None:
        """Run a transaction, or queue it."""
        _, operations, transaction = row
        if home_of(row) != execution.shard:
            self.finish(execution, index, VOID)
            return
        keys = tuple(dict.fromkeys([key for key in keys_of(operations) if key >> SHARD_BITS == execution.shard]))
        if transaction is not None and transaction.kind == Kind.GAMMA:
            self._place_part(execution, index, transaction, keys)
            return
        foreign = self.look(execution, index, transaction) if transaction is not None else {}
        if isinstance(foreign, str):
            self.finish(execution, index, foreign)
            return
        self.note(execution, keys)
        if foreign is None or self.locks.touches(keys):
            request = LockRequest(execution, index, operations, keys, foreign)
            self.locks.add(request)
            self.note_waiting(request)
        else:
            self.finish(execution, index, self._run(operations, foreign, {execution.shard: execution}))

    def _place_part(self, execution: BlockExecution, index: int, part: Transaction, keys: tuple[int, ...]) -> None:
        """Lock the keys of a part; run the gamma transaction if this was the last missing part and all are free."""
        if not execution.block.round <= part.deadline <= execution.block.round + MOST_WAIT_ROUNDS:
            self.finish(execution, index, LATE)
            return
        group = self.locks.open(part.group, part.part, part.parts, part.deadline)
        if group is None:
            self.finish(execution, index, REPEATED)
            return
        self.note_gamma(execution, keys)
        request = LockRequest(execution, index, part.operations, keys, {}, group)
        self.locks.add(request)
        self.note_waiting(request)
        if self.locks.may_run(request):
            self.release([request])
        else:
            self.break_cycles(group)

    def _run(self, operations: Operations, foreign: dict[int, int], homes: dict[int, BlockExecution]) -> Outcome:
        """Run operations on the values of several shards; `homes`: by shard, the block that the writes count for."""
        values = dict(foreign)
        for key in keys_of(operations):
            if key not in values:
                values[key] = self.values_of(key >> SHARD_BITS)[key]
        outcome = apply(operations, values)
        for key in written_by(operations):
            self.write(key, values[key], homes[key >> SHARD_BITS])
        return outcome

    def release(self, freed: Iterable[LockRequest[BlockExecution]]) -> None:
        """Run the requests that can run, and those that this frees in turn."""
        open = deque(freed)
        while open:
            request = open.popleft()
            if request not in self.locks.requests or not self.locks.may_run(request):
                continue
            group = request.group
            parts = [request] if group is None else self.locks.close(group)
            homes = {part.block.shard: part.block for part in parts}
            outcome = self._run(request.operations, request.foreign or {}, homes)
            for part in parts:
                open += self.locks.remove(part)
            for part in parts:
                self.finish(part.block, part.index, outcome)

    def finish(self, execution: BlockExecution, index: int, outcome: Outcome) -> None:
        """Record the outcome of a row."""
        self.outcomes(execution)[index] = outcome
        id, _, transaction = execution.row(index)
        if transaction is not None and transaction.chained:
            self.note_result(execution, index, result_hash(id, outcome))


class Committed(Executor):
    """Executes committed blocks."""

    def __init__(self, applied: AppliedBatches) -> None:
        super().__init__(applied)
        self.values = State()
        self.results: dict[bytes, int] = {}  # last round of each result that may be depended upon, by its hash
        self.finished: list[tuple[BlockExecution, int]] = []  # rows other than plain ones, in the order of finishing

    def values_of(self, shard: int) -> MutableMapping[int, int]:
        return self.values

    def write(self, key: int, value: int, execution: BlockExecution) -> None:
        self.values[key] = value

    def outcomes(self, execution: BlockExecution) -> list[Outcome | None]:
        return execution.final

    def finish(self, execution: BlockExecution, index: int, outcome: Outcome) -> None:
        super().finish(execution, index, outcome)
        self.finished.append((execution, index))

    def look(self, execution: BlockExecution, index: int, transaction: Transaction) -> dict[int, int] | str | None:
        if transaction.expected != NOTHING and not self.met(transaction.expected, execution.block.round):
            return UNMET
        home = execution.shard
        return {key: self.values[key] for key in keys_of(transaction.operations) if key >> SHARD_BITS != home}

    def met(self, expected: bytes, round: int) -> bool:
        """Whether a dependency of a transaction of this round is met."""
        found = self.results.get(expected)
        return found is not None and abs(round - found) <= DEPENDENCY_ROUNDS

    def note_result(self, execution: BlockExecution, index: int, hash: bytes) -> None:
        self.results[hash] = max(execution.block.round, self.results.get(hash, 0))

    def break_cycles(self, group: GammaGroup) -> None:
        while group.name in self.locks.groups and (victim := self.locks.cycle(group)) is not None:
            self.give_up(victim, CYCLE)

    def expire(self, floor: int) -> None:
        """The floor has risen: give up groups that can never be complete; drop batches and results that are too old."""
        for group in self.locks.expired(floor):
            self.give_up(group, EXPIRED)
        self.applied.forget(floor)
        if self.results:
            least = floor - DEPENDENCY_ROUNDS
            self.results = {hash: round for hash, round in self.results.items() if round > least}

    def give_up(self, group: GammaGroup, reason: str) -> None:
        """Finish all parts of a group with `reason`, without running them, and release their locks."""
        parts = self.locks.close(group)
        freed = [request for part in parts for request in self.locks.remove(part)]
        for part in parts:
            self.finish(part.block, part.index, reason)
        self.release(freed)
