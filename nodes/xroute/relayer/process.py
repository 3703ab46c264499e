"""A relayer of messages over several chains as a node program: it speaks CometBFT's RPC with the chains' nodes.

Events: `waits`, `stalled`, `again`, `pruned` (each with `text`). Samples: `latency_s` (from the block that a message
was sent in to the one that settled it), and once a second `jobs`,
`delivered`, `settled`, `rerouted`, `client_updates_submitted_total` (key:
HOST/CLIENT), `queries_total` (key: CHAIN/METHOD) and `tx_submitted_total` (key: chain); beside those of the flooding.

Invariant: it keeps nothing on disk; killed and started again, it reads the chains from their first block.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from emulator.sdk.driver import Driver
from emulator.sdk.node import Node
from nodes.ibc.relayer.calls import Call, Unanswered
from nodes.ibc.relayer.core import ChainSettings
from nodes.ibc.relayer.opening import ClientTerms
from nodes.ibc.relayer.rpc import Connection, answered, chain_id_of
from nodes.ibc.relayer.signer import Terms
from nodes.xroute.flooding.process import Flooder
from nodes.xroute.keys import Key
from nodes.xroute.relayer.core import Relayer as Core
from nodes.xroute.relayer.core import Settings

__all__ = ["Relayer"]

_TALK_S = 5.0  # between advertisements


class Relayer(Node):
    """One relayer of chains that are nodes of the run."""

    protocol = "nodes.xroute.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        chains: tuple[str, ...] = ()  # node names
        opens: tuple[str, ...] = ()  # "a-0 b-0": pairs that it makes clients for, where there are none
        accounts: tuple[str, ...] = ("relayer",)  # names; a key's secret is SHA-256 of it
        neighbours: tuple[str, ...] = ()  # nodes of relayers that it tells what it knows, and hears from
        relayers: tuple[str, ...] = ()  # nodes of all relayers: what these say counts alike
        block_gas: int = 0  # the limit of the chains' blocks; 0: none
        port: int = 26657  # of the chains' RPC
        prefix: str = "cosmos"
        denom: str = "stake"
        gas_price: float = 0.0
        confirm_s: Duration = 3.0  # how long a transaction may take into a block
        stall_s: Duration = 2.0  # without a block, after which a chain counts as stalled
        trusting_s: Duration = 14 * 86_400.0  # of clients that it makes
        unbonding_s: Duration = 21 * 86_400.0
        drift_s: Duration = 40.0

    config: Config

    async def setup(self) -> None:
        config, context = self.config, self.context
        for name in config.chains:
            if name not in context.peers:
                raise Unfit(f"chain {name!r}", f"a node of the run: {', '.join(context.peers)}")
        self._pairs = tuple(_pair(words, config.chains) for words in config.opens)
        self._connections = {
            name: Connection(name, f"http://{context.peers[name].ipv4}:{config.port}", self._heard(name))
            for name in config.chains
        }
        for connection in self._connections.values():
            context.exit_stack.push_async_callback(connection.close)
        self._calls: set[asyncio.Task[None]] = set()
        self._core: Core | None = None
        self._stakes = {Key.named(name).public: 1 for name in {*config.relayers, *config.neighbours, context.name}}
        self._flooder = Flooder(context, Key.named(context.name), self._stakes, config.neighbours)
        await self._flooder.open()

    async def run(self) -> None:
        self._wall_ns = time.time_ns() - round(self.context.now() * 1e9)
        self._core = Core(await self._settings(), self._now_ns())
        self._driver = Driver(self, self.context.now, self._carry_out)
        self.context.exit_stack.callback(self._driver.close)
        self._driver.changed()
        listening = [connection.listen() for connection in self._connections.values()]
        talking = self._flooder.run(), self._talk()
        await self.context.until_stopped(self._driver.failed, self._report(), *talking, *listening)

    async def _settings(self) -> Settings:
        """The settings, with the chains' ids, which the chains are asked for."""
        config = self.config
        chains = []
        for name, connection in self._connections.items():
            chain_id = await chain_id_of(connection)
            terms = Terms(name, chain_id, config.prefix, config.denom, config.gas_price, config.confirm_s)
            chains.append(ChainSettings(name, terms, config.accounts))
        clients = ClientTerms(config.trusting_s, config.unbonding_s, config.drift_s)
        return Settings(tuple(chains), clients, self._pairs, block_gas=config.block_gas, stall_s=config.stall_s)

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
        """Tell what there is to tell, and make the calls."""
        assert self._core is not None
        for latency_s in self._core.latency_s:
            self.context.sample("latency_s", latency_s)
        self._core.latency_s.clear()
        for kind, text in self._core.notes:
            self.context.emit(kind, text=text)
        self._core.notes.clear()
        self._make(self._core.take())

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
            if not self._driver.failed.done():
                self._driver.failed.set_exception(error)

    async def _talk(self) -> None:
        """Tell other relayers what there is to tell, and take what they said into account."""
        while True:
            await self.context.sleep(_TALK_S)
            core = self._core
            if core is not None and core.is_ready:
                for ad in core.advertised():
                    self._flooder.announce(ad)
                core.hear(self._flooder.database, self._stakes)

    async def _report(self) -> None:
        """Samples, once a second."""
        sample = self.context.sample
        while True:
            await self.context.sleep(1.0)
            core = self._core
            assert core is not None
            sample("jobs", len(core.jobs))
            sample("delivered", core.jobs.delivered)
            sample("settled", core.jobs.settled)
            sample("rerouted", core.rerouted)
            for (host, name), client in core.rounds.clients.items():
                sample("client_updates_submitted_total", client.updates, f"{host}/{name}")
            for chain, connection in self._connections.items():
                for method, count in connection.requests.items():
                    sample("queries_total", count, f"{chain}/{method}")
                sample("tx_submitted_total", core.signers[chain].submitted, chain)


def _pair(words: str, chains: Sequence[str]) -> tuple[str, str]:
    """Two chains of the relayer, as an entry of `opens` names them."""
    names = words.split()
    if len(names) != 2 or not set(names) <= set(chains):
        raise Unfit(f"opens {words!r}", f"two of {', '.join(chains)}")
    return names[0], names[1]
