"""Reads: the values of keys in a ledger, once it has reached the commit or block that the reader requires.

Invariant: an answer gives for each key its value and the range of states, `since` to `at`, in which it has this value.
States are counted in the one order that all validators execute, so answers of validators that are not equally far can
be compared. Waiting reads are bounded in number and in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from nodes.dagbft.client.messages import ReadRequest, Status
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.transactions import SHARD_BITS
from nodes.dagbft.execution.witness import Witness
from nodes.dagbft.field_types import Cause

MOST_WAITING = 1024  # reads that wait for the ledger, of all readers together
MOST_OF_ONE = 64
WAIT_S = 1.0  # longest wait of a read


class Answer(NamedTuple):
    """The answer to a read."""

    reader: str
    request: ReadRequest
    status: Status
    at: int  # commits, or blocks of the shard
    values: tuple[tuple[int, int, int], ...]  # key, value, since


@dataclass(frozen=True, slots=True)
class _PendingRead:
    reader: str
    request: ReadRequest
    until_s: float


class Reading:
    """Answers reads of one ledger. `shards`: how many there are."""

    def __init__(self, ledger: Ledger, witness: Witness, shards: int) -> None:
        self._ledger = ledger
        self._witness = witness
        self._shards = shards
        self._waiting: list[_PendingRead] = []

    @property
    def due_s(self) -> float:
        """When the first waiting read times out."""
        return min((each.until_s for each in self._waiting), default=inf)

    def ask(self, reader: str, request: ReadRequest, now_s: float) -> Answer | None:
        """The answer; None if the read has to wait, since the ledger is not far enough."""
        shard = self._shard_of(request)
        if shard is None:
            return Answer(reader, request, Status.WRONG, 0, ())
        at = self._reached(request, shard)
        if at >= request.least:
            return self._answer(reader, request, shard)
        mine = sum(each.reader == reader for each in self._waiting)
        if mine >= MOST_OF_ONE or len(self._waiting) >= MOST_WAITING:
            return Answer(reader, request, Status.BUSY, at, ())
        self._waiting.append(_PendingRead(reader, request, now_s + WAIT_S))
        return None

    def tick(self, now_s: float) -> list[Answer]:
        """Answers to waiting reads that the ledger has now reached, or that have timed out."""
        answers, still = [], []
        for each in self._waiting:
            shard = self._shard_of(each.request)
            assert shard is not None
            at = self._reached(each.request, shard)
            if at >= each.request.least:
                answers.append(self._answer(each.reader, each.request, shard))
            elif now_s >= each.until_s:
                answers.append(Answer(each.reader, each.request, Status.BEHIND, at, ()))
            else:
                still.append(each)
        self._waiting = still
        return answers

    def _shard_of(self, request: ReadRequest) -> int | None:
        shards = {key >> SHARD_BITS for key in request.keys}
        shard = shards.pop() if len(shards) == 1 else self._shards
        return shard if shard < self._shards else None

    def _reached(self, request: ReadRequest, shard: int) -> int:
        ledger = self._ledger
        if request.kind == Cause.COMMITTED:
            return ledger.commits
        played = sum(each.played for each in ledger.overlay.chains[shard]) if ledger.answers_early else 0
        return ledger.lengths[shard] + played

    def _answer(self, reader: str, request: ReadRequest, shard: int) -> Answer:
        ledger, written = self._ledger, self._witness.written
        at = self._reached(request, shard)
        values: list[tuple[int, int, int]] = []
        for key in request.keys:
            if request.kind == Cause.COMMITTED:
                values.append((key, ledger.state[key], written(key).commits))
                continue
            found = ledger.overlay.latest(shard, key) if ledger.answers_early else None
            if found is None:
                return Answer(reader, request, Status.UNSETTLED, at, ())
            value, wrote = found
            since = ledger.lengths[shard] + wrote if wrote else written(key).lengths[shard]
            values.append((key, value, since))
        return Answer(reader, request, Status.OK, at, tuple(values))
