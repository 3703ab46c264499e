"""What clients and any validator say to each other at the validator's door: signed results, and reads.

Invariant: whatever a validator says here it signs, over every field that says something, with the run; so that an
answer is its own, whoever hands it on, and no answer of one run or to one question passes for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated

from emulator.sdk.wire import U16, U32, U64, Many, ManyFixed, Nested, Octets, Row, Unsigned, layout_of
from nodes.dagbft.client.merkle import MOST_LEVELS
from nodes.dagbft.field_types import (
    DIGEST_BYTES,
    RUN_BYTES,
    TRANSACTION_ID_BYTES,
    Cause,
    Digest,
    Signature,
    digest_of,
    enter_message,
)

MOST_INCLUDED = 256  # results in one message
MOST_KEYS = 64  # of one read

Final = Annotated[int, Unsigned(1, least=1, most=2, names=Cause)]  # Cause.EARLY or Cause.COMMITTED
Run = Annotated[bytes, Octets(RUN_BYTES)]
Path = Annotated[tuple[bytes, ...], ManyFixed(Octets(DIGEST_BYTES), MOST_LEVELS, count_bytes=1)]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a validator signs once for many results: these have become final together."""

    run: Run
    epoch: U32
    kind: Final
    commits: Annotated[U64, "that had been executed then, the one that brought these results included; early: 0"]
    count: Annotated[int, Unsigned(4, least=1)]  # results
    root: Annotated[Digest, "of the Merkle tree over them"]

    @property
    def digest(self) -> bytes:
        """What is signed."""
        pieces: list[bytes] = []
        layout_of(Statement).write(self, pieces)
        return digest_of("dagbft finality", b"".join(pieces))


def leaf_of(transaction: bytes, result: bytes, round: int, author: int) -> bytes:
    """A result as an entry of the tree: of a transaction, in the block (round, author) that carried it."""
    return digest_of("dagbft result", transaction + result + round.to_bytes(8, "big") + author.to_bytes(2, "big"))


@dataclass(frozen=True, slots=True)
class Included:
    """A result, and that it is among those of a statement."""

    transaction: Annotated[bytes, Octets(TRANSACTION_ID_BYTES)]
    result: Digest
    round: Annotated[U64, "of the block that carried it"]
    author: U16
    index: Annotated[U32, "among the results of the statement"]
    path: Annotated[Path, "from there to the root"]

    @property
    def leaf(self) -> bytes:
        """The entry of the tree."""
        return leaf_of(self.transaction, self.result, self.round, self.author)


@enter_message(52, 1 << 18)
@dataclass(frozen=True, slots=True)
class SignedResults:
    """Results of one client's transactions under one signature, validator to client. `signature` signs `statement`."""

    voter: U16
    statement: Annotated[Statement, Nested(Statement, also=("commits",))]
    signature: Signature
    results: Annotated[tuple[Included, ...], Many(Nested(Included), MOST_INCLUDED)]


class Status(IntEnum):
    """What became of a read."""

    OK = 0
    BEHIND = 1  # what was asked for has not been reached here in time
    UNSETTLED = 2  # early: a key is locked by a transaction of which the outcome is not known, or early answers ended
    BUSY = 3  # too many reads wait here
    WRONG = 4  # no read: no key, keys of several shards, or of one that there is not


@enter_message(53, 600)
@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What are the values of these keys, which are of one shard? Client to any validator.

    Where final results count, `least` counts commits; where early ones do too, blocks of the shard.
    """

    number: Annotated[U64, "that the answer repeats"]
    kind: Annotated[Final, "committed values, or what early results make of them"]
    least: Annotated[U64, "commits or blocks: what the answer must have seen"]
    keys: Annotated[tuple[int, ...], ManyFixed(Unsigned(8), MOST_KEYS, rising=1)]


@enter_message(54, 2000)
@dataclass(frozen=True, slots=True)
class ReadReply:
    """The values after `at` commits or blocks of the shard, validator to client. `signature` signs `digest`."""

    voter: U16
    run: Run
    number: Annotated[U64, "of the request"]
    kind: Final
    status: Annotated[int, Unsigned(1, most=4, names=Status)]
    at: Annotated[U64, "the freshest that there is here: commits, or blocks of the shard"]
    commits: Annotated[U64, "that have been executed here"]
    history: Annotated[Digest, "of all outcomes of these"]
    values: Annotated[
        tuple[tuple[int, int, int], ...],
        ManyFixed(Row(key=Unsigned(8), value=Unsigned(8), since=Unsigned(8)), MOST_KEYS, rising=1),
        "keys with their values, which they have had since so many commits or blocks, or for longer",
    ]
    signature: Signature

    @property
    def digest(self) -> bytes:
        return digest_of("dagbft read", layout_of(ReadReply).unsigned_bytes(self))
