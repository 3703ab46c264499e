"""Captured packets of all hosts in the order in which they left, as one capture of one host.

A packet waits until every host has told of everything that left before it. A host that has told of nothing between two
signs of life has nothing up to the first of them; one whose signs lag HOLD_S behind is not waited for.

Invariant: pure. Every packet comes out once, and those that come out together are in order; what was left out on the
way is counted before what follows it.
"""

from __future__ import annotations

from array import array
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.link.taps import COLUMNS, HEAD, MAGIC, Batches

HOLD_S = 1.0
MOST_HELD = 16 << 20  # bytes
STEP_S = 0.05  # by which time goes on before packets are put in order again


class InOrder:
    """The batches of `hosts` hosts, made one stream of batches."""

    def __init__(self, hosts: int) -> None:
        self._streams = [Batches() for _ in range(hosts)]
        self._lost = [0] * hosts
        self._until_s = [-inf] * hosts  # everything that left before has come
        self._sign_s = [-inf] * hosts  # the last sign of life since which nothing has come
        self._columns = [np.empty(0, code) for code in COLUMNS]
        self._fresh: list[list[NDArray[Any]]] = [[] for _ in COLUMNS]  # what came since packets were put in order
        self._packets: list[memoryview] = []
        self._bytes = 0
        self._out_s = -inf

    @property
    def ended(self) -> bool:
        """Whether no host has anything more."""
        return min(self._until_s) == inf

    @property
    def torn(self) -> int:
        """Packets of which only a part has come, of hosts that are lost."""
        return sum(stream.torn for stream, until_s in zip(self._streams, self._until_s, strict=True) if until_s < inf)

    def feed(self, host: int, data: bytes) -> None:
        """Bytes from a host; b"": it has nothing more. ValueError if they are no batches."""
        if not data:
            self._until_s[host] = inf
        for batch in self._streams[host].feed(data):
            if not batch.left_s or not isfinite(sum(batch.left_s)):
                raise ValueError("a batch without packets, or with one that left at no time")
            self._lost[host] = batch.lost
            at = 0
            for size in batch.captured:
                self._packets.append(batch.body[at : at + size])
                at += size
            self._bytes += at
            columns: list[array[Any]] = [batch.left_s, batch.mark, batch.captured, batch.original]
            for fresh, column, code in zip(self._fresh, columns, COLUMNS, strict=True):
                fresh.append(np.frombuffer(column, code))
            self._until_s[host] = max(self._until_s[host], batch.left_s[-1])
            self._sign_s[host] = -inf

    def sign(self, host: int, t_s: float) -> None:
        """The host was there at a scenario time."""
        if t_s > self._sign_s[host]:
            self._until_s[host] = max(self._until_s[host], self._sign_s[host])
            self._sign_s[host] = t_s

    def take(self, now_s: float, left_out: int = 0) -> tuple[bytes, int]:
        """A batch of what is in order as of now, and how many packets it has; `left_out`: those that the caller left
        out so far."""
        until_s = max(min(self._until_s), now_s - HOLD_S)
        if self._bytes > MOST_HELD:
            until_s = inf
        if not self._packets or until_s < self._out_s + STEP_S:
            return b"", 0
        self._out_s = min(until_s, now_s)
        columns = [np.concatenate([kept, *fresh]) for kept, fresh in zip(self._columns, self._fresh, strict=True)]
        self._fresh = [[] for _ in COLUMNS]
        order = np.argsort(columns[0], kind="stable")
        count = int(np.searchsorted(columns[0][order], until_s, side="right"))
        out, kept = order[:count], np.sort(order[count:])
        body = [self._packets[place] for place in out.tolist()]
        size = sum(map(len, body))
        self._packets = [self._packets[place] for place in kept.tolist()]
        self._bytes -= size
        self._columns = [column[kept] for column in columns]
        if not count:
            return b"", 0
        head = HEAD.pack(MAGIC, count, size, sum(self._lost) + left_out)
        return b"".join((head, *(column[out].tobytes() for column in columns), *body)), count
