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
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from emulator.model.units import Duration
from emulator.sdk.durable import Durable
from emulator.sdk.node import Node
from emulator.sdk.store import Store
from nodes.ibc.heap import collect_rarely
from nodes.ibc.relayer.ask import COMMANDS, SOCKET
from nodes.ibc.relayer.book import TABLES
from nodes.ibc.relayer.chain_driver import ChainDriver
from nodes.ibc.relayer.control import reply
from nodes.ibc.relayer.core import Relayer as Core
from nodes.ibc.relayer.core import Settings
from nodes.ibc.relayer.metrics import Reading, page, readings
from nodes.ibc.relayer.opening import ClientTerms
from nodes.ibc.relayer.paths import read
from nodes.ibc.relayer.rpc import Telemetry

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
        names = dict.fromkeys(name for path in paths for name in (path.a, path.b))
        self._chains: ChainDriver[Core] = ChainDriver(context, names, config.port)
        self._store = Store(context.store / "relayer", TABLES, sync=False)
        self._durable = Durable(self._store)
        context.exit_stack.callback(self._durable.close)
        server = await asyncio.start_unix_server(self._ordered, SOCKET, limit=_LONGEST_ORDER)
        context.exit_stack.callback(server.close)
        if config.metrics_port:
            telemetry = Telemetry(self._page)
            context.exit_stack.push_async_callback(telemetry.close)
            await telemetry.listen(dict.fromkeys((context.address.ipv4, "127.0.0.1")), config.metrics_port)

    async def run(self) -> None:
        settings = await self._settings()
        self._chains.start(lambda now_ns: Core(settings, self._store, now_ns), self._carry_out)
        failed = self._chains.failed, self._durable.failed()
        await self.context.until_stopped(*failed, self._report(), *self._chains.listening())

    async def _settings(self) -> Settings:
        """The settings, with the chains' ids, which the chains are asked for."""
        config = self.config
        chains = await self._chains.settings(
            config.accounts, config.prefix, config.denom, config.gas_price, config.confirm_s
        )
        clients = ClientTerms(config.trusting_s, config.unbonding_s, config.drift_s)
        return Settings(chains, tuple(map(read, config.paths)), clients, config.opens, config.clear_blocks)

    def _carry_out(self, core: Core) -> None:
        """Keep what is to be kept, then make the calls."""
        records, calls = core.book.take(), core.take()
        for relayed in core.relayed:
            if relayed.sent_ns:
                late_s = (self._chains.now_ns() - relayed.sent_ns) / 1e9
                self.context.sample("timed_out" if relayed.timed_out else "latency_s", late_s)
        core.relayed.clear()
        for kind, text in core.notes:
            self.context.emit(kind, text=text)
        core.notes.clear()
        self._durable.add(records, lambda: self._chains.call(calls))

    async def _report(self) -> None:
        """Samples, once a second."""
        while True:
            await self.context.sleep(1.0)
            assert self._chains.core is not None
            for reading in self._readings():
                self.context.sample(reading.name, reading.value, reading.key)
            for name, value, key in self._chains.core.meter.take():
                self.context.sample(name, value, key)

    def _readings(self) -> Iterator[Reading]:
        if self._chains.core is None:
            return iter(())
        connections = self._chains.connections.items()
        queries = {(name, kind): count for name, each in connections for kind, count in each.requests.items()}
        return readings(self._chains.core, queries, {name: each.reconnects for name, each in connections})

    def _page(self) -> str:
        """The metrics for Prometheus; none before the chains are reached."""
        return page(self._chains.core, self._readings()) if self._chains.core is not None else ""

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
        if self._chains.core is None:
            return False, "the relayer has not reached its chains yet"
        try:
            return reply(self._chains.core, line)
        except Exception as error:
            self._chains.fail(error)
            return False, f"the relayer ends: {error!r}"
        finally:
            self._chains.changed()
