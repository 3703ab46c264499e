"""What a validator without certificates keeps on disk.

Tables: `block` (round, author, digest) -> signed block, of all rounds, which is what late validators are served from;
`digest` digest -> that key; `order` (round, author) -> digest of the slot's block that was ordered; `header`, `commit`
and `life` as with certificates (primary/records.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from emulator.sdk.disk import Disk, Record
from nodes.dagbft.consensus.dag import Slot
from nodes.dagbft.messages import Header
from nodes.dagbft.primary.records import Archive, slot_key, slot_of
from nodes.dagbft.wire import decode, encode

TABLES = ("block", "digest", "order", "header", "commit", "life")


def block_records(block: Header) -> list[Record]:
    key = slot_key(block.round, block.author) + block.id
    return [Record("block", key, encode(block)), Record("digest", block.id, key)]


def order_record(slot: Slot, digest: bytes) -> Record:
    """This block of a slot was ordered."""
    return Record("order", slot_key(*slot), digest)


class BlockArchive(Archive):
    """What was kept, read back. There are no certificates and no votes in it."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self._blocks = disk

    def blocks(self, first: int = 0) -> Iterator[Header]:
        """Blocks of round `first` and above, in the order (round, author), so that parents come first."""
        for _, data in self._blocks.items("block", slot_key(first, 0)):
            yield _block(data)

    def block(self, digest: bytes) -> Header | None:
        key = self._blocks.get("digest", digest)
        data = None if key is None else self._blocks.get("block", key)
        return None if data is None else _block(data)

    def ordered(self, first: int = 0) -> dict[Slot, bytes]:
        """The digests of ordered blocks, of round `first` and above."""
        return {slot_of(key): digest for key, digest in self._blocks.items("order", slot_key(first, 0))}

    def ordered_at(self, slot: Slot) -> bytes | None:
        return self._blocks.get("order", slot_key(*slot))


def _block(data: bytes) -> Header:
    block = decode(data)
    assert isinstance(block, Header)
    return block
