"""Driving a core that asks chains, from a process: its calls go out by RPC, answers and new heights come back to it.

Invariant: an error of the core ends the process (`failed`); a call without an answer is `Unanswered` to the core.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any, Generic, TypeVar

from emulator.model.errors import Unfit
from emulator.sdk.driver import Driver
from emulator.sdk.node import NodeContext
from nodes.ibc.relayer.calls import Call, Unanswered
from nodes.ibc.relayer.chain_core import ChainCore
from nodes.ibc.relayer.core import ChainSettings
from nodes.ibc.relayer.rpc import Connection, answered, chain_id_of
from nodes.ibc.relayer.signer import Terms

__all__ = ["ChainDriver"]


C = TypeVar("C", bound=ChainCore)


class ChainDriver(Generic[C]):
    """Connections to chains that are nodes of the run, and once it is started a core. Needs a running loop."""

    def __init__(self, context: NodeContext, chains: Iterable[str], port: int) -> None:
        """Unfit where a chain is no node of the run."""
        self.core: C | None = None
        self.connections: dict[str, Connection] = {}
        self._context = context
        self._calls: set[asyncio.Task[None]] = set()
        for name in chains:
            if name not in context.peers:
                raise Unfit(f"chain {name!r}", f"a node of the run: {', '.join(context.peers)}")
            url = f"http://{context.peers[name].ipv4}:{port}"
            self.connections[name] = Connection(name, url, self._heard(name))
            context.exit_stack.push_async_callback(self.connections[name].close)

    async def settings(
        self, accounts: tuple[str, ...], prefix: str, denom: str, gas_price: float, confirm_s: float
    ) -> tuple[ChainSettings, ...]:
        """Those of each chain, with its id, which it is asked for until it answers."""
        found = []
        for name, connection in self.connections.items():
            terms = Terms(name, await chain_id_of(connection), prefix, denom, gas_price, confirm_s)
            found.append(ChainSettings(name, terms, accounts))
        return tuple(found)

    def start(self, make_core: Callable[[int], C], carry_out: Callable[[C], None]) -> None:
        """Drive a core, which is made with the time of the machine's clock."""
        self._wall_ns = time.time_ns() - round(self._context.now() * 1e9)
        self.core = core = make_core(self.now_ns())
        self._driver = Driver(self, self._context.now, lambda: carry_out(core))
        self._context.exit_stack.callback(self._driver.close)
        self._driver.changed()

    @property
    def failed(self) -> asyncio.Future[None]:
        """Ends with the error of the core."""
        return self._driver.failed

    def listening(self) -> list[Any]:
        """A coroutine for each chain that waits for its blocks."""
        return [connection.listen() for connection in self.connections.values()]

    def changed(self) -> None:
        """Carry out what the core wants, once in this turn of the loop."""
        self._driver.changed()

    def fail(self, error: Exception) -> None:
        """End the process with this error."""
        if not self._driver.failed.done():
            self._driver.failed.set_exception(error)

    def now_ns(self) -> int:
        return self._wall_ns + round(self._context.now() * 1e9)

    def call(self, calls: Sequence[tuple[int, tuple[Call, ...]]]) -> None:
        """Make calls of the core, each group at once, and bring the answers to it."""
        for ticket, each in calls:
            task = asyncio.ensure_future(self._call(ticket, each))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _call(self, ticket: int, calls: tuple[Call, ...]) -> None:
        assert self.core is not None
        answers: list[object] | Unanswered
        try:
            answers = await answered(self.connections, calls)
        except Unanswered as failure:
            answers = failure
        try:
            self.core.clock.tell(self.now_ns())
            self.core.answer(ticket, answers)
            self.changed()
        except Exception as error:
            self.fail(error)

    def _heard(self, chain: str) -> Callable[[int], None]:
        def heard(height: int) -> None:
            if self.core is not None:
                self.core.clock.tell(self.now_ns())
                self.core.announce(chain, height)
                self.changed()

        return heard

    # What `Driver` asks of time

    def tick(self, now_s: float) -> None:
        assert self.core is not None
        self.core.tick(self._wall_ns + round(now_s * 1e9))

    def next_deadline_s(self) -> float:
        assert self.core is not None
        due_ns = self.core.next_deadline_ns
        return inf if due_ns == inf else (due_ns - self._wall_ns) / 1e9
