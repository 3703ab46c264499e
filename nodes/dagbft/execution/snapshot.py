"""Snapshots: all that a ledger must know of the commits up to one, so that it need not execute these again.

Invariant: the snapshot at a commit, and so its digest, is the same at all correct validators: it holds nothing but what
follows from the commits and from the batches of their blocks. It covers the digest of all outcomes so far.

What waits behind a lock is in it with its transaction and with what it has read. Of the block that carries it nothing
else is: rows that have their outcome are told and compared by then.
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
from nodes.dagbft.execution.executor import VOID, Carried
from nodes.dagbft.execution.locks import Locks, Waiting
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

_DONE: BatchRow = (bytes(TRANSACTION_ID_BYTES), (), None)  # in place of a row that has its outcome
_TOLD = 15  # to its client and to the witness, early and committed


class Waits(NamedTuple):
    """A transaction, or a part of one, that has its place and has not run."""

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
    """A ledger after a number of commits."""

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
    waiting: Annotated[tuple[Waits, ...], Many(Nested(Waits), MOST_ENTRIES, count_bytes=4), "in the order of coming"]
    state: Annotated[bytes, Text(MOST_STATE_BYTES), "as `State.encode` has it"]

    def encode(self) -> bytes:
        """The bytes of which the digest is taken."""
        pieces: list[bytes] = []
        layout_of(Snapshot).write(self, pieces)
        return b"".join(pieces)

    @classmethod
    def decode(cls, data: bytes) -> Snapshot:
        """The snapshot of these bytes. ValueError where they are none."""
        snapshot, end = layout_of(cls).read(data, 0)
        if end != len(data):
            raise Unfit(f"snapshot: {len(data) - end} bytes left over", "none")
        assert isinstance(snapshot, Snapshot)
        return snapshot

    @property
    def past(self) -> Past:
        """What consensus must know."""
        latest = tuple((round, author) if round else None for _, round, author in self.shards)
        return Past(self.commits, self.leader, self.ordered, tuple(each[0] for each in self.shards), latest)


def snapshot_digest(data: bytes) -> bytes:
    """By which validators tell whether they have the same snapshot."""
    return digest_of("dagbft snapshot", data)


def waits_of(locks: Locks[Carried]) -> tuple[Waits, ...]:
    """All that waits in the committed state."""
    found = []
    for waiting in locks.waiting:
        carried = waiting.block
        id, operations, transaction = carried.row(waiting.index)
        if transaction is None:
            transaction = Transaction(Kind.ALPHA, 0, carried.shard, id, NOTHING, 0, 1, 0, operations)
        foreign = tuple(sorted((waiting.foreign or {}).items()))
        found.append(Waits(*carried.slot, len(carried.final), waiting.index, encode(transaction), foreign))
    return tuple(found)


def wait_again(waits: Sequence[Waits], committee: Committee, locks: Locks[Carried]) -> dict[Slot, Carried]:
    """Lock again what these had locked; the blocks that carry them, placed before all that comes after the snapshot."""
    found: dict[Slot, Carried] = {}
    for place, wait in enumerate(waits, -len(waits)):
        slot = wait.round, wait.author
        carried = found.get(slot)
        if carried is None:
            carried = found[slot] = done(slot, committee.shard(wait.author, wait.round))
            carried.batches = [Ready([_DONE] * wait.rows, -1, False, frozenset(), True)]
            carried.final, carried.early = [VOID] * wait.rows, [None] * wait.rows
            carried.told, carried.place = bytearray([_TOLD]) * wait.rows, place
        _wait(carried, wait, locks)
    return found


def done(slot: Slot, shard: int) -> Carried:
    """A block that has been committed before."""
    carried = Carried(Block(*slot, 0), shard, ())
    carried.batches, carried.committed = [], True
    return carried


def _wait(carried: Carried, wait: Waits, locks: Locks[Carried]) -> None:
    row = prepare(join_transactions((wait.transaction,))).rows[0]
    _, operations, transaction = row
    assert carried.batches is not None
    carried.batches[0].rows[wait.place] = row
    carried.final[wait.place] = None
    carried.told[wait.place] = 0
    keys = tuple(dict.fromkeys([key for key in keys_of(operations) if key >> SHARD_BITS == carried.shard]))
    waiting = Waiting(carried, wait.place, operations, keys, dict(wait.foreign))
    if transaction is not None and transaction.kind == Kind.GAMMA:
        waiting.group = locks.join(transaction.group, transaction.part, transaction.parts, transaction.deadline)
    locks.add(waiting)
