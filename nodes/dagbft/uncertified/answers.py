"""Answers of a validator without certificates to requests for its signed blocks.

Invariant: an answer fits one reply, and the rate of blocks to each peer is limited.
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
    """Answers from the archive and from the held blocks. `most`: blocks a second to one peer, at most."""

    def __init__(self, archive: BlockArchive, held: dict[bytes, Header], most: int) -> None:
        self._archive = archive
        self._held = held
        self._most = most
        self._second = 0
        self._given: Counter[int] = Counter()

    def find(self, digest: bytes) -> Header | None:
        return self._held.get(digest) or self._archive.block(digest)

    def blocks(self, peer: int, digests: tuple[bytes, ...], ancestors: int, now_s: float) -> BlockReply | None:
        """These blocks and, for each, `ancestors` earlier ones of its author, lower first; None if there are none."""
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
        """The answer to a validator that lost its disk: the blocks of the highest full round, if there is one."""
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
