"""Transactions with made-up ids, and `Script`, which commits single blocks on a ledger in the order of the test."""

from __future__ import annotations

from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.consensus.core import Commit
from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.consensus.early import Early
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.transactions import (
    NOTHING,
    Code,
    Kind,
    Transaction,
    encode,
)
from nodes.dagbft.field_types import batch_digest
from nodes.dagbft.wire import join_transactions

GET, PUT, ADD, SWAP, TRANSFER = map(int, Code)
FULL = 0b1111
_ids = iter(range(1, 1 << 30))


def new_id():
    return next(_ids).to_bytes(16, "big")


def alpha(shard, *operations, chained=0, expected=NOTHING, id=None):
    return Transaction(int(Kind.ALPHA), chained, shard, id or new_id(), expected, 0, 1, 0, operations)


def beta(shard, *operations, **more):
    return alpha(shard, *operations, **more)._replace(kind=int(Kind.BETA))


def gamma(deadline, *operations, id=None):
    """All parts, by shard."""
    shards = sorted({key >> 48 for operation in operations for key in (operation[1],)})
    whole = Transaction(int(Kind.GAMMA), 0, 0, id or new_id(), NOTHING, 0, len(shards), deadline, operations)
    return {shard: whole._replace(part=part, shard=shard) for part, shard in enumerate(shards)}


class Script:
    """Commits single blocks, in the order of the test, on a ledger of four validators without foreign-read rules."""

    def __init__(self, look_back=50):
        self.ledger = Ledger(Committee(4), 0, look_back)
        self.number = 0

    def block(self, round, shard, *transactions):
        block = Block(round, Committee(4).owner(shard, round), FULL if round > 1 else 0)
        body = join_transactions([encode(each) for each in transactions])
        payload = [batch_digest(body)] if body else []
        for digest in payload:
            self.ledger.on_batch(digest, body)
        self.ledger.on_block(block, payload)
        return block

    def early(self, block, position, after=None):
        shard = Committee(4).shard(block.author, block.round)
        return self.ledger.on_events([Early(block.slot, shard, position, after and after.slot)])

    def commit(self, *blocks):
        self.number += 1
        slots = tuple(block.slot for block in blocks)
        return self.ledger.on_events([Commit(self.number - 1, slots[-1], "steady", slots)])

    def results(self, *blocks):
        return [outcome for block in blocks for outcome in self.ledger._blocks[block.slot].final]
