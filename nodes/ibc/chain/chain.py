"""A chain: blocks are made of waiting transactions, run, committed and remembered.

Invariant: the chain follows from its genesis, its blocks' transactions and its blocks' times; `restore` of the blocks
that it made gives the same chain. The header of height h + 1 names the state and results of height h.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from emulator.model.errors import DataError
from nodes.ibc.chain.ante import Mode
from nodes.ibc.chain.app import App, Moment
from nodes.ibc.chain.blocks import Block
from nodes.ibc.chain.consensus import Committee
from nodes.ibc.chain.ledger import Entry, Ledger
from nodes.ibc.chain.mempool import Mempool
from nodes.ibc.chain.results import TxResult
from nodes.ibc.comet.bft_time import median_time
from nodes.ibc.comet.hashes import commit_hash, data_hash, params_hash, results_hash, validators_hash
from nodes.ibc.comet.merkle import EMPTY
from nodes.ibc.core.state import Branch
from nodes.ibc.proofs.multistore import Multistore
from nodes.ibc.proto.comet import BlockID, Commit, ConsensusVersion, Header
from nodes.ibc.proto.well_known import Timestamp

__all__ = ["Chain", "Limits"]

BLOCK_VERSION = 11  # of CometBFT 0.38
LEAST_STEP_NS = 1_000_000  # CometBFT: votes for a block are at least a millisecond later than the block
FRAME_BYTES = 2048  # of a block beside transactions and commit: header, tags


@dataclass(frozen=True, slots=True)
class Limits:
    """What a block and the mempool may hold."""

    block_bytes: int = 4 << 20
    block_gas: int = -1  # -1: no limit
    mempool_txs: int = 5000
    mempool_bytes: int = 64 << 20
    tx_bytes: int = 1 << 20


class Chain:
    """One chain, without sockets and clocks."""

    def __init__(
        self, app: App, state: Multistore, committee: Committee, ledger: Ledger, limits: Limits, genesis_time_ns: int
    ) -> None:
        self.app = app
        self.state = state
        self.committee = committee
        self.ledger = ledger
        self.limits = limits
        self.genesis_time_ns = genesis_time_ns
        self.mempool = Mempool(limits.mempool_txs, limits.mempool_bytes, limits.tx_bytes)
        self._votes_ns = genesis_time_ns  # time of the votes for the last block
        self._checked = self._branched()

    @property
    def height(self) -> int:
        return self.ledger.last

    @property
    def moment(self) -> Moment:
        """The block that a transaction would be in if it were run now."""
        return Moment(self.height + 1, self._votes_ns if self.height else self.genesis_time_ns)

    def submit(self, data: bytes) -> TxResult:
        """Check a transaction; where the code is 0 it waits for a block. MempoolRefusal where there is no room."""
        self.mempool.require_room(data)
        result = self.app.run(self._checked, self.moment, data, Mode.CHECK)
        if not result.code:
            self.mempool.add(data, result.gas_wanted)
        return result

    def simulate(self, data: bytes) -> TxResult:
        """What a transaction would do and use, with the transactions that wait before it. It is not signed."""
        return self.app.run(
            {name: Branch(each) for name, each in self._checked.items()}, self.moment, data, Mode.SIMULATE
        )

    def produce(self, now_ns: int) -> Entry:
        """Make the next block; all validators vote for it at `now_ns`."""
        block = self.proposal(self.mempool)
        return self.execute(block, self.committee.commit(block, max(now_ns, block.time_ns + LEAST_STEP_NS)))

    def proposal(self, waiting: Mempool, *, checked: bool = True) -> Block:
        """The next block, of what waits there: its time is that of the votes for the block before.

        What was not `checked` since the last block is now, signatures too, and stays out where it does not pass.
        """
        latest = self.ledger.latest
        last_commit = latest.commit if latest else Commit()
        most_bytes = self.limits.block_bytes - FRAME_BYTES - len(last_commit.encode())
        stores, moment = self._branched(), self.moment

        def passes(data: bytes) -> bool:
            return checked or not self.app.run(stores, moment, data, Mode.CHECK).code

        txs = waiting.first(most_bytes, self.limits.block_gas, passes)
        header = Header(
            version=ConsensusVersion(BLOCK_VERSION),
            chain_id=self.app.chain_id,
            height=moment.height,
            time=Timestamp.of_ns(moment.time_ns),
            last_block_id=latest.block.id if latest else BlockID(),
            last_commit_hash=commit_hash(last_commit),
            data_hash=data_hash(txs),
            validators_hash=validators_hash(self.committee.at(moment.height).validators),
            next_validators_hash=validators_hash(self.committee.at(moment.height + 1).validators),
            consensus_hash=params_hash(self.limits.block_bytes, self.limits.block_gas),
            app_hash=latest.app_hash if latest else EMPTY,
            last_results_hash=results_hash(latest.results) if latest else EMPTY,
            evidence_hash=EMPTY,
            proposer_address=self.committee.proposer(moment.height),
        )
        return Block.of(header, txs, last_commit)

    def execute(self, block: Block, commit: Commit) -> Entry:
        """Run the block that `proposal` has given, for which there is a commit."""
        return self._execute(block, commit, Mode.DELIVER)

    def restore(self, block: Block, commit: Commit) -> Entry:
        """Run a block again that this chain made. DataError where it does not follow from the blocks before it."""
        latest = self.ledger.latest
        expected = latest.app_hash if latest else EMPTY
        if block.height != self.height + 1 or block.header.app_hash != expected or commit.block_id != block.id:
            raise DataError(
                f"block {block.height} of {self.app.chain_id} does not follow from block {self.height}: "
                f"it was made with other settings. Delete the node's store, or start with the settings of then"
            )
        return self._execute(block, commit, Mode.REPLAY)

    def fork(self, entry: Entry) -> Entry:
        """Equivocation: another block of the same height and time, with another state, signed by all validators."""
        header = replace(entry.block.header, app_hash=bytes(byte ^ 0xFF for byte in entry.block.header.app_hash))
        block = Block.of(header, entry.block.txs, entry.block.last_commit)
        return replace(entry, block=block, commit=self.committee.commit(block, entry.commit.signatures[0].timestamp.ns))

    def _execute(self, block: Block, commit: Commit, mode: Mode) -> Entry:
        stores = self._branched()
        moment = Moment(block.height, block.time_ns)
        self.app.begin_block(stores, moment, block.header.last_block_id.hash)
        results = tuple(self.app.run(stores, moment, data, mode) for data in block.txs)
        for store in stores.values():
            store.write()
        entry = Entry(block, commit, results, self.state.commit())
        self.ledger.add(entry)
        self._votes_ns = median_time(commit, self.committee.at(block.height).validators)
        self._checked = self._branched()
        self.mempool.committed(block.txs, self._still_good)
        return entry

    def _still_good(self, data: bytes) -> bool:
        return not self.app.run(self._checked, self.moment, data, Mode.RECHECK).code

    def _branched(self) -> Mapping[str, Branch]:
        return {name: Branch(store) for name, store in self.state.stores.items()}
