"""Connects a primary's core with its ledger, which executes the core's events.

Invariant: the ledger never queries a consensus that is ahead of it. A batch may arrive while effects of the core are
still pending; then the ledger executes what it can, and reads foreign shards only after it has executed all events.
"""

from __future__ import annotations

from nodes.dagbft.consensus.dag import Block
from nodes.dagbft.consensus.early import EarlyRule
from nodes.dagbft.execution.ledger import Ledger
from nodes.dagbft.execution.transactions import home_shard, write_keys
from nodes.dagbft.messages import FinalReply, Header, OthersBatch, OurBatch, SpecReply
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.effects import Effects
from nodes.dagbft.primary.payload import ANY
from nodes.dagbft.uncertified.core import UncertifiedCore
from nodes.dagbft.wire import split_transactions

Core = PrimaryCore | UncertifiedCore
Reply = SpecReply | FinalReply


def new_ledger(core: Core) -> Ledger:
    """A ledger that queries the core's consensus; without certificates nothing is early, so it queries nothing."""
    if isinstance(core, UncertifiedCore):
        return Ledger(core.roster.committee, core.me, core.config.look_back)
    consensus, rules = core.consensus, core.config.rules
    look_back = rules.look_back if rules.order == "causal" else 2
    reads = consensus.early if isinstance(consensus.early, EarlyRule) else None  # no other rule supports foreign reads
    ledger = Ledger(
        consensus.committee, core.me, look_back, reads, consensus.dag, lambda: consensus.events_emitted,
        core.config.snapshot_rounds,
    )  # fmt: skip
    snapshot = core.snapshot
    if snapshot is not None:
        ledger.resume(snapshot)
        core.snapshot = None  # it is as large as the state
    return ledger


class Execution:
    """Passes the effects of a core to a ledger, and batches to both."""

    def __init__(self, core: Core, ledger: Ledger) -> None:
        self.core = core
        self.ledger = ledger

    def on_batch(self, message: OurBatch | OthersBatch, shard: int, now_s: float) -> list[Reply]:
        """An own worker has stored a batch of this home shard."""
        replies: list[Reply] = [*self.ledger.on_batch(message.digest, message.body)]
        try:
            keys = self.ledger.write_keys(message.digest)
        except KeyError:  # it was the last missing batch: it has been executed and dropped
            keys = write_keys(message.body)
        own = isinstance(message, OurBatch)
        self.core.on_batch(message.digest, message.worker, keys, own, now_s, len(message.body), shard)
        self._keep(self.core.effects)
        return replies

    def play(self, effects: Effects) -> list[Reply]:
        """Pass the core's blocks and events to the ledger, in order; snapshots that it takes are kept with these."""
        core, ledger = self.core, self.ledger
        replies: list[Reply] = []
        for block in effects.blocks:
            if (carrier := core.header_at(block.slot)) is not None:
                ledger.on_block(block, [digest for digest, _ in carrier.names], carrier.inline)
        if effects.found:
            replies += ledger.on_events(effects.found)
        for header in effects.made:
            digests = [digest for digest, _ in header.names]
            replies += ledger.on_header(block_of(core, header), digests, header.inline)
        ledger.forget(effects.forget)
        self._keep(effects)
        return replies

    def _keep(self, effects: Effects) -> None:
        """Add the ledger's new snapshots to the records to keep."""
        taken, self.ledger.snapshots = self.ledger.snapshots, []
        if not isinstance(self.core, UncertifiedCore):  # without certificates the ledger takes none
            for snapshot in taken:
                effects.persist += self.core.snapshots.keep(snapshot)


def block_of(core: Core, header: Header) -> Block:
    """An own header as a block of the DAG; its parents are held."""
    parents = [core.blocks.get(parent) for parent in header.parents]
    mask = sum(1 << parent.author for parent in parents if parent is not None)
    return Block(header.round, header.author, mask)


def shard_of(body: bytes) -> int:
    """The home shard of a batch's transactions (one per batch); ANY if the batch is malformed."""
    try:
        transactions = split_transactions(body)
    except ValueError:
        return ANY
    return home_shard(transactions[0]) if transactions else ANY
