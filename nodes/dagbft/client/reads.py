"""Reads of a client: it asks all validators, and accepts values that enough of them report for one state.

An answer states that a key had a value in all states from `since` to `at`. Invariant: a read is confirmed for one
state, which lies in the ranges of `need` distinct validators with the same values; of f + 1 validators one is correct,
so the values are those of the one order in that state. The state is not older than the read requires.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from emulator.model.errors import Unfit
from nodes.dagbft.client.messages import MOST_KEYS, ReadReply, ReadRequest, Status
from nodes.dagbft.execution.transactions import SHARD_BITS
from nodes.dagbft.field_types import Cause
from nodes.dagbft.identity import Roster, verify

MOST_HISTORIES = 256  # commits whose digests are kept, to compare validators


class Read(NamedTuple):
    """The outcome of a read. `why` is "" if it was confirmed, for the state after `at` commits or blocks of the shard;
    else the status that most validators answered, or "timeout"."""

    number: int
    kind: int
    at: int
    values: dict[int, int]
    voters: tuple[int, ...]
    waited_s: float
    why: str = ""


@dataclass(slots=True)
class _Open:
    request: ReadRequest
    since_s: float
    need: int
    replies: dict[int, ReadReply] = field(default_factory=dict)  # by validator


class Reads:
    """Call `read`, and `on_reply` for each answer of a validator; `take` returns requests to send and outcomes.

    Reads are monotonic: each requires at least the state of the earlier reads of its kind and, for early results, of
    its shard. `saw` raises that state from other sources.
    """

    def __init__(self, roster: Roster, first: int = 0, most: int = 1000, timeout_s: float = 10.0) -> None:
        self.counts: Counter[str] = Counter()
        self.rejected: Counter[tuple[str, int]] = Counter()  # by reason and validator
        self._roster = roster
        self._next = first
        self._most = most
        self._timeout_s = timeout_s
        self._open: dict[int, _Open] = {}  # in the order of `read`
        self._seen: dict[tuple[int, int], int] = {}  # commits (shard -1), or blocks of a shard, by kind and shard
        self._histories: dict[int, bytes] = {}  # by commits
        self._requests: list[ReadRequest] = []
        self._done: list[Read] = []

    @property
    def due_s(self) -> float:
        """When `tick` gives up the next read."""
        first = next(iter(self._open.values()), None)
        return inf if first is None else first.since_s + self._timeout_s

    def read(self, keys: Sequence[int], now_s: float, *, kind: int = Cause.COMMITTED, need: int = 0) -> int | None:
        """Start a read of keys of one shard; returns its number, or None if too many are open (counted).

        `need` validators must agree; 0: f + 1. ValueError for keys that no validator would answer.
        """
        if len({key >> SHARD_BITS for key in keys}) != 1 or len(keys) > MOST_KEYS:
            raise Unfit(f"{len(keys)} keys", f"1 to {MOST_KEYS}, all of one shard")
        if len(self._open) >= self._most:
            self.counts["reads shed"] += 1
            return None
        number, self._next = self._next, self._next + 1
        request = ReadRequest(number, kind, self._seen.get(self._scope(kind, keys[0]), 0), tuple(sorted(set(keys))))
        self._open[number] = _Open(request, now_s, need or self._roster.committee.faults + 1)
        self._requests.append(request)
        self.counts["reads asked"] += 1
        return number

    def saw(self, commits: int) -> None:
        """Require later committed reads to include this commit, as the client knows a result that it made final."""
        self._see((Cause.COMMITTED, -1), commits)

    def on_reply(self, peer: int, reply: ReadReply, now_s: float) -> None:
        """An answer from validator `peer`."""
        open = self._open.get(reply.number)
        if open is None:
            self.counts["reads late"] += 1
        elif reason := self._wrong(peer, reply, open):
            self.rejected[reason, peer] += 1
        else:
            open.replies[peer] = reply
            self._compare_history(peer, reply)
            self._decide(open, now_s)

    def tick(self, now_s: float) -> None:
        """Give up reads whose timeout has passed."""
        while self.due_s <= now_s:
            self._end(next(iter(self._open.values())), now_s, "timeout")

    def take(self) -> tuple[list[ReadRequest], list[Read]]:
        """Requests to send to all validators, and outcomes of reads, since the last call."""
        taken = self._requests, self._done
        self._requests, self._done = [], []
        return taken

    @staticmethod
    def _scope(kind: int, key: int) -> tuple[int, int]:
        return (kind, -1) if kind == Cause.COMMITTED else (kind, key >> SHARD_BITS)

    def _see(self, scope: tuple[int, int], at: int) -> None:
        self._seen[scope] = max(self._seen.get(scope, 0), at)

    def _wrong(self, peer: int, reply: ReadReply, open: _Open) -> str:
        roster, request = self._roster, open.request
        if reply.voter != peer or peer >= roster.committee.n:
            return "voter"
        if reply.run != roster.run:
            return "run"
        if peer in open.replies:
            return "repeated"
        if reply.kind != request.kind:
            return "kind"
        if reply.status == Status.OK and tuple(key for key, _, _ in reply.values) != request.keys:
            return "keys"
        return "" if verify(roster.publics[peer], reply.digest, reply.signature) else "signature"

    def _compare_history(self, peer: int, reply: ReadReply) -> None:
        """Count validators that report different digests after as many commits: one is faulty, or there is a fork."""
        known = self._histories.setdefault(reply.commits, reply.history)
        self.counts["histories apart"] += known != reply.history
        if len(self._histories) > MOST_HISTORIES:
            del self._histories[next(iter(self._histories))]

    def _decide(self, open: _Open, now_s: float) -> None:
        good = {peer: reply for peer, reply in open.replies.items() if reply.status == Status.OK}
        for at in sorted({reply.at for reply in good.values()}, reverse=True):
            if at < open.request.least:
                break
            agreed: dict[tuple[int, ...], list[int]] = {}
            for peer, reply in good.items():
                if reply.at >= at and all(since <= at for _, _, since in reply.values):
                    agreed.setdefault(tuple(value for _, value, _ in reply.values), []).append(peer)
            for values, voters in agreed.items():
                if len(voters) >= open.need:
                    return self._confirm(open, at, values, voters, now_s)
        if len(good) + self._roster.committee.n - len(open.replies) < open.need or (
            len(open.replies) == self._roster.committee.n
        ):
            statuses = Counter(reply.status for reply in open.replies.values())
            status = statuses.most_common(1)[0][0]
            return self._end(open, now_s, "disagreement" if status == Status.OK else Status(status).name.lower())
        return None

    def _confirm(self, open: _Open, at: int, values: tuple[int, ...], voters: list[int], now_s: float) -> None:
        request = open.request
        self._see(self._scope(request.kind, request.keys[0]), at)
        by_key = dict(zip(request.keys, values, strict=True))
        del self._open[request.number]
        self.counts["reads confirmed"] += 1
        self._done.append(Read(request.number, request.kind, at, by_key, tuple(voters), now_s - open.since_s))

    def _end(self, open: _Open, now_s: float, why: str) -> None:
        request = open.request
        del self._open[request.number]
        self.counts[f"reads {why}"] += 1
        self._done.append(Read(request.number, request.kind, 0, {}, (), now_s - open.since_s, why))
