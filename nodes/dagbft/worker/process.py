"""A worker as a process: sockets, timers and the store around a `WorkerCore`.

Event at the end: `tally`, counts. Invariant: a batch is sent after it is on disk.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from functools import partial

from emulator.model.errors import Unfit
from emulator.model.units import Duration, Size
from emulator.sdk.driver import Driver
from emulator.sdk.durable import Durable
from emulator.sdk.node import Node, NodeContext
from nodes.dagbft.consensus.committee import Committee
from nodes.dagbft.execution.transactions import home_shard
from nodes.dagbft.identity import Identity
from nodes.dagbft.links import Near, open_store, sockets, validator_mesh
from nodes.dagbft.messages import (
    Batch,
    BatchReply,
    BatchRequest,
    Certified,
    Cleanup,
    Message,
    Seal,
    SubmitTx,
    Synchronize,
)
from nodes.dagbft.ports import PRIMARY_LOCAL_PORT, WORKER_LOCAL_PORT, WORKER_PORT
from nodes.dagbft.primary.effects import ALL, Effects
from nodes.dagbft.primary.settings import DURABILITIES, names_of
from nodes.dagbft.worker.batch_store import TABLES
from nodes.dagbft.worker.core import WorkerConfig, WorkerCore


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The settings of workers in a scenario."""

    validators: tuple[str, ...] = ()  # in the order of their numbers
    index: int = 0  # of this worker among those of its validator
    batch_size_bytes: Size = 500_000.0
    batch_delay_s: Duration = 0.1
    retry_s: Duration = 1.0
    most_open: int = 64
    keep_rounds: int = 500
    durability: str = "process"

    def __post_init__(self) -> None:
        if not 0 <= self.index < 64:
            raise Unfit(f"worker {self.index}", "0 to 63")
        if self.durability not in DURABILITIES:
            raise Unfit(f"durability {self.durability!r}", f"one of {', '.join(DURABILITIES)}")
        self.core()

    def core(self) -> WorkerConfig:
        """The settings of the core."""
        return WorkerConfig(
            int(self.batch_size_bytes), self.batch_delay_s, self.retry_s, most_open=self.most_open,
            keep_rounds=self.keep_rounds,
        )  # fmt: skip


class Worker(Node):
    """One worker of one validator."""

    protocol = "nodes.dagbft.protocol:PROTOCOL"

    class Config(WorkerSettings):
        """The keys of `config`."""

    def __init__(self, config: WorkerSettings, context: NodeContext) -> None:
        super().__init__(config, context)
        self.near: Near = sockets()

    async def setup(self) -> None:
        context, config = self.context, self.config
        names = names_of(config.validators, context)
        label = f"worker-{config.index}"
        store = open_store(context, TABLES, config.durability)
        self._durable = Durable(store)
        closing = context.exit_stack
        closing.callback(self._durable.close)
        committee = Committee(len(names))
        self._core = WorkerCore(names.index(context.name), config.index, committee, config.core(), store, home_shard)
        self._driver = Driver(self._core, context.now, self._carry_out)
        closing.callback(self._driver.close)
        self._mesh = validator_mesh(
            context, Identity.of(context.seed, context.name), names, self._on_message, service=label,
            port=WORKER_PORT + config.index, accepts=(Batch, BatchRequest, BatchReply),
        )  # fmt: skip
        closing.callback(self._mesh.close)
        self._clients = self.near.server(
            context, self._on_client, service=label, port=WORKER_LOCAL_PORT + config.index, accepts=(SubmitTx,)
        )
        closing.callback(self._clients.close)
        self._primary = self.near.link(
            context, self._on_primary, service="primary", label=label, port=PRIMARY_LOCAL_PORT,
            accepts=(Synchronize, Cleanup, Seal, Certified),
        )  # fmt: skip
        closing.callback(self._primary.close)
        await self._mesh.open()
        await self._clients.open()

    async def run(self) -> None:
        self._driver.changed()
        try:
            await self.context.until_stopped(
                self._mesh.run(), self._clients.run(), self._primary.run(), self._durable.failed(), self._driver.failed
            )
        finally:
            self.context.emit("tally", **self.tally())

    def _on_message(self, peer: int, message: Message) -> None:
        self._core.on_message(peer, message, self.context.now())
        self._driver.changed()

    def _on_client(self, label: str, message: Message) -> None:
        self._core.on_client(message, self.context.now())
        self._driver.changed()

    def _on_primary(self, service: str, message: Message) -> None:
        self._core.on_primary(message, self.context.now())
        self._driver.changed()

    def _carry_out(self) -> None:
        effects = self._core.take()
        if effects:
            self._durable.add(effects.persist, partial(self._send, effects))

    def _send(self, effects: Effects) -> None:
        self._core.batch_store.kept(effects.persist)
        for receiver, message in effects.send:
            if receiver == ALL:
                self._mesh.broadcast(message)
            else:
                self._mesh.send(receiver, message)
        for message in effects.primary:
            self._primary.send("primary", message)

    def tally(self) -> dict[str, object]:
        """The counts of this worker."""
        rejected: Counter[str] = Counter()
        for (reason, _), count in [*self._core.rejected.items(), *self._mesh.rejected.items()]:
            rejected[reason] += count
        return {
            "bytes": self._mesh.counters()["sent_bytes"],
            "cpu_s": time.process_time(),
            "batches": self._core.counts["batches"],
            "store_commits": self._durable.commits,
            **{name: value for name, value in self._mesh.counters().items() if name != "rejected"},
            "rejected": dict(rejected),
            "counts": dict(self._core.counts),
        }
