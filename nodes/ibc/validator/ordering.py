"""The order of all that validators say: the DAG-BFT's primary and worker of one validator, on a node's sockets.

Items go to the worker, and come back from the blocks that the primary orders, those of all validators. The order is
kept whole (no snapshots), so it is the log of whatever is built on it: it comes again, from the start, after a restart.

Invariant: what is ordered is handed on once it is on disk; each validator hands on the same, in the same order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from emulator.sdk.driver import Driver
from emulator.sdk.durable import Durable
from emulator.sdk.node import NodeContext
from emulator.sdk.store import Store
from nodes.dagbft.consensus.core import Commit, Rules
from nodes.dagbft.field_types import MOST_INLINE_BYTES, MOST_TRANSACTION_BYTES
from nodes.dagbft.identity import Identity, Roster, Verifier, run_of
from nodes.dagbft.links import validator_mesh
from nodes.dagbft.messages import (
    BareCertificate,
    Batch,
    BatchReply,
    BatchRequest,
    Certificate,
    CertReply,
    CertRequest,
    Header,
    Message,
    OthersBatch,
    OurBatch,
    Seal,
    Sealed,
    StateReply,
    StateRequest,
    TailRequest,
    Vote,
)
from nodes.dagbft.ports import PRIMARY_PORT, WORKER_PORT
from nodes.dagbft.primary import records
from nodes.dagbft.primary.bare import Headers
from nodes.dagbft.primary.config import PrimaryConfig
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.effects import ALL, Effects
from nodes.dagbft.primary.payload import NO_KEYS
from nodes.dagbft.wire import split_transactions
from nodes.dagbft.worker import batch_store
from nodes.dagbft.worker.core import WorkerConfig, WorkerCore
from nodes.ibc.validator.core import Said

__all__ = ["TABLES", "Ordering", "primary_config"]

TABLES = (*records.TABLES, *batch_store.TABLES)  # of the store
RULE = "shoal"  # a leader every round, and no coin
_LOOK_BACK = 12  # rounds: what was in a block that comes later than that is said again
_SHARD = 0  # the worker keeps all items together, and every header may carry them
_FOR_EVER = 1 << 62  # rounds
_SEAL_WAIT_S = 10.0  # the worker is in this process: a header without its items would put later ones before them
_MOST_OPEN = 1 << 16  # batches of this validator that are in no block yet


def primary_config(round_s: float, leader_timeout_s: float) -> PrimaryConfig:
    """The settings of a primary that makes a header each `round_s`, and waits so long for a leader at most."""
    rules = Rules(RULE, look_back=_LOOK_BACK, early=False)
    return PrimaryConfig(
        rules, header_delay_s=round_s, grace_s=round_s, leader_timeout_s=leader_timeout_s,
        inline_bytes=MOST_INLINE_BYTES, seal_wait_s=_SEAL_WAIT_S, snapshot_rounds=0,
    )  # fmt: skip


class Ordering:
    """One validator's part in the order: `begin`, then a task of `run`.

    `on_ordered` gets what validators said, by commit of the order. `durable` keeps records in `store`, with TABLES.
    """

    def __init__(
        self,
        context: NodeContext,
        validators: Sequence[str],
        store: Store,
        durable: Durable,
        config: PrimaryConfig,
        on_ordered: Callable[[list[list[Said]]], None],
    ) -> None:
        self._context = context
        self._me, self._identity = validators.index(context.name), Identity.of(context.seed, context.name)
        self._roster = Roster.of(context.seed, validators, run=run_of(context.store))
        self._store = store
        self._durable = durable
        self._config = config
        self._on_ordered = on_ordered
        self._headers = Headers(len(validators))
        self._primaries = validator_mesh(
            context, self._identity, validators, self._on_primary_message, service="primary", port=PRIMARY_PORT,
            accepts=(Header, Vote, Certificate, BareCertificate, CertRequest, CertReply, StateRequest, StateReply,
                     TailRequest),
        )  # fmt: skip
        self._workers = validator_mesh(
            context,
            self._identity,
            validators,
            self._on_worker_message,
            service="worker-0",
            port=WORKER_PORT,
            accepts=(Batch, BatchRequest, BatchReply),
        )
        for mesh in (self._primaries, self._workers):
            context.exit_stack.callback(mesh.close)

    async def begin(self) -> None:
        """Start the cores, which measure time from here on, hand on what the store has of the order, and listen."""
        now = self._context.now
        self._primary = PrimaryCore(
            self._me, self._roster, self._identity, Verifier(), self._config, None, self._store, now(),
            keys_of=lambda body: NO_KEYS,
        )  # fmt: skip
        self._worker = WorkerCore(
            self._me, 0, self._roster.committee, WorkerConfig(most_open=_MOST_OPEN, keep_rounds=_FOR_EVER), self._store
        )
        self._primary_driver = Driver(self._primary, now, self._carry_out_primary)
        self._worker_driver = Driver(self._worker, now, self._carry_out_worker)
        for driver in (self._primary_driver, self._worker_driver):
            self._context.exit_stack.callback(driver.close)
        while self._primary.effects or self._worker.effects or self._lent():
            self._carry_out_primary()
            self._carry_out_worker()
            kept = asyncio.Event()
            self._durable.add([], kept.set)
            await kept.wait()
        await self._primaries.open()
        await self._workers.open()

    def _lent(self) -> bool:
        """Give the primary the batches that hold up the order, if the worker has them; whether it has."""
        blocked = self._primary.delivery.blocked
        missing = () if blocked is None else self._primary.payload.missing(self._primary.payload_of(blocked))
        batches, now_s = self._worker.batch_store, self._context.now()
        bodies = {digest: body for digest, _ in missing if (body := batches.body(digest)) is not None}
        for digest, body in bodies.items():
            self._primary.on_batch(digest, 0, NO_KEYS, batches.is_own(digest), now_s, len(body))
        return bool(bodies)

    async def run(self) -> None:
        """Take part until cancelled."""
        self._primary_driver.changed()
        self._worker_driver.changed()
        running = self._primaries.run(), self._workers.run(), self._primary_driver.failed, self._worker_driver.failed
        await self._context.until_stopped(*running)

    def put(self, item: bytes) -> bool:
        """Have an item ordered, which is no longer than the order takes; False where there is no room for it now."""
        assert 0 < len(item) <= MOST_TRANSACTION_BYTES
        taken = self._worker.on_transaction(item, self._context.now())
        self._worker_driver.changed()
        return taken

    def counts(self) -> dict[str, object]:
        """What was sent, received and refused."""
        refused: dict[str, int] = {}
        for counted in (self._primary.rejected, self._worker.rejected, self._primaries.rejected):
            for (reason, _), count in counted.items():
                refused[reason] = refused.get(reason, 0) + count
        sent = self._primaries.counters()["sent_bytes"] + self._workers.counters()["sent_bytes"]
        return {"sent_bytes": sent, "rounds": self._primary.pace.round, "rejected": refused}

    # Inputs of the cores

    def _on_primary_message(self, peer: int, message: Message) -> None:
        whole, answer = self._headers.incoming(peer, message)
        if answer is not None:
            self._primaries.send(peer, answer)
        if whole is not None:
            self._primary.on_message(peer, whole, self._context.now())
            self._primary_driver.changed()

    def _on_worker_message(self, peer: int, message: Message) -> None:
        self._worker.on_message(peer, message, self._context.now())
        self._worker_driver.changed()

    def _tell_primary(self, message: Message) -> None:
        """Pass what the worker says to the primary."""
        now_s = self._context.now()
        if isinstance(message, Sealed):
            self._primary.on_sealed(message.worker, message.round, message.inline, now_s)
        else:
            assert isinstance(message, OurBatch | OthersBatch)
            own = isinstance(message, OurBatch)
            self._primary.on_batch(message.digest, message.worker, NO_KEYS, own, now_s, len(message.body))
        self._primary_driver.changed()

    def _tell_worker(self, order: Message) -> None:
        """Pass an order of the primary to the worker."""
        self._worker.on_primary(replace(order, shard=_SHARD) if isinstance(order, Seal) else order, self._context.now())
        self._worker_driver.changed()

    # Outputs of the cores

    def _carry_out_primary(self) -> None:
        effects = self._primary.take()
        if effects:
            self._durable.add(effects.persist, partial(self._primary_kept, effects))

    def _primary_kept(self, effects: Effects) -> None:
        self._primary.archive.kept(effects.persist)
        self._headers.send(self._primaries, effects)
        for _, order in effects.workers:
            self._tell_worker(order)
        if commits := [self._said(event) for event in effects.execute if isinstance(event, Commit)]:
            self._on_ordered(commits)

    def _carry_out_worker(self) -> None:
        effects = self._worker.take()
        if effects:
            self._durable.add(effects.persist, partial(self._worker_kept, effects))

    def _worker_kept(self, effects: Effects) -> None:
        self._worker.batch_store.kept(effects.persist)
        for receiver, message in effects.send:
            if receiver == ALL:
                self._workers.broadcast(message)
            else:
                self._workers.send(receiver, message)
        for message in effects.primary:
            self._tell_primary(message)

    def _said(self, commit: Commit) -> list[Said]:
        """What the blocks of a commit hold."""
        said: list[Said] = []
        for slot in commit.blocks:
            header = self._primary.header_at(slot)
            assert header is not None, f"block {slot} is ordered and not held"
            for digest, _ in header.payload:
                body = self._worker.batch_store.body(digest)
                assert body is not None, f"batch {digest.hex()} of block {slot} is ordered and not held"
                said += [(header.author, item) for item in split_transactions(body)]
            said += [(header.author, item) for item in split_transactions(header.inline or b"")]
        return said
