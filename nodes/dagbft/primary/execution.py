"""A primary and its ledger, joined: what the one finds the other executes.

Invariant: the ledger never asks a consensus that is ahead of it. A batch may come while effects of the core still wait;
then the ledger executes what it can, and looks at foreign shards only after it has played all that consensus told.
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
    """A ledger that asks the core's consensus; without certificates nothing is early, and there is nothing to ask."""
    if isinstance(core, UncertifiedCore):
        return Ledger(core.roster.committee, core.me, core.config.look_back)
    consensus, rules = core.consensus, core.config.rules
    look_back = rules.look_back if rules.order == "causal" else 2
    reads = consensus.early if isinstance(consensus.early, EarlyRule) else None  # no other rule knows of foreign reads
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
    """Feeds a ledger with what comes out of a core, and both with batches."""

    def __init__(self, core: Core, ledger: Ledger) -> None:
        self.core = core
        self.ledger = ledger

    def on_batch(self, message: OurBatch | OthersBatch, shard: int, now_s: float) -> list[Reply]:
        """An own worker has stored a batch of this home shard."""
        replies: list[Reply] = [*self.ledger.on_batch(message.digest, message.body)]
        try:
            keys = self.ledger.write_keys(message.digest)
        except KeyError:  # it was the last one missing: executed, and done with
            keys = write_keys(message.body)
        own = isinstance(message, OurBatch)
        self.core.on_batch(message.digest, message.worker, keys, own, now_s, len(message.body), shard)
        self._keep(self.core.effects)
        return replies

    def play(self, effects: Effects) -> list[Reply]:
        """Feed the ledger with what the core has found, in its order. Snapshots that it takes are kept with that."""
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
        """Have the snapshots kept that the ledger has taken."""
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
    """The home shard of a batch's transactions, which workers keep apart; ANY for nonsense."""
    try:
        transactions = split_transactions(body)
    except ValueError:
        return ANY
    return home_shard(transactions[0]) if transactions else ANY
