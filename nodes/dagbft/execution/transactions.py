"""Transactions: their fields, their canonical bytes, and batches prepared for execution.

A key is a number of 64 bits whose upper 16 are its shard; values are numbers of 64 bits, and arithmetic is modulo 2^64.
Invariant: whether a transaction is sound depends on its bytes alone, so that every validator skips the same ones. An
alpha transaction touches only its home shard, a beta transaction reads other shards too, and a gamma transaction is
sent once for each shard that it touches; its parts are equal but for `part` and `shard`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from enum import IntEnum
from hashlib import blake2b
from struct import Struct
from typing import Annotated, NamedTuple

from emulator.model.errors import Unfit
from emulator.sdk.wire import U8, U16, U64, ManyFixed, Octets, Rest, Unsigned
from emulator.sdk.wire import Row as WireRow
from nodes.dagbft.field_types import DIGEST_BYTES, TRANSACTION_ID_BYTES, digest_of
from nodes.dagbft.wire import split_transactions

SHARD_BITS = 48  # key >> SHARD_BITS is the shard of a key
MOST_OPERATIONS = 64
MOST_PARTS = 16
MOST_WAIT_ROUNDS = 64  # from the round of a part of a gamma transaction to its deadline
NOTHING = bytes(DIGEST_BYTES)  # the `expected` of a transaction without dependency

_HEAD = Struct(f">BBH{TRANSACTION_ID_BYTES}s{DIGEST_BYTES}sBBQB")
_OPERATION = Struct(">BQQQ")
HEAD_BYTES, OPERATION_BYTES = _HEAD.size, _OPERATION.size
_SINGLE_BYTES = HEAD_BYTES + OPERATION_BYTES


class Kind(IntEnum):
    """Which shards a transaction touches."""

    ALPHA = 0
    BETA = 1
    GAMMA = 2


class Code(IntEnum):
    """What an operation does; its output is after the semicolon, else its value."""

    GET = 0  # read `key`; its value
    PUT = 1  # set `key` to `value`; `value`
    ADD = 2  # add `value` to `key`; the sum
    SWAP = 3  # set `key` to `value` if it is `other` (compare and set); 1, or 0 if not done
    TRANSFER = 4  # move `value` from `key` to the key `other` if there is as much; 1, or 0 if not done


class Operation(NamedTuple):
    code: int
    key: int
    other: int = 0
    value: int = 0


Operations = tuple[tuple[int, int, int, int], ...]  # Operations, or plain tuples of their fields
Outcome = tuple[int, ...] | str  # the outputs of the operations, or the reason why none was done


def key_of(shard: int, number: int) -> int:
    """The key `number` (below 2^48) of a shard."""
    return shard << SHARD_BITS | number


class Transaction(NamedTuple):
    """A transaction, or one part of a gamma transaction."""

    kind: Annotated[int, Unsigned(1, names=Kind)]
    chained: U8  # 1: others may depend on its result, and its client wants a speculative one
    shard: Annotated[U16, "home shard: that of the block that must carry it"]
    id: Annotated[bytes, Octets(TRANSACTION_ID_BYTES), "number of the client, and one that the client counts"]
    expected: Annotated[bytes, Octets(DIGEST_BYTES), "hash of the result that it depends on"]  # NOTHING for none
    part: U8  # gamma: which part this is, from 0, in the order of shards
    parts: U8  # gamma: how many parts there are; else 1
    deadline: Annotated[U64, "the last round in which a part of a gamma transaction may be carried"]  # else 0
    operations: Annotated[
        Operations,
        ManyFixed(
            WireRow(code=Unsigned(1, names=Code), key=Unsigned(8), other=Unsigned(8), value=Unsigned(8)),
            MOST_OPERATIONS,
            count_bytes=1,
        ),
    ]
    padding: Annotated[bytes, Rest()] = b""

    @property
    def group(self) -> bytes:
        """The name of a gamma transaction: a digest of the fields that its parts have in common."""
        return blake2b(encode(self._replace(part=0, shard=0)), digest_size=16, person=b"dagbft group").digest()


def encode(transaction: Transaction) -> bytes:
    """Canonical bytes. ValueError if a field is past its limit."""
    operations = transaction.operations
    if len(operations) > MOST_OPERATIONS:
        raise Unfit(f"{len(operations)} operations", f"at most {MOST_OPERATIONS}")
    if len(transaction.id) != TRANSACTION_ID_BYTES or len(transaction.expected) != DIGEST_BYTES:
        raise ValueError(
            f"id of {len(transaction.id)} and dependency of {len(transaction.expected)} bytes;"
            f" expected {TRANSACTION_ID_BYTES} and {DIGEST_BYTES}"
        )
    try:
        head = _HEAD.pack(*transaction[:8], len(operations))
        return head + b"".join([_OPERATION.pack(*operation) for operation in operations]) + transaction.padding
    except struct.error as error:
        raise Unfit(f"transaction with a number past its width ({error})", "one within it") from None


def decode(data: bytes) -> Transaction:
    """The transaction of these bytes, sound or not. ValueError if they are too few."""
    if len(data) < HEAD_BYTES:
        raise Unfit(f"transaction of {len(data)} bytes", f"at least {HEAD_BYTES}")
    *head, count = _HEAD.unpack_from(data)
    end = HEAD_BYTES + count * OPERATION_BYTES
    if end > len(data) or count > MOST_OPERATIONS:
        raise Unfit(f"{count} operations in {len(data)} bytes", f"at most {MOST_OPERATIONS}, all there")
    return Transaction._make([*head, tuple(_OPERATION.iter_unpack(data[HEAD_BYTES:end])), data[end:]])


def home_shard(data: bytes) -> int:
    """The home shard that a transaction's bytes name; -1 if they are too few. Workers sort by it: a header may
    contain only transactions of its own shard."""
    return int.from_bytes(data[2:4], "big") if len(data) >= HEAD_BYTES else -1


def transaction_id(data: bytes) -> bytes:
    """The identifier in a transaction's bytes; shorter if they are too few."""
    return data[4 : 4 + TRANSACTION_ID_BYTES]


def keys_of(operations: Operations) -> list[int]:
    """All keys that are read or written, in the order of the operations."""
    keys = []
    for code, key, other, _ in operations:
        keys.append(key)
        if code == Code.TRANSFER:
            keys.append(other)
    return keys


def written_by(operations: Operations) -> list[int]:
    """The keys that may be written."""
    keys = []
    for code, key, other, _ in operations:
        if code != Code.GET:
            keys.append(key)
        if code == Code.TRANSFER:
            keys.append(other)
    return keys


def is_sound(transaction: Transaction) -> bool:
    """Whether the transaction obeys the limits of its kind. Every validator skips the others."""
    home, operations = transaction.shard, transaction.operations
    if not operations or transaction.chained > 1 or any(code > Code.TRANSFER for code, *_ in operations):
        return False
    shards = {key >> SHARD_BITS for key in keys_of(operations)}
    if transaction.kind == Kind.GAMMA:
        named = sorted(shards)
        return (
            not transaction.chained
            and transaction.expected == NOTHING
            and 2 <= transaction.parts == len(named) <= MOST_PARTS
            and transaction.part < len(named)
            and named[transaction.part] == home
        )
    if (transaction.part, transaction.parts, transaction.deadline) != (0, 1, 0):
        return False
    if transaction.kind == Kind.ALPHA:
        return shards == {home}
    return transaction.kind == Kind.BETA and all(key >> SHARD_BITS == home for key in written_by(operations))


def result_hash(id: bytes, outcome: Outcome) -> bytes:
    """Hash of a transaction's identifier and its outcome."""
    if isinstance(outcome, str):
        return blake2b(id + b"\0" + outcome.encode(), digest_size=DIGEST_BYTES, person=b"dagbft result").digest()
    packed = _PACKED[len(outcome)].pack(*outcome)
    return blake2b(id + b"\1" + packed, digest_size=DIGEST_BYTES, person=b"dagbft result").digest()


_PACKED = [Struct(f">{count}Q") for count in range(MOST_OPERATIONS + 1)]

Row = tuple[bytes, Operations, Transaction | None]  # id, operations, and the whole where it is no plain one


class Ready(NamedTuple):
    """A batch prepared for execution. A plain transaction is an alpha one without dependency."""

    rows: list[Row]
    shard: int  # the home shard of all sound transactions; -1 if they have several
    plain: bool  # whether all are plain
    written: frozenset[int]  # keys that the transactions may write
    chained: bool  # whether any is chained


def home_of(row: Row) -> int:
    """The home shard of a row; -1 if the row is void."""
    _, operations, transaction = row
    return transaction.shard if transaction else operations[0][1] >> SHARD_BITS if operations else -1


def prepare(body: bytes) -> Ready:
    """The transactions of a batch. A malformed body has none; an unsound transaction becomes a void row."""
    rows: list[Row] = []
    written: list[int] = []
    homes: set[int] = set()
    chained = False
    try:
        transactions = split_transactions(body)
    except ValueError:
        return Ready(rows, -1, True, frozenset(), False)
    unpack, unpack_operation = _HEAD.unpack_from, _OPERATION.unpack_from
    for data in transactions:
        if len(data) < HEAD_BYTES:
            rows.append((transaction_id(data).ljust(TRANSACTION_ID_BYTES, b"\0"), (), None))
            continue
        kind, links, shard, id, expected, part, parts, deadline, count = unpack(data)
        if count == 1 and len(data) >= _SINGLE_BYTES:  # the common case, without an object for each transaction
            operation = unpack_operation(data, HEAD_BYTES)
            if (
                operation[0] <= Code.SWAP and operation[1] >> SHARD_BITS == shard
                and not kind | links | part | deadline and parts == 1 and expected == NOTHING
            ):  # fmt: skip
                rows.append((id, (operation,), None))
                homes.add(shard)
                if operation[0]:
                    written.append(operation[1])
                continue
        row, writes = _prepare_one(id, data)
        rows.append(row)
        written += writes
        if row[1]:
            homes.add(shard)
        chained |= row[2] is not None and bool(row[2].chained)
    plain = all(row[2] is None for row in rows)
    return Ready(rows, homes.pop() if len(homes) == 1 else -1, plain, frozenset(written), chained)


def _prepare_one(id: bytes, data: bytes) -> tuple[Row, list[int]]:
    """The row of a transaction other than the common case, and the keys of its home shard that it may write."""
    try:
        transaction = decode(data)
    except ValueError:
        return (id, (), None), []
    if not is_sound(transaction):
        return (id, (), None), []
    plain = transaction.kind == Kind.ALPHA and not transaction.chained and transaction.expected == NOTHING
    home = [key for key in written_by(transaction.operations) if key >> SHARD_BITS == transaction.shard]
    return (id, transaction.operations, None if plain else transaction._replace(padding=b"")), home


def write_keys(body: bytes) -> frozenset[int]:
    """The keys that a batch may write."""
    return prepare(body).written


def summary_of(keys: Iterable[int]) -> bytes:
    """The digest of the keys that a payload may write, as headers carry it."""
    return digest_of("dagbft keys", b"".join([key.to_bytes(8, "big") for key in sorted(set(keys))]))
