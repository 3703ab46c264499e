"""A relayer as a node program: it speaks CometBFT's RPC with the chains' nodes, and keeps what it knows on disk.

Events: `path`, `refresh`, `close`, `recover`, `watch`, `misbehaviour`, `pruned` (each with `text`). Samples:
`latency_s` (from the block that a packet was sent in to the relayer's sight of its settlement), `timed_out` (the same
of packets that timed out), `stage_s` (key: stage, see `lanes.Stages`), and all that `metrics` names, of
which what does not belong to a transaction comes once a second.

Invariant: a call is made only once all that it rests on is kept on disk.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from emulator.sdk.driver import Driver
from emulator.sdk.durable import Durable
from emulator.sdk.node import Node
from emulator.sdk.store import Store
from nodes.ibc.heap import collect_rarely
from nodes.ibc.relayer.ask import COMMANDS, SOCKET
from nodes.ibc.relayer.book import TABLES
from nodes.ibc.relayer.calls import Call, Unanswered
from nodes.ibc.relayer.control import reply
from nodes.ibc.relayer.core import ChainSettings, Settings
from nodes.ibc.relayer.core import Relayer as Core
from nodes.ibc.relayer.metrics import Reading, page, readings
from nodes.ibc.relayer.opening import ClientTerms
from nodes.ibc.relayer.paths import read
from nodes.ibc.relayer.rpc import Connection, Telemetry, answered, chain_id_of
from nodes.ibc.relayer.signer import Terms

__all__ = ["Relayer"]

_LONGEST_ORDER = 4096  # bytes
_ORDER_S = 5.0  # for it to come


class Relayer(Node):
    """One relayer between chains that are nodes of the run."""

    protocol = "nodes.ibc.protocol:PROTOCOL"
    commands = COMMANDS

    @dataclass(frozen=True, slots=True)
    class Config:
        paths: tuple[str, ...] = ()  # "a-0 b-0", "a-0 b-0 v2", "a-0 b-0 v1 transfer"
        accounts: tuple[str, ...] = ("relayer",)  # names; a key's secret is SHA-256 of it
        opens: bool = True  # makes paths that are not there
        port: int = 26657  # of the chains' RPC
        metrics_port: int = 3001  # where it serves its metrics to Prometheus; 0: nowhere
        prefix: str = "cosmos"
        denom: str = "stake"
        gas_price: float = 0.0
        confirm_s: Duration = 30.0  # how long a transaction may take into a block
        clear_blocks: int = 100
        trusting_s: Duration = 14 * 86_400.0  # of clients that it makes
        unbonding_s: Duration = 21 * 86_400.0
        drift_s: Duration = 40.0

    config: Config

    async def setup(self) -> None:
        collect_rarely()
        config, context = self.config, self.context
        paths = tuple(map(read, config.paths))
        names = tuple(dict.fromkeys(name for path in paths for name in (path.a, path.b)))
        for name in names:
            if name not in context.peers:
                raise Unfit(f"chain {name!r} of a path", f"a node of the run: {', '.join(context.peers)}")
        self._connections = {
            name: Connection(name, f"http://{context.peers[name].ipv4}:{config.port}", self._heard(name))
            for name in names
        }
        for connection in self._connections.values():
            context.exit_stack.push_async_callback(connection.close)
        self._store = Store(context.store / "relayer", TABLES, sync=False)
        self._durable = Durable(self._store)
        context.exit_stack.callback(self._durable.close)
        self._calls: set[asyncio.Task[None]] = set()
        self._core: Core | None = None
        server = await asyncio.start_unix_server(self._ordered, SOCKET, limit=_LONGEST_ORDER)
        context.exit_stack.callback(server.close)
        if config.metrics_port:
            telemetry = Telemetry(self._page)
            context.exit_stack.push_async_callback(telemetry.close)
            await telemetry.listen(dict.fromkeys((context.address.ipv4, "127.0.0.1")), config.metrics_port)

    async def run(self) -> None:
        self._wall_ns = time.time_ns() - round(self.context.now() * 1e9)
        self._core = Core(await self._settings(), self._store, self._now_ns())
        self._driver = Driver(self, self.context.now, self._carry_out)
        self.context.exit_stack.callback(self._driver.close)
        self._driver.changed()
        listening = [connection.listen() for connection in self._connections.values()]
        await self.context.until_stopped(self._driver.failed, self._durable.failed(), self._report(), *listening)

    async def _settings(self) -> Settings:
        """The settings, with the chains' ids, which the chains are asked for."""
        config = self.config
        chains = []
        for name, connection in self._connections.items():
            chain_id = await chain_id_of(connection)
            terms = Terms(name, chain_id, config.prefix, config.denom, config.gas_price, config.confirm_s)
            chains.append(ChainSettings(name, terms, config.accounts))
        clients = ClientTerms(config.trusting_s, config.unbonding_s, config.drift_s)
        return Settings(tuple(chains), tuple(map(read, config.paths)), clients, config.opens, config.clear_blocks)

    def tick(self, now_s: float) -> None:
        assert self._core is not None
        self._core.tick(self._wall_ns + round(now_s * 1e9))

    def next_deadline_s(self) -> float:
        assert self._core is not None
        due_ns = self._core.next_deadline_ns
        return inf if due_ns == inf else (due_ns - self._wall_ns) / 1e9

    def _now_ns(self) -> int:
        return self._wall_ns + round(self.context.now() * 1e9)

    def _heard(self, chain: str) -> Callable[[int], None]:
        def heard(height: int) -> None:
            if self._core is not None:
                self._core.clock.tell(self._now_ns())
                self._core.announce(chain, height)
                self._driver.changed()

        return heard

    def _carry_out(self) -> None:
        """Keep what is to be kept, then make the calls."""
        assert self._core is not None
        records, calls = self._core.take()
        for relayed in self._core.relayed:
            if relayed.sent_ns:
                late_s = (self._now_ns() - relayed.sent_ns) / 1e9
                self.context.sample("timed_out" if relayed.timed_out else "latency_s", late_s)
        self._core.relayed.clear()
        for kind, text in self._core.notes:
            self.context.emit(kind, text=text)
        self._core.notes.clear()
        self._durable.add(records, lambda: self._make(calls))

    def _make(self, calls: Sequence[tuple[int, tuple[Call, ...]]]) -> None:
        for ticket, each in calls:
            task = asyncio.ensure_future(self._call(ticket, each))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _call(self, ticket: int, calls: tuple[Call, ...]) -> None:
        assert self._core is not None
        answers: list[object] | Unanswered
        try:
            answers = await answered(self._connections, calls)
        except Unanswered as failure:
            answers = failure
        try:
            self._core.clock.tell(self._now_ns())
            self._core.answer(ticket, answers)
            self._driver.changed()
        except Exception as error:
            self._fail(error)

    async def _report(self) -> None:
        """Samples, once a second."""
        while True:
            await self.context.sleep(1.0)
            assert self._core is not None
            for reading in self._readings():
                self.context.sample(reading.name, reading.value, reading.key)
            for name, value, key in self._core.meter.take():
                self.context.sample(name, value, key)

    def _readings(self) -> Iterator[Reading]:
        if self._core is None:
            return iter(())
        connections = self._connections.items()
        queries = {(name, kind): count for name, each in connections for kind, count in each.requests.items()}
        return readings(self._core, queries, {name: each.reconnects for name, each in connections})

    def _page(self) -> str:
        """The metrics for Prometheus; none before the chains are reached."""
        return page(self._core, self._readings()) if self._core is not None else ""

    async def _ordered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One order of the control socket: a JSON list of words in, [understood, text] out."""
        with suppress(OSError):  # who asked has gone, or said nothing in time
            try:
                line = await asyncio.wait_for(reader.readline(), _ORDER_S)
            except ValueError:
                reply = False, f"an order of more than {_LONGEST_ORDER} bytes"
            else:
                reply = self._reply(line)
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        writer.close()

    def _reply(self, line: bytes) -> tuple[bool, str]:
        if self._core is None:
            return False, "the relayer has not reached its chains yet"
        try:
            return reply(self._core, line)
        except Exception as error:
            self._fail(error)
            return False, f"the relayer ends: {error!r}"
        finally:
            self._driver.changed()

    def _fail(self, error: Exception) -> None:
        """End the program with this error."""
        if not self._driver.failed.done():
            self._driver.failed.set_exception(error)
