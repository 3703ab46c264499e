"""Relayers that attack, as node programs.

Events of `Attacker`: `attack` (`name`, `expected`, `found`: codespace and code, `log`, `right`) for each delivery that
it tried, and `attacks` (`played`, `right`) once all are over. Event of `Equivocator`: `equivocated` (`client`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from emulator.sdk.node import Node
from nodes.ibc.relayer.chain_driver import ChainDriver
from nodes.ibc.relayer.opening import ClientTerms
from nodes.xroute.adversary.attacker import Attacker as Core
from nodes.xroute.adversary.attacker import Target
from nodes.xroute.flooding.ads import EdgeAd, issued
from nodes.xroute.flooding.database import Entry
from nodes.xroute.flooding.wire import Flood, Flooded
from nodes.xroute.relayer.core import Settings
from nodes.xroute.relayer.process import Relayer, pair_of

__all__ = ["Attacker", "Equivocator"]


class Attacker(Node):
    """It tries forged deliveries of its own messages, one after the other."""

    protocol = "nodes.xroute.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        chains: tuple[str, ...] = ()  # nodes of all chains, forks among them
        opens: tuple[str, ...] = ()  # "a-0 b-0": pairs that it makes clients for
        source: str = ""  # nodes of chains: its messages go from this one …
        destination: str = ""  # … to this one
        fork: str = ""  # a chain with the chain id of the source
        fresh_s: Duration = 20.0  # what its policy allows states to be old
        late_s: Duration = 25.0  # after which one of its messages times out
        account: str = "attacker"
        port: int = 26657  # of the chains' RPC
        prefix: str = "cosmos"
        denom: str = "stake"
        stall_s: Duration = 2.0

    config: Config

    async def setup(self) -> None:
        config = self.config
        ends = {config.source, config.destination} | ({config.fork} if config.fork else set())
        if unknown := ends - {*config.chains}:
            raise Unfit(f"chains {', '.join(map(repr, sorted(unknown)))}", f"some of {', '.join(config.chains)}")
        self._chains: ChainDriver[Core] = ChainDriver(self.context, config.chains, config.port)
        self._pairs = tuple(pair_of(words, config.chains) for words in config.opens)

    async def run(self) -> None:
        config = self.config
        chains = await self._chains.settings((config.account,), config.prefix, config.denom, 0.0, 10.0)
        clients = ClientTerms(14 * 86_400.0, 21 * 86_400.0, 40.0)
        settings = Settings(chains, clients, self._pairs, stall_s=config.stall_s)
        target = Target(config.source, config.destination, config.fork, config.fresh_s, round(config.late_s))
        self._told = 0
        self._right = 0
        self._chains.start(lambda now_ns: Core(settings, now_ns, target), self._carry_out)
        await self.context.until_stopped(self._chains.failed, *self._chains.listening())

    def _carry_out(self, core: Core) -> None:
        for each in core.played:
            self._told += 1
            self._right += each.is_right
            self.context.emit(
                "attack", name=each.name, expected=each.expected, found=each.found, log=each.log, right=each.is_right
            )
        core.played.clear()
        for kind, text in core.notes:
            self.context.emit(kind, text=text)
        core.notes.clear()
        if core.done:
            core.done = False
            self.context.emit("attacks", played=self._told, right=self._right)
        self._chains.call(core.take())


class Equivocator(Relayer):
    """A relayer that is honest until it tells its first neighbour one thing of a client, and its last one another; it
    does so until it is slashed."""

    @dataclass(frozen=True, slots=True)
    class Config(Relayer.Config):
        equivocate_s: Duration = 20.0  # scenario time

    config: Config

    async def run(self) -> None:
        await self.context.until_stopped(super().run(), self._equivocate())

    async def _equivocate(self) -> None:
        await self.context.sleep_until(self.config.equivocate_s)
        core = self._chains.core
        while core is None or not core.network.own.edges or not self.config.neighbours:
            await self.context.sleep(0.1)
            core = self._chains.core
        edge = core.network.own.edges[0]
        ad = EdgeAd(edge.verifier, edge.tracked, edge.client, edge.counterparty, max_age_s=600)
        self.context.emit("equivocated", client=edge.client)
        while not self._stakes.is_slashed(self._key.public):
            now_ms = self._chains.now_ns() // 10**6
            for delay_s, neighbour in ((0, self.config.neighbours[0]), (3600, self.config.neighbours[-1])):
                said = issued(replace(ad, delay_s=delay_s), self._key, now_ms, now_ms)
                self._flooder.say(neighbour, Flood((Flooded(edge=said.data),)))
            await self.context.sleep(1.0)
        await self.context.stopping.wait()

    def _learnt(self, entry: Entry) -> None:
        """It accuses nobody."""
