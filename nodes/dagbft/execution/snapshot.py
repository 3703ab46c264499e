"""Snapshots: the state of a ledger after a commit, so that a validator need not execute earlier commits again.

Invariant: the snapshot at a commit, and so its digest, is the same at all correct validators: its content follows from
the commits and the batches of their blocks alone. It includes the digest of all outcomes so far.

A transaction that waits for a lock is included, with the foreign values that it has read. Nothing else of its block
is: rows that have their outcome have been reported and compared by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from emulator.model.errors import Unfit
from emulator.sdk.wire import U16, U32, U64, Many, ManyFixed, Nested, Octets, Row, Text, Unsigned, layout_of
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Past
from nodes.dagbft.consensus.dag import Block, Slot
from nodes.dagbft.execution.executor import VOID, BlockExecution
from nodes.dagbft.execution.locks import LockRequest, Locks
from nodes.dagbft.execution.transactions import (
    MOST_OPERATIONS,
    NOTHING,
    SHARD_BITS,
    Kind,
    Ready,
    Transaction,
    encode,
    keys_of,
    prepare,
)
from nodes.dagbft.execution.transactions import Row as BatchRow
from nodes.dagbft.field_types import (
    DIGEST_BYTES,
    MOST_TRANSACTION_BYTES,
    MOST_VALIDATORS,
    TRANSACTION_ID_BYTES,
    digest_of,
)
from nodes.dagbft.wire import join_transactions

GROUP_BYTES = 16
MOST_ENTRIES = 1 << 24  # of one list
MOST_STATE_BYTES = 1 << 30

_DONE: BatchRow = (bytes(TRANSACTION_ID_BYTES), (), None)  # stands for a row that has its outcome
_REPORTED = 15  # all flags of `BlockExecution.reported`: client and witness, early and committed


class PendingRow(NamedTuple):
    """A transaction, or a part of one, that has been placed in the order and has not run."""

    round: U64
    author: U16
    rows: Annotated[int, Unsigned(4, least=1), "in the block that carries it"]
    place: Annotated[U32, "its own among these"]
    transaction: Annotated[bytes, Text(MOST_TRANSACTION_BYTES)]
    foreign: Annotated[
        tuple[tuple[int, int], ...], ManyFixed(Row(key=Unsigned(8), value=Unsigned(8)), 2 * MOST_OPERATIONS),
        "what it read of other shards at its place",
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a ledger after a number of commits."""

    commits: U64
    leader: Annotated[U64, "round of the last of them"]
    digest: Annotated[bytes, Octets(DIGEST_BYTES), "of all outcomes"]
    outcomes: Annotated[U64, "how many there are"]
    shards: Annotated[
        tuple[tuple[int, int, int], ...],
        ManyFixed(Row(blocks=Unsigned(8), round=Unsigned(8), author=Unsigned(2)), MOST_VALIDATORS),
        "how many blocks of each are ordered, and the last of these; round 0 for none",
    ]
    ordered: Annotated[
        tuple[Slot, ...], ManyFixed(Row(round=Unsigned(8), author=Unsigned(2)), MOST_ENTRIES, count_bytes=4, rising=2),
        "blocks above the floor of the order",
    ]  # fmt: skip
    batches: Annotated[
        tuple[tuple[int, bytes, int, int], ...],
        ManyFixed(
            Row(shard=Unsigned(2), batch=Octets(DIGEST_BYTES), round=Unsigned(8), author=Unsigned(2)),
            MOST_ENTRIES, count_bytes=4, rising=2,
        ),
        "that a shard has had, and in which block first",
    ]  # fmt: skip
    results: Annotated[
        tuple[tuple[bytes, int], ...],
        ManyFixed(Row(result=Octets(DIGEST_BYTES), round=Unsigned(8)), MOST_ENTRIES, count_bytes=4, rising=1),
        "that may be depended upon",
    ]  # fmt: skip
    closed: Annotated[
        tuple[tuple[bytes, int], ...],
        ManyFixed(Row(group=Octets(GROUP_BYTES), deadline=Unsigned(8)), MOST_ENTRIES, count_bytes=4, rising=1),
        "gamma transactions that have run or been given up",
    ]  # fmt: skip
    parts: Annotated[
        tuple[tuple[bytes, int, int], ...],
        ManyFixed(
            Row(group=Octets(GROUP_BYTES), part=Unsigned(1), deadline=Unsigned(8)),
            MOST_ENTRIES, count_bytes=4, rising=2,
        ),
        "of gamma transactions that have come",
    ]  # fmt: skip
    waiting: Annotated[
        tuple[PendingRow, ...], Many(Nested(PendingRow), MOST_ENTRIES, count_bytes=4), "in the order of coming"
    ]
    state: Annotated[bytes, Text(MOST_STATE_BYTES), "as `State.encode` has it"]

    def encode(self) -> bytes:
        """Canonical bytes; the digest is taken of these."""
        pieces: list[bytes] = []
        layout_of(Snapshot).write(self, pieces)
        return b"".join(pieces)

    @classmethod
    def decode(cls, data: bytes) -> Snapshot:
        """The snapshot that `encode` made into these bytes. ValueError for any other bytes."""
        snapshot, end = layout_of(cls).read(data, 0)
        if end != len(data):
            raise Unfit(f"snapshot: {len(data) - end} bytes left over", "none")
        assert isinstance(snapshot, Snapshot)
        return snapshot

    @property
    def past(self) -> Past:
        """The part of the snapshot that consensus needs."""
        latest = tuple((round, author) if round else None for _, round, author in self.shards)
        return Past(self.commits, self.leader, self.ordered, tuple(each[0] for each in self.shards), latest)


def snapshot_digest(data: bytes) -> bytes:
    """The digest by which validators compare snapshots."""
    return digest_of("dagbft snapshot", data)


def pending_rows(locks: Locks[BlockExecution]) -> tuple[PendingRow, ...]:
    """All transactions that wait in the committed state."""
    found = []
    for request in locks.requests:
        execution = request.block
        id, operations, transaction = execution.row(request.index)
        if transaction is None:
            transaction = Transaction(Kind.ALPHA, 0, execution.shard, id, NOTHING, 0, 1, 0, operations)
        foreign = tuple(sorted((request.foreign or {}).items()))
        found.append(PendingRow(*execution.slot, len(execution.final), request.index, encode(transaction), foreign))
    return tuple(found)


def restore_pending(
    waits: Sequence[PendingRow], committee: Committee, locks: Locks[BlockExecution]
) -> dict[Slot, BlockExecution]:
    """Queue these transactions again; returns their blocks, placed before all blocks after the snapshot."""
    found: dict[Slot, BlockExecution] = {}
    for place, wait in enumerate(waits, -len(waits)):
        slot = wait.round, wait.author
        execution = found.get(slot)
        if execution is None:
            execution = found[slot] = done(slot, committee.shard(wait.author, wait.round))
            execution.batches = [Ready([_DONE] * wait.rows, -1, False, frozenset(), True)]
            execution.final, execution.early = [VOID] * wait.rows, [None] * wait.rows
            execution.reported, execution.place = bytearray([_REPORTED]) * wait.rows, place
        _wait(execution, wait, locks)
    return found


def done(slot: Slot, shard: int) -> BlockExecution:
    """A block that was committed before the snapshot."""
    execution = BlockExecution(Block(*slot, 0), shard, ())
    execution.batches, execution.committed = [], True
    return execution


def _wait(execution: BlockExecution, wait: PendingRow, locks: Locks[BlockExecution]) -> None:
    row = prepare(join_transactions((wait.transaction,))).rows[0]
    _, operations, transaction = row
    assert execution.batches is not None
    execution.batches[0].rows[wait.place] = row
    execution.final[wait.place] = None
    execution.reported[wait.place] = 0
    keys = tuple(dict.fromkeys([key for key in keys_of(operations) if key >> SHARD_BITS == execution.shard]))
    request = LockRequest(execution, wait.place, operations, keys, dict(wait.foreign))
    if transaction is not None and transaction.kind == Kind.GAMMA:
        request.group = locks.join(transaction.group, transaction.part, transaction.parts, transaction.deadline)
    locks.add(request)
