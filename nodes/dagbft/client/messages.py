"""Messages between clients and a validator's client service: signed results, and reads.

Invariant: a validator signs each of its messages, over every field and the run; so an answer proves its author even if
another party forwards it, and an answer of one run, or to one request, is not valid for another.
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
    """The statement that a validator signs once for many results: these became final together."""

    run: Run
    epoch: U32
    kind: Final
    commits: Annotated[U64, "that had been executed then, the one that brought these results included; early: 0"]
    count: Annotated[int, Unsigned(4, least=1)]  # results
    root: Annotated[Digest, "of the Merkle tree over them"]

    @property
    def digest(self) -> bytes:
        """The digest that is signed."""
        pieces: list[bytes] = []
        layout_of(Statement).write(self, pieces)
        return digest_of("dagbft finality", b"".join(pieces))


def leaf_of(transaction: bytes, result: bytes, round: int, author: int) -> bytes:
    """The tree's entry of a result: of a transaction, in the block (round, author) that contains it."""
    return digest_of("dagbft result", transaction + result + round.to_bytes(8, "big") + author.to_bytes(2, "big"))


@dataclass(frozen=True, slots=True)
class Included:
    """A result, and the path which proves that a statement includes it."""

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
    """The outcome of a read."""

    OK = 0
    BEHIND = 1  # the validator did not reach `least` in time
    UNSETTLED = 2  # early read: a key is locked by a transaction with unknown outcome, or early answers have ended
    BUSY = 3  # too many reads wait at the validator
    WRONG = 4  # invalid request: no key, keys of several shards, or an unknown shard


@enter_message(53, 600)
@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Read these keys, which are of one shard. Client to any validator.

    `least` is the state to reach first: a number of commits for final results, of blocks of the shard for early ones.
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
