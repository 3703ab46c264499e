"""A whole validator in one process: primary, workers and client on one event loop, without sockets between them.

Each part is the ordinary program with its own context, so it has the store, random streams and records that it has as a
process. Invariant: links to other validators are the same; only messages between own parts take a shorter path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from emulator.sdk.node import Node, NodeContext
from emulator.sdk.transport.inside import Exchange
from nodes.dagbft.client.process import Client, ClientSettings
from nodes.dagbft.messages import Message
from nodes.dagbft.primary.process import Primary
from nodes.dagbft.primary.settings import PrimarySettings
from nodes.dagbft.worker.process import Worker, WorkerSettings

PART = "part"  # field of a tally: the program that it is of


@dataclass(frozen=True, slots=True)
class ColocatedSettings:
    """The settings of the parts, with the same validators. There is a client only if it has load."""

    validators: tuple[str, ...] = ()  # in the order of their numbers
    primary: PrimarySettings = field(default_factory=PrimarySettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    client: ClientSettings = field(default_factory=lambda: ClientSettings(rate=0.0))


class _Records:
    """Records of a part, written to those of the process. Only the primary records the processor's time."""

    def __init__(self, context: NodeContext, part: str) -> None:
        self._context = context
        self._part = part

    def event(self, t_s: float, kind: str, fields: dict[str, Any]) -> None:
        if kind == "tally":
            fields = {**fields, PART: self._part.partition("-")[0]}
            if not self._part.startswith("primary"):
                fields.pop("cpu_s", None)
        self._context.emit(kind, **fields)

    def sample(self, t_s: float, name: str, value: float, key: str) -> None:
        self._context.sample(name, value, key, t_s=t_s)


class Colocated(Node):
    """The programs of one validator."""

    protocol = "nodes.dagbft.protocol:PROTOCOL"

    class Config(ColocatedSettings):
        """The keys of `config`."""

    def __init__(self, config: ColocatedSettings, context: NodeContext) -> None:
        super().__init__(config, context)
        self._parts: list[Primary | Worker | Client] = []

    async def setup(self) -> None:
        exchange: Exchange[Message] = Exchange()
        for part in self._made():
            part.near = exchange
            self._parts.append(part)
            await part.setup()

    def _made(self) -> Iterator[Primary | Worker | Client]:
        config, names = self.config, self.config.validators
        yield Primary(replace(config.primary, validators=names), self._context("primary"))
        count = config.primary.workers
        for index in range(count):
            name = "worker" if count == 1 else f"worker-{index}"
            yield Worker(replace(config.worker, validators=names, index=index), self._context(name))
        if config.client.rate or config.client.chains:
            yield Client(replace(config.client, validators=names, workers=count), self._context("client"))

    def _context(self, program: str) -> NodeContext:
        """The context of a part: that of the process with another program name."""
        whole = self.context
        context = NodeContext(
            name=whole.name, program=program, seed=whole.seed, address=whole.address, peers=whole.peers,
            store=whole.store, clock=whole.clock, sink=_Records(whole, program), members=whole.members, log=whole.log,
            key_log=whole.key_log,
        )  # fmt: skip
        context.stopping, context.exit_stack = whole.stopping, whole.exit_stack
        return context

    async def run(self) -> None:
        tasks = [asyncio.ensure_future(part.run()) for part in self._parts]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()

    async def close(self) -> None:
        for part in self._parts:
            await part.close()
