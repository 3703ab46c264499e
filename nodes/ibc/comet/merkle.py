"""Merkle trees of CometBFT: those of RFC 6962, over SHA-256.

Invariant: a leaf's hash begins with 00 and that of an inner node with 01, so neither can stand for the other. Nodes are
paired level by level and the last one of an odd level moves up: the split at the largest power of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

EMPTY = sha256().digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of one leaf."""
    return sha256(b"\0" + leaf).digest()


def inner_hash(left: bytes, right: bytes) -> bytes:
    """Hash of a node of two children."""
    return sha256(b"\1" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaves; that of no leaves is the hash of nothing."""
    level = [leaf_hash(leaf) for leaf in leaves]
    while len(level) > 1:
        level = _above(level)
    return level[0] if level else EMPTY


def _above(level: list[bytes]) -> list[bytes]:
    pairs = [inner_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    return pairs + level[-1:] if len(level) % 2 else pairs


@dataclass(frozen=True, slots=True)
class Proof:
    """That a leaf stands at an index of a list: the siblings on the way up, lowest first."""

    total: int
    index: int
    leaf_hash: bytes
    aunts: tuple[bytes, ...]

    def root_of(self, leaf: bytes) -> bytes | None:
        """The root that the proof leads to from a leaf, or None where it does not fit the leaf or its own numbers."""
        if not 0 <= self.index < self.total or leaf_hash(leaf) != self.leaf_hash:
            return None
        node, index, total, used = self.leaf_hash, self.index, self.total, 0
        while total > 1:
            if index + 1 < total or index % 2:
                if used == len(self.aunts):
                    return None
                aunt = self.aunts[used]
                used += 1
                node = inner_hash(aunt, node) if index % 2 else inner_hash(node, aunt)
            index, total = index // 2, (total + 1) // 2
        return node if used == len(self.aunts) else None


def proof(leaves: Sequence[bytes], index: int) -> Proof:
    """Proof of the leaf at an index. IndexError where there is none."""
    level, at = [leaf_hash(leaf) for leaf in leaves], index
    own, aunts = level[index], []
    while len(level) > 1:
        if at ^ 1 < len(level):
            aunts.append(level[at ^ 1])
        level, at = _above(level), at // 2
    return Proof(len(leaves), index, own, tuple(aunts))
