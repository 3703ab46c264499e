"""Merkle trees: one digest for a list, and short paths that prove that an entry is in the list.

A node is the digest of two neighbours of the level below; a node without a neighbour moves up unchanged. Invariant: a
path is valid for one index in a list of one length only, as both determine the neighbours; entries and inner nodes are
digests with different prefixes, so that neither can pass for the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from emulator.model.errors import Unfit
from nodes.dagbft.field_types import digest_of

MOST_LEVELS = 32  # of a path: lists of 2^32 entries


class Tree:
    """The tree over digests of entries, at least one."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        if not leaves:
            raise Unfit("a tree over nothing", "at least one entry")
        self._levels = [list(leaves)]
        while len(below := self._levels[-1]) > 1:
            pairs = [_node(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
            self._levels.append(pairs + below[len(below) // 2 * 2 :])

    @property
    def count(self) -> int:
        return len(self._levels[0])

    @property
    def root(self) -> bytes:
        return self._levels[-1][0]

    def path(self, index: int) -> tuple[bytes, ...]:
        """The neighbours on the path from an entry to the root."""
        found = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                found.append(level[index ^ 1])
            index >>= 1
        return tuple(found)


def climb(leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bytes | None:
    """The root of a list of `count` entries whose entry `index` is `leaf`; None if the path fits no such list."""
    if not 0 <= index < count:
        return None
    left = list(path)
    while count > 1:
        if index ^ 1 < count:
            if not left:
                return None
            neighbour = left.pop(0)
            leaf = _node(neighbour, leaf) if index & 1 else _node(leaf, neighbour)
        index, count = index >> 1, (count + 1) >> 1
    return None if left else leaf


def _node(left: bytes, right: bytes) -> bytes:
    return digest_of("dagbft node", left + right)
