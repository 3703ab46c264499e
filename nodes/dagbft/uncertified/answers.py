"""What others may ask of a validator without certificates: its signed blocks.

Invariant: an answer is no longer than a reply may be, and a peer gets no more than its share of blocks a second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from nodes.dagbft.field_types import MOST_CERTIFICATES, MOST_PART_BYTES
from nodes.dagbft.messages import BlockReply, Header
from nodes.dagbft.primary.requests import MOST_ANCESTORS
from nodes.dagbft.uncertified.records import BlockArchive
from nodes.dagbft.wire import encode


class BlockAnswers:
    """Answers from the archive and from what is held. `most` are blocks a second to one peer."""

    def __init__(self, archive: BlockArchive, held: dict[bytes, Header], most: int) -> None:
        self._archive = archive
        self._held = held
        self._most = most
        self._second = 0
        self._given: Counter[int] = Counter()

    def find(self, digest: bytes) -> Header | None:
        return self._held.get(digest) or self._archive.block(digest)

    def blocks(self, peer: int, digests: tuple[bytes, ...], ancestors: int, now_s: float) -> BlockReply | None:
        """These, and so many blocks below each, of its author, lower ones first; None where there is nothing to say."""
        found = {digest: block for digest in digests if (block := self.find(digest)) is not None}
        for top in list(found.values()):
            below: Header | None = top
            for _ in range(min(ancestors, MOST_ANCESTORS)):
                below = self._before(below) if below is not None and len(found) < MOST_CERTIFICATES else None
                if below is None:
                    break
                found[below.id] = below
        return self._reply(peer, sorted(found.values(), key=lambda block: block.round), len(digests), now_s)

    def _before(self, block: Header) -> Header | None:
        """The block of the same author among the parents."""
        parents = filter(None, map(self.find, block.parents))
        return next((parent for parent in parents if parent.author == block.author), None)

    def tail(self, peer: int, round: int, now_s: float) -> BlockReply | None:
        """Blocks above a round, the lowest first."""
        return self._reply(peer, islice(self._archive.blocks(round + 1), MOST_CERTIFICATES), 1, now_s)

    def newest(self, peer: int, blocks: Iterable[Header], nonce: int, now_s: float) -> BlockReply | None:
        """An answer to who has lost its memory: the blocks of the highest full round, none where there is none."""
        if not self._may(peer, 1, now_s):
            return None
        return BlockReply(tuple(blocks), nonce)

    def _reply(self, peer: int, blocks: Iterable[Header], asked: int, now_s: float) -> BlockReply | None:
        part: list[Header] = []
        size = 0
        for block in islice(blocks, MOST_CERTIFICATES):
            size += len(encode(block))
            if part and size > MOST_PART_BYTES:
                break
            part.append(block)
        return BlockReply(tuple(part)) if self._may(peer, max(asked, len(part)), now_s) and part else None

    def _may(self, peer: int, count: int, now_s: float) -> bool:
        if int(now_s) != self._second:
            self._second = int(now_s)
            self._given.clear()
        self._given[peer] += count
        return self._given[peer] <= self._most
