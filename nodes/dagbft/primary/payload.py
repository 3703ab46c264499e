"""Batches as a primary sees them: which are held, which of its own wait for a header, which must go in again.

Invariant: an own batch is in exactly one place: waiting, in an own header that may still be ordered, or ordered. When
it becomes certain that a header's block will never be ordered, its batches wait again.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import NamedTuple

from nodes.dagbft.execution.transactions import summary_of

Name = tuple[bytes, int]  # a batch's digest and the worker that has it
ANY = -1  # in place of a shard: headers of any
Keys = frozenset[int]  # that a batch may write


class _Held(NamedTuple):
    keys: Keys
    size: int


class Payload:
    """The batches of one primary. What is held is bounded: the oldest goes first, and can be fetched again."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._held: dict[Name, _Held] = {}
        self._bytes = 0
        self._most = most
        self._most_bytes = most_bytes
        self._queues: defaultdict[int, deque[Name]] = defaultdict(deque)  # own ones that wait, by shard
        self._shards: dict[Name, int] = {}  # of own ones
        self._mine: dict[Name, bool] = {}  # own batches that are not ordered yet: whether they wait
        self._keys: dict[Name, Keys] = {}  # that own waiting ones may write
        self._done: dict[Name, None] = {}  # own batches that are ordered, the latest
        self._most_done = most

    def __len__(self) -> int:
        return len(self._held)

    def waiting(self, shard: int) -> int:
        """Own batches that may go into a header in charge of this shard."""
        return len(self._queues[ANY]) + len(self._queues[shard])

    def hold(self, name: Name, keys: Keys, size: int) -> list[Name]:
        """Take a batch in; the ones that had to go for it."""
        if name in self._held:
            return []
        self._held[name] = _Held(keys, size)
        self._bytes += size
        gone: list[Name] = []
        while len(self._held) > self._most or (self._bytes > self._most_bytes and len(self._held) > 1):
            oldest = next(iter(self._held))
            self.drop(oldest)
            gone.append(oldest)
        return gone

    def drop(self, name: Name) -> None:
        """It is not needed any more."""
        held = self._held.pop(name, None)
        if held is not None:
            self._bytes -= held.size

    def offer(self, name: Name, keys: Keys, shard: int = ANY) -> None:
        """An own batch that may go into a header in charge of its shard; nothing where it has, or is ordered."""
        if name in self._done:
            return
        self._keys[name] = keys
        self._shards[name] = shard
        if name not in self._mine:
            self._mine[name] = True
            self._queues[shard].append(name)

    def take(self, shard: int, most: int) -> tuple[Name, ...]:
        """The own batches of the next header, which is in charge of a shard."""
        taken: list[Name] = []
        for queue in (self._queues[shard], self._queues[ANY]):
            while queue and len(taken) < most:
                name = queue.popleft()
                if not self._mine.get(name):
                    continue  # in a header or ordered by now
                if name in self._keys:
                    self._mine[name] = False
                    taken.append(name)
                else:
                    del self._mine[name]  # known from before a restart only: its worker will offer it again
        return tuple(taken)

    def carried(self, names: Iterable[Name]) -> None:
        """Own batches that are in a header already: found on disk after a restart."""
        for name in names:
            if name not in self._done:
                self._mine[name] = False

    def again(self, names: Iterable[Name]) -> int:
        """Their block will never be ordered: they wait again, before the others. How many did."""
        back = [name for name in names if self._mine.get(name) is False]
        for name in reversed(back):
            self._mine[name] = True
            self._queues[self._shards.get(name, ANY)].appendleft(name)
        return len(back)

    def ordered(self, names: Iterable[Name]) -> None:
        """An own block has been ordered with these."""
        for name in names:
            self._mine.pop(name, None)
            self._keys.pop(name, None)
            self._shards.pop(name, None)
            self._done[name] = None
        while len(self._done) > self._most_done:
            del self._done[next(iter(self._done))]

    def missing(self, names: Iterable[Name]) -> list[Name]:
        """Those that are not held, or not by the worker that is named."""
        return [name for name in names if name not in self._held]

    def summary(self, names: Iterable[Name]) -> bytes:
        """Digest of the keys that these, all held or own, may write."""
        return summary_of(key for name in names for key in self._keys_of(name))

    def _keys_of(self, name: Name) -> Keys:
        held = self._held.get(name)
        return self._keys[name] if held is None else held.keys
