"""The primary as a process: sockets, timers, the store and the ledger around a `PrimaryCore`.

Events: `header` (round, parents: authors) when an own header is made, `advance` (round) when a quorum of its blocks is
held, `early` (round, author), `commit` (index, leader, mode, blocks, transactions), `adopted` (commits) when a snapshot
of others replaced the own state, `damaged` (text), and at the end `tally`: counts.
Samples, once a second: `early_ok` and `early_wrong`, early results that were compared with their commit so far; and
those of `phases`.
Invariant: messages and replies are sent after the records that they rest on are on disk.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from emulator.sdk.driver import Driver
from emulator.sdk.durable import Durable
from emulator.sdk.node import Node, NodeContext
from nodes.dagbft.consensus.dag import members
from nodes.dagbft.identity import Identity, Roster, Verifier, run_of
from nodes.dagbft.links import Near, open_store, sockets, validator_mesh
from nodes.dagbft.messages import (
    BareCertificate,
    Certificate,
    CertReply,
    CertRequest,
    Header,
    Message,
    OthersBatch,
    OurBatch,
    Sealed,
    SnapshotOffer,
    SnapshotPart,
    SnapshotRequest,
    StateReply,
    StateRequest,
    Subscribe,
    TailRequest,
    Vote,
)
from nodes.dagbft.ports import PRIMARY_LOCAL_PORT, PRIMARY_PORT
from nodes.dagbft.primary.bare import Headers
from nodes.dagbft.primary.blocks import SafetyViolation
from nodes.dagbft.primary.client_endpoint import ClientEndpoint
from nodes.dagbft.primary.client_service import ClientService
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.effects import Effects
from nodes.dagbft.primary.execution import Core, Execution, Reply, block_of, new_ledger
from nodes.dagbft.primary.phases import Phases
from nodes.dagbft.primary.records import TABLES
from nodes.dagbft.primary.reporting import BatchSizes, EarlyResultSampler, Subscriptions, emit, tally
from nodes.dagbft.primary.safety import SafetyMonitor, write_evidence
from nodes.dagbft.primary.settings import PrimarySettings, names_of
from nodes.dagbft.uncertified.core import UncertifiedCore


class Primary(Node):
    """The primary of one validator."""

    protocol = "nodes.dagbft.protocol:PROTOCOL"
    tables: ClassVar[Sequence[str]] = TABLES  # of the store
    accepts: ClassVar[Sequence[type[Message]]] = (
        Header, Vote, Certificate, BareCertificate, CertRequest, CertReply, StateRequest, StateReply,
        TailRequest, SnapshotOffer, SnapshotRequest, SnapshotPart,
    )  # fmt: skip

    class Config(PrimarySettings):
        """The keys of `config`."""

    def __init__(self, config: PrimarySettings, context: NodeContext) -> None:
        super().__init__(config, context)
        self.near: Near = sockets()
        self._subscriptions = Subscriptions()
        self._sizes = BatchSizes()
        self._early_results = EarlyResultSampler()
        self._client_endpoint: ClientEndpoint | None = None

    async def setup(self) -> None:
        context, config = self.context, self.config
        names = names_of(config.validators, context)
        self._me, self._identity = names.index(context.name), Identity.of(context.seed, context.name)
        self._store = open_store(context, self.tables, config.durability)
        self._durable = Durable(self._store)
        closing = context.exit_stack
        closing.callback(self._durable.close)
        self._mesh = validator_mesh(
            context, self._identity, names, self._on_message, service="primary", port=PRIMARY_PORT,
            accepts=self.accepts,
        )  # fmt: skip
        closing.callback(self._mesh.close)
        self._local = self.near.server(
            context, self._on_local, service="primary", port=PRIMARY_LOCAL_PORT,
            accepts=(OurBatch, OthersBatch, Sealed, Subscribe),
        )  # fmt: skip
        closing.callback(self._local.close)
        self._headers = Headers(len(names))
        self._verifier = Verifier()
        self._roster = Roster.of(context.seed, names, workers=config.workers, run=run_of(context.store))
        service = self.new_client_service() if config.door else None
        self._client_endpoint = ClientEndpoint(context, service, self._durable) if service is not None else None
        self._begin()
        self._driver = Driver(self._core, context.now, self._carry_out)
        closing.callback(self._driver.close)
        await self._mesh.open()
        await self._local.open()
        if self._client_endpoint is not None:
            closing.callback(self._client_endpoint.close)
            await self._client_endpoint.open()

    def _begin(self) -> None:
        """Start from the store."""
        self._core = core = self.new_core(self.context.now())
        self._ledger = new_ledger(core)
        self._execution = Execution(core, self._ledger)
        if self._client_endpoint is not None:
            self._client_endpoint.service.follow(self._ledger)
        self._phases: Phases | None = None
        self._safety: SafetyMonitor | None = None
        if not isinstance(core, UncertifiedCore):
            for text in core.snapshots.damaged:
                self.context.emit("damaged", text=f"{text}; an older snapshot is used")
            self._phases = Phases(core, lambda: self._mesh.kept_bytes)
            self._safety = SafetyMonitor(self.context, core.consensus, self._ledger)
        self._ends = False

    def _begin_again(self) -> None:
        """Start again from another validator's snapshot, which has been stored in place of the own state."""
        core, ledger = self._core, self._ledger
        self._begin()
        self._core.rejected.update(core.rejected)
        self._core.counts.update(core.counts)
        self._core.counts["snapshots adopted"] += 1
        self._ledger.counts.take_over(ledger.counts)
        self._sizes = BatchSizes()
        self.context.emit("adopted", commits=self._ledger.commits)
        self._driver.drive(self._core)

    def new_core(self, now_s: float) -> Core:
        """The core that this process drives; if it is made before the run begins, the validator is new."""
        seed, roster = self.context.seed, self._roster
        config = self.config.core(seed, roster.committee.n)
        coin = self.config.new_coin(roster.committee, seed, self._me)
        return self.stand_in(PrimaryCore(
            self._me, roster, self._identity, self._verifier, config, coin, self._store, max(now_s, 0.0),
            genesis=now_s < 0,
        ))  # fmt: skip

    def stand_in(self, core: PrimaryCore) -> PrimaryCore:
        """The core to use; Byzantine validators wrap the correct core."""
        return core

    def new_client_service(self) -> ClientService:
        """The service for clients of any node; Byzantine validators replace it."""
        return ClientService(self._me, self._roster, self._identity)

    async def run(self) -> None:
        self._driver.changed()
        running = [self._mesh.run(), self._local.run(), self._durable.failed(), self._driver.failed]
        running += [self._client_endpoint.run()] if self._client_endpoint is not None else []
        try:
            await self.context.until_stopped(*running)
        finally:
            self.context.emit("tally", **self.tally())

    # Inputs

    def _on_message(self, peer: int, message: Message) -> None:
        whole, answer = self._headers.incoming(peer, message)
        if answer is not None:
            self._mesh.send(peer, answer)
        if whole is None or self._ends:  # messages lost here are sent again, as after a crash
            return
        try:
            self._core.on_message(peer, whole, self.context.now())
        except SafetyViolation as breach:
            write_evidence(self.context, breach)
            raise
        self._driver.changed()

    def _on_local(self, label: str, message: Message) -> None:
        if isinstance(message, Subscribe):
            self._subscriptions.subscribe(message.client, label)
        elif self._ends:
            pass  # the worker sends it again
        elif isinstance(message, OurBatch | OthersBatch) and label == f"worker-{message.worker}":
            shard = self._sizes.look_into(message.digest, message.body)
            replies = self._execution.on_batch(message, shard, self.context.now())
            self._durable.add([], partial(self._reply, replies))
            self._send_to_clients()
            self._driver.changed()
        elif isinstance(message, Sealed) and label == f"worker-{message.worker}":
            self._core.on_sealed(message.worker, message.round, message.inline, self.context.now())
            self._driver.changed()
        else:
            self._local.reject("misplaced", label)

    # Outputs

    def _carry_out(self) -> None:
        effects = self._core.take()
        if effects and not self._ends:
            self._ends = effects.again
            replies = self._execute(effects)
            if self._safety is not None:
                self._safety.look()
            self._early_results.sample(self.context, self._ledger)
            if self._phases is not None:
                self._sample_phases(self._phases, effects)
            self._durable.add(effects.persist, partial(self._send, effects, replies))
            self._send_to_clients()

    def _execute(self, effects: Effects) -> list[Reply]:
        """Pass effects to the ledger, and record the events."""
        replies = self._execution.play(effects)
        for header in effects.made:
            parents = members(block_of(self._core, header).parents)
            self.context.emit("header", round=header.round, parents=list(parents))
        for round in effects.advanced:
            self.context.emit("advance", round=round)
        for event in effects.events:
            emit(self.context, self._core, self._sizes, event)
        self._sizes.forget(effects.forget)
        return replies

    def _sample_phases(self, phases: Phases, effects: Effects) -> None:
        now_s = self.context.now()
        for name, value in (*phases.note(effects, now_s), *phases.waiting(now_s)):
            self.context.sample(name, value)

    def _send(self, effects: Effects, replies: list[Reply]) -> None:
        """Send all messages of the effects; the records are on disk by now."""
        self._core.archive.kept(effects.persist)
        self._headers.send(self._mesh, effects)
        for worker, order in effects.workers:
            self._local.send(f"worker-{worker}", order)
        self._reply(replies)
        if effects.again:
            self._begin_again()

    def _send_to_clients(self) -> None:
        """Send new results and answers to clients of any node."""
        if self._client_endpoint is not None:
            self._client_endpoint.send_pending()

    def _reply(self, replies: Sequence[Reply]) -> None:
        """Send results to the own clients whose transactions these are."""
        for label, reply in self._subscriptions.replies(replies):
            self._local.send(label, reply)

    def tally(self) -> dict[str, object]:
        """The counts of this primary."""
        links = self._mesh.counters()
        del links["rejected"]
        told = {"cpu_s": time.process_time(), **tally(self._core, self._ledger, self._verifier, self._mesh.rejected)}
        told |= {"certificates_asked_for": self._headers.asked}
        if self._client_endpoint is not None:
            told |= self._client_endpoint.tally()
        return {**links, "bytes": links["sent_bytes"], "store_commits": self._durable.commits, **told}
