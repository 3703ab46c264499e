"""Blocks that are suspended until their parents and batches have arrived.

Invariant: a block leaves when the last thing that it lacks has arrived, or when its round is collected. Blocks are told
apart by digest: a faulty author may have several in a slot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from nodes.dagbft.messages import Header
from nodes.dagbft.primary.payload import Name

Key = bytes | Name  # a parent's digest, or a batch


class SuspendedBlocks:
    """Suspended blocks with what they lack. The caller bounds how many an author may have."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, tuple[Header, set[Key]]] = {}
        self._waiting: dict[Key, set[bytes]] = {}
        self._counts: Counter[int] = Counter()

    def __contains__(self, digest: object) -> bool:
        return digest in self._blocks

    def __len__(self) -> int:
        return len(self._blocks)

    def count(self, author: int) -> int:
        """How many blocks of an author are suspended."""
        return self._counts[author]

    def needs(self, key: Key) -> bool:
        """Whether a suspended block lacks this."""
        return key in self._waiting

    def twin_of(self, block: Header) -> bool:
        """Whether another block of the same slot is suspended."""
        return self._counts[block.author] > 0 and any(
            (other.round, other.author) == (block.round, block.author) and digest != block.id
            for digest, (other, _) in self._blocks.items()
        )

    def suspend(self, block: Header, lacks: Iterable[Key]) -> None:
        """Keep a block until these have arrived."""
        missing = set(lacks)
        self._blocks[block.id] = (block, missing)
        self._counts[block.author] += 1
        for key in missing:
            self._waiting.setdefault(key, set()).add(block.id)

    def arrived(self, key: Key) -> list[Header]:
        """Take out the blocks that lack nothing any more, now that this has arrived; lower rounds first."""
        ready: list[Header] = []
        for digest in self._waiting.pop(key, ()):
            lacks = self._blocks[digest][1]
            lacks.discard(key)
            if not lacks:
                ready.append(self._take_out(digest))
        return sorted(ready, key=_place)

    def collect(self, floor: int) -> list[Header]:
        """Drop the blocks of rounds up to `floor`. Blocks of the next round need no parents any more: take out and
        return those that lack nothing else.
        """
        for digest in [digest for digest, (block, _) in self._blocks.items() if block.round <= floor]:
            self._take_out(digest)
        ready: list[Header] = []
        for digest, (block, lacks) in list(self._blocks.items()):
            if block.round == floor + 1:
                for key in [key for key in lacks if isinstance(key, bytes)]:
                    self._release(digest, key)
                    lacks.discard(key)
                if not lacks:
                    ready.append(self._take_out(digest))
        return sorted(ready, key=_place)

    def _take_out(self, digest: bytes) -> Header:
        block, lacks = self._blocks.pop(digest)
        self._counts[block.author] -= 1
        for key in lacks:
            self._release(digest, key)
        return block

    def _release(self, digest: bytes, key: Key) -> None:
        waiting = self._waiting[key]
        waiting.discard(digest)
        if not waiting:
            del self._waiting[key]


def _place(block: Header) -> tuple[int, int, bytes]:
    return block.round, block.author, block.id
