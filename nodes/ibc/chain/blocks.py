"""Blocks as CometBFT 0.38 forms them: header, transactions, the commit for the block before.

Invariant: a block's id follows from its header and its bytes alone, and its header commits to everything else in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nodes.ibc.comet import merkle
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.proto.comet import BlockID, Commit, Header, PartSetHeader
from nodes.ibc.proto.wire import Message, message, nested, optional, repeated

__all__ = ["Block", "BlockForm"]

PART_BYTES = 65_536


@message("tendermint.types.Data")
class Data(Message):
    """The transactions of a block."""

    txs: tuple[bytes, ...] = repeated(1, bytes)


@message("tendermint.types.EvidenceList")
class EvidenceList(Message):
    """Evidence of misbehaviour; always empty, as nobody accuses a validator on its own chain here."""


@message("tendermint.types.Block")
class BlockForm(Message):
    """The bytes of a block, whose parts its id covers."""

    header: Header = nested(1, Header)
    data: Data = nested(2, Data)
    evidence: EvidenceList = nested(3, EvidenceList)
    last_commit: Commit | None = optional(4, Commit)


@dataclass(frozen=True, slots=True)
class Block:
    """A block. `last_commit` is the empty commit at height 1."""

    header: Header
    txs: tuple[bytes, ...]
    last_commit: Commit
    id: BlockID
    size: int  # bytes

    @classmethod
    def of(cls, header: Header, txs: Iterable[bytes], last_commit: Commit) -> Block:
        """The block of these, with its id."""
        form = BlockForm(header, Data(tuple(txs)), EvidenceList(), last_commit)
        encoded = form.encode()
        parts = [encoded[at : at + PART_BYTES] for at in range(0, len(encoded), PART_BYTES)]
        id = BlockID(header_hash(header), PartSetHeader(len(parts), merkle.root(parts)))
        return cls(header, form.data.txs, last_commit, id, len(encoded))

    @classmethod
    def decode(cls, encoded: bytes) -> Block:
        """The block of its bytes. WireError where they are none."""
        form = BlockForm.decode(encoded)
        return cls.of(form.header, form.data.txs, form.last_commit or Commit())

    def encode(self) -> bytes:
        return BlockForm(self.header, Data(self.txs), EvidenceList(), self.last_commit).encode()

    @property
    def height(self) -> int:
        return self.header.height

    @property
    def time_ns(self) -> int:
        return self.header.time.ns
