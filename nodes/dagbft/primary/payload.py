"""The batches of a primary: those that are held, and the own ones that wait for a header.

Invariant: an own batch is in exactly one state: waiting, in an own header that may still be ordered, or ordered. When
it becomes certain that a header's block will never be ordered, its batches wait again. The same holds for a batch
inside a header; no worker stores it, so its body is kept here until it is ordered.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from nodes.dagbft.execution.transactions import summary_of
from nodes.dagbft.field_types import INLINE, batch_digest
from nodes.dagbft.messages import Header

Name = tuple[bytes, int]  # a batch's digest and the worker that stores it; INLINE: it is inside the header
ANY = -1  # in place of a shard: the batch may go into a header of any shard
Keys = frozenset[int]  # keys that a batch may write
NO_KEYS: Keys = frozenset()


class _Held(NamedTuple):
    keys: Keys
    size: int


class Payload:
    """The batches of one primary. Their number is bounded: the oldest is dropped first, and can be fetched again."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._held: dict[Name, _Held] = {}
        self._bytes = 0
        self._most = most
        self._most_bytes = most_bytes
        self._queues: defaultdict[int, deque[Name]] = defaultdict(deque)  # own waiting batches, by shard
        self._shards: dict[Name, int] = {}  # of own batches
        self._mine: dict[Name, bool] = {}  # own batches that are not ordered yet: whether they wait
        self._keys: dict[Name, Keys] = {}  # that own waiting batches may write
        self._bodies: dict[Name, bytes] = {}  # of own batches that go inside a header
        self._done: dict[Name, None] = {}  # own ordered batches, the latest
        self._most_done = most

    def __len__(self) -> int:
        return len(self._held)

    def waiting(self, shard: int) -> int:
        """Own batches that may go into a header in charge of this shard."""
        return len(self._queues[ANY]) + len(self._queues[shard])

    @property
    def all_waiting(self) -> int:
        """Own batches that are in no header."""
        return sum(self._mine.values())

    def inline_waits(self, shard: int) -> bool:
        """Whether a batch to go inside a header in charge of this shard is waiting."""
        return any(worker == INLINE and self._mine.get((digest, worker)) for digest, worker in self._queues[shard])

    def hold(self, name: Name, keys: Keys, size: int) -> list[Name]:
        """Add a batch; returns the batches that were dropped for it."""
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
        """Remove a batch that is not needed any more."""
        held = self._held.pop(name, None)
        if held is not None:
            self._bytes -= held.size

    def offer(self, name: Name, keys: Keys, shard: int = ANY) -> None:
        """Add an own batch for a header in charge of its shard; ignored if it is in a header or ordered already."""
        if name in self._done:
            return
        self._keys[name] = keys
        self._shards[name] = shard
        if name not in self._mine:
            self._mine[name] = True
            self._queues[shard].append(name)

    def offer_inline(self, body: bytes, keys: Keys, shard: int) -> None:
        """Add an own batch that goes inside the header."""
        name = (batch_digest(body), INLINE)
        if name not in self._done:
            self._bodies[name] = body
            self.offer(name, keys, shard)

    def take(self, shard: int, most: int) -> tuple[tuple[Name, ...], bytes]:
        """Take the own batches of the next header, in charge of `shard`, and the body of the one inside it."""
        taken: list[Name] = []
        later: list[Name] = []
        inline = b""
        for queue in (self._queues[shard], self._queues[ANY]):
            while queue and len(taken) < most:
                name = queue.popleft()
                if not self._mine.get(name):
                    continue  # it is in a header, or ordered, by now
                if name not in self._keys:
                    del self._mine[name]  # known only from before a restart: its worker will offer it again
                elif name[1] != INLINE:
                    self._mine[name] = False
                    taken.append(name)
                elif inline:
                    later.append(name)
                else:
                    self._mine[name] = False
                    inline = self._bodies[name]
        self._queues[shard].extendleft(reversed(later))
        return tuple(taken), inline

    def carried(self, header: Header, keys_of: Callable[[bytes], Keys]) -> None:
        """Mark the batches of an own header that is certified, or was read from disk after a restart."""
        for name in header.names:
            if name not in self._done:
                self._mine[name] = False
                if name[1] == INLINE and name not in self._bodies:
                    self._bodies[name], self._keys[name] = header.inline, keys_of(header.inline)
                    self._shards[name] = header.shard

    def again(self, names: Iterable[Name]) -> int:
        """Queue the batches of a block that will never be ordered, before the others; returns how many."""
        back = [name for name in names if self._mine.get(name) is False]
        for name in reversed(back):
            self._mine[name] = True
            self._queues[self._shards.get(name, ANY)].appendleft(name)
        return len(back)

    def ordered(self, names: Iterable[Name]) -> None:
        """An own block with these batches has been ordered."""
        for name in names:
            self._mine.pop(name, None)
            self._keys.pop(name, None)
            self._shards.pop(name, None)
            self._bodies.pop(name, None)
            self._done[name] = None
        while len(self._done) > self._most_done:
            del self._done[next(iter(self._done))]

    def missing(self, names: Iterable[Name]) -> list[Name]:
        """The batches that are not held, or not by the worker that is named."""
        return [name for name in names if name not in self._held]

    def summary(self, names: Iterable[Name], more: Keys = NO_KEYS) -> bytes:
        """Digest of the keys that these batches, all held or own, may write, and of `more` keys, of a batch inside."""
        return summary_of(more.union(*map(self._keys_of, names)))

    def _keys_of(self, name: Name) -> Keys:
        held = self._held.get(name)
        return self._keys[name] if held is None else held.keys
