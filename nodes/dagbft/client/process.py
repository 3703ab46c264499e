"""The client as a process: it sends to the worker of its own node and receives replies from the primary.

Samples, with the kind of transaction as key: `commit_latency_s`, `early_latency_s`, `spec_latency_s`, from the time at
which a transaction was due, and `link_s`, the mean time of a link of a chain. If proofs or reads are configured, the
samples of `client.auditor` too. Event at the end: `tally`, counts.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from math import inf

from emulator.model.units import Duration, Share, Size
from emulator.sdk.node import Node, NodeContext
from emulator.sdk.transport.inside import InsideLink
from emulator.sdk.transport.local import LocalLink
from nodes.dagbft.client.auditor import Auditor, AuditSettings
from nodes.dagbft.client.core import ClientConfig, ClientCore
from nodes.dagbft.client.load import LoadConfig
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.links import Near, sockets
from nodes.dagbft.messages import FinalReply, Message, SpecReply, Subscribe
from nodes.dagbft.ports import PRIMARY_LOCAL_PORT, WORKER_LOCAL_PORT
from nodes.dagbft.primary.settings import names_of

_SUBSCRIBE_S = 2.0  # between subscriptions: a restarted primary has lost its subscribers


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The settings of clients in a scenario."""

    validators: tuple[str, ...] = ()  # in the order of their numbers
    workers: int = 1
    rate: float = 100.0  # transactions a second of this client
    size_bytes: Size = 512.0
    start_s: Duration = 2.0
    stop_s: Duration = inf
    conflict: Share = 0.0
    cross_shard: Share = 0.0
    gamma: Share = 0.0
    lead_rounds: int = 2  # from an own block to the one that contains the transactions sent after it
    chains: int = 0
    chain_length: int = 10
    ahead: int = 8
    confirm: str = "early"
    most_outstanding: int = 50_000
    timeout_s: Duration = 60.0
    samples: float = 200.0  # transactions a second whose latencies are recorded
    audit: AuditSettings = field(default_factory=AuditSettings)

    def __post_init__(self) -> None:
        self.core()

    def core(self) -> ClientConfig:
        """The settings of the core."""
        load = LoadConfig(
            self.rate, int(self.size_bytes), self.start_s, self.stop_s, self.conflict, self.cross_shard, self.gamma,
            self.lead_rounds,
        )  # fmt: skip
        return ClientConfig(
            load, self.chains, self.chain_length, self.ahead, self.confirm, self.most_outstanding, self.timeout_s,
            self.samples,
        )  # fmt: skip


class Client(Node):
    """The client of one validator."""

    protocol = "nodes.dagbft.protocol:PROTOCOL"

    class Config(ClientSettings):
        """The keys of `config`."""

    def __init__(self, config: ClientSettings, context: NodeContext) -> None:
        super().__init__(config, context)
        self.near: Near = sockets()
        self._timer: asyncio.TimerHandle | None = None
        self._links: list[LocalLink[Message] | InsideLink[Message]] = []
        self._turn = 0
        self._auditor: Auditor | None = None

    async def setup(self) -> None:
        context, config = self.context, self.config
        names = names_of(config.validators, context)
        self._me = me = names.index(context.name)
        first = int(max(context.now(), 0.0) * 1000) << 32  # so that a client that was restarted repeats no identifier
        self._core = ClientCore(Committee(len(names)), me, me, config.core(), context.rng("load"), first)
        self._primary = self.near.link(
            context, self._on_reply, service="primary", label=context.program, port=PRIMARY_LOCAL_PORT,
            accepts=(SpecReply, FinalReply),
        )  # fmt: skip
        self._workers = [
            self.near.link(
                context, self._ignore, service=f"worker-{number}", label=context.program,
                port=WORKER_LOCAL_PORT + number, accepts=(),
            )
            for number in range(config.workers)
        ]  # fmt: skip
        self._links = [self._primary, *self._workers]
        if config.audit.enabled:
            self._auditor = Auditor(context, names, me, config.audit, config.stop_s)

    async def run(self) -> None:
        self._carry_out()
        running = [link.run() for link in self._links] + [self._subscribe()]
        if self._auditor is not None:
            running.append(self._auditor.run())
        try:
            await self.context.until_stopped(*running)
        finally:
            counts = {**self._core.counts, "outstanding": self._core.outstanding}
            if self._auditor is not None:
                counts |= self._auditor.counts()
            self.context.emit("tally", cpu_s=time.process_time(), counts=counts)

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for link in self._links:
            link.close()
        if self._auditor is not None:
            self._auditor.close()

    async def _subscribe(self) -> None:
        while True:
            self._primary.send("primary", Subscribe(self._me))
            await asyncio.sleep(_SUBSCRIBE_S)

    def _on_reply(self, service: str, message: Message) -> None:
        if isinstance(message, SpecReply | FinalReply):
            self._core.on_reply(message, self.context.now())
            self._carry_out()

    def _ignore(self, service: str, message: Message) -> None:
        """Workers send nothing to clients."""

    def _carry_out(self) -> None:
        """Send messages, record samples, and set the timer for the next deadline."""
        core, context = self._core, self.context
        if core.next_deadline_s() <= context.now():
            core.tick(context.now())
        sends, samples = core.take()
        for message in sends:
            if self._auditor is not None:
                self._auditor.sends(message.transaction)
            number = self._turn % len(self._workers)
            self._turn += 1
            if not self._workers[number].send(f"worker-{number}", message):
                core.counts["full"] += 1
        for sample in samples:
            context.sample(sample.name, sample.value_s, sample.kind)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due_s := core.next_deadline_s()) != inf:
            wait_s = max(0.0, due_s - context.now())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._carry_out)
