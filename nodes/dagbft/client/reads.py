"""Reads of a client: it asks all validators, and takes what enough of them say of one state.

An answer says that a key had a value in all states from `since` to `at`. Invariant: a read is confirmed for one state,
which lies in what `need` distinct validators said with the same values; with f + 1 of them one is correct, so the
values are those of the one order in that state. It is no older than what the read asked for.
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

MOST_HISTORIES = 256  # commits of which it is remembered what validators said of their past


class Read(NamedTuple):
    """What became of a read. `why` is "" where it was confirmed: for the state after `at` commits, or blocks of the
    shard; else what most validators answered, or "timeout"."""

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
    """`read`, hand in what validators answer, `take` what is to be asked and what is known.

    Reads are monotonic: each asks for what the ones before have seen, of its kind and, where early results count, of
    its shard. `saw` adds what the client knows otherwise.
    """

    def __init__(self, roster: Roster, first: int = 0, most: int = 1000, timeout_s: float = 10.0) -> None:
        self.counts: Counter[str] = Counter()
        self.rejected: Counter[tuple[str, int]] = Counter()  # by reason and validator
        self._roster = roster
        self._next = first
        self._most = most
        self._timeout_s = timeout_s
        self._open: dict[int, _Open] = {}  # in the order of asking
        self._seen: dict[tuple[int, int], int] = {}  # commits (shard -1), or blocks of a shard, by kind and shard
        self._histories: dict[int, bytes] = {}  # by commits
        self._requests: list[ReadRequest] = []
        self._done: list[Read] = []

    @property
    def due_s(self) -> float:
        """When `tick` has something to give up."""
        first = next(iter(self._open.values()), None)
        return inf if first is None else first.since_s + self._timeout_s

    def read(self, keys: Sequence[int], now_s: float, *, kind: int = Cause.COMMITTED, need: int = 0) -> int | None:
        """Ask for keys of one shard; the number of the read, or None where too many are open (counted).

        `need` validators must agree, f + 1 where it is 0. ValueError for keys that no validator would answer.
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
        """Something is known to be final with this commit: committed reads are to see it."""
        self._see((Cause.COMMITTED, -1), commits)

    def on_reply(self, peer: int, reply: ReadReply, now_s: float) -> None:
        """An answer from the validator that has number `peer`."""
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
        """Give up what is overdue."""
        while self.due_s <= now_s:
            self._end(next(iter(self._open.values())), now_s, "timeout")

    def take(self) -> tuple[list[ReadRequest], list[Read]]:
        """What to ask all validators, and what became of reads."""
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
        """Count where validators tell different pasts of as many commits: one of them lies, or there is a fork."""
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
        told = dict(zip(request.keys, values, strict=True))
        del self._open[request.number]
        self.counts["reads confirmed"] += 1
        self._done.append(Read(request.number, request.kind, at, told, tuple(voters), now_s - open.since_s))

    def _end(self, open: _Open, now_s: float, why: str) -> None:
        request = open.request
        del self._open[request.number]
        self.counts[f"reads {why}"] += 1
        self._done.append(Read(request.number, request.kind, 0, {}, (), now_s - open.since_s, why))
