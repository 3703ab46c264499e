"""A relayer of messages over several chains as a node program: it speaks CometBFT's RPC with the chains' nodes.

Events: `waits`, `stalled`, `rerouted`, `again`, `pruned` (each with `text`). Samples: `latency_s` (from the block that
a message was sent in to the one that settled it), and once a second `jobs`, `delivered`, `delivered_by_model` (of
these, in mode zk-model: nothing is proved), `settled`, `rerouted`, `names_proved` (where registries are known),
`client_updates_submitted_total` (key: HOST/CLIENT), `queries_total` (key: CHAIN/METHOD) and `tx_submitted_total` (key:
chain); beside those of the flooding.

Invariant: it keeps nothing on disk; killed and started again, it reads the chains from their first block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from emulator.sdk.node import Node
from nodes.ibc.relayer.chain_driver import ChainDriver
from nodes.ibc.relayer.opening import ClientTerms
from nodes.xroute.flooding.database import Entry, Evidence
from nodes.xroute.flooding.process import Flooder
from nodes.xroute.keys import Key
from nodes.xroute.names.labels import registries_of
from nodes.xroute.relayer.core import Relayer as Core
from nodes.xroute.relayer.core import Settings
from nodes.xroute.relayer.stakes import Stakes
from nodes.xroute.relayer.turns import Turns

__all__ = ["Relayer", "pair_of"]

_TALK_S = 5.0  # between advertisements


class Relayer(Node):
    """One relayer of chains that are nodes of the run."""

    protocol = "nodes.xroute.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        chains: tuple[str, ...] = ()  # node names
        registries: tuple[str, ...] = ()  # "cosmos names-0": zones of names, and which of the chains keeps each
        opens: tuple[str, ...] = ()  # "a-0 b-0": pairs that it makes clients for, where there are none
        accounts: tuple[str, ...] = ("relayer",)  # names; a key's secret is SHA-256 of it
        neighbours: tuple[str, ...] = ()  # nodes of relayers that it tells what it knows, and hears from
        relayers: tuple[str, ...] = ()  # nodes of all relayers, which take turns
        turn_s: Duration = 0.0  # how long a relayer leaves a message to the one whose turn comes before its own
        stake: int = 1000  # that it bonds on every chain: its word counts by that; 0: none
        model_key: str = ""  # of the oracle of mode zk-model, which is a model; "": it carries no such messages
        prove_s: Duration = 25.0  # that an object of mode zk-model takes to make, in the model
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
        self._chains: ChainDriver[Core] = ChainDriver(context, config.chains, config.port)
        self._registries = dict(registries_of(config.registries))
        if unknown := {*self._registries.values()} - {*config.chains}:
            raise Unfit(f"registries {', '.join(sorted(unknown))}", f"some of {', '.join(config.chains)}")
        self._pairs = tuple(pair_of(words, config.chains) for words in config.opens)
        self._key = Key.named(context.name)
        self._stakes = Stakes()
        self._flooder = Flooder(
            context, self._key, self._stakes.weights, config.neighbours, on_learnt=self._learnt, on_told=self._told
        )
        await self._flooder.open()

    async def run(self) -> None:
        settings = await self._settings()
        self._chains.start(lambda now_ns: Core(settings, now_ns, self._stakes), self._carry_out)
        talking = self._flooder.run(), self._talk()
        await self.context.until_stopped(self._chains.failed, self._report(), *talking, *self._chains.listening())

    async def _settings(self) -> Settings:
        """The settings, with the chains' ids, which the chains are asked for."""
        config = self.config
        chains = await self._chains.settings(
            config.accounts, config.prefix, config.denom, config.gas_price, config.confirm_s
        )
        clients = ClientTerms(config.trusting_s, config.unbonding_s, config.drift_s)
        name = self.context.name
        turns = Turns(name, sorted({*config.relayers, name}), round(config.turn_s * 1e9))
        return Settings(
            chains, clients, self._pairs, registries=self._registries, block_gas=config.block_gas, turns=turns,
            stall_s=config.stall_s, key=self._key, stake=config.stake, model_key=config.model_key.encode(),
            prove_s=config.prove_s,
        )  # fmt: skip

    def _learnt(self, entry: Entry) -> None:
        core = self._chains.core
        if core is not None and isinstance(entry, Evidence):
            core.accuse(entry.origin, entry.data)
            self._chains.changed()

    def _told(self, data: bytes) -> None:
        core = self._chains.core
        if core is not None:
            core.ballots.hear(data)
            self._chains.changed()

    def _carry_out(self, core: Core) -> None:
        """Tell what there is to tell, and make the calls."""
        for latency_s in core.latency_s:
            self.context.sample("latency_s", latency_s)
        core.latency_s.clear()
        for kind, text in core.notes:
            self.context.emit(kind, text=text)
        core.notes.clear()
        for data in core.ballots.take():
            self._flooder.tell(data)
        self._chains.call(core.take())

    async def _talk(self) -> None:
        """Tell other relayers what there is to tell, and take what they said into account."""
        while True:
            await self.context.sleep(_TALK_S)
            core = self._chains.core
            if core is not None and core.is_ready:
                for ad in core.advertised():
                    self._flooder.announce(ad)
                core.hear(self._flooder.database)

    async def _report(self) -> None:
        """Samples, once a second."""
        sample = self.context.sample
        while True:
            await self.context.sleep(1.0)
            core = self._chains.core
            assert core is not None
            sample("jobs", len(core.jobs))
            sample("delivered", core.jobs.delivered)
            if core.jobs.delivered_by_model:
                sample("delivered_by_model", core.jobs.delivered_by_model)
            sample("settled", core.jobs.settled)
            sample("rerouted", core.rerouted)
            if self._registries:
                sample("names_proved", core.names.proved)
            for (host, name), client in core.clients.known.items():
                sample("client_updates_submitted_total", client.updates, f"{host}/{name}")
            for chain, connection in self._chains.connections.items():
                for method, count in connection.requests.items():
                    sample("queries_total", count, f"{chain}/{method}")
                sample("tx_submitted_total", core.signers[chain].submitted, chain)


def pair_of(words: str, chains: Sequence[str]) -> tuple[str, str]:
    """Two chains of the relayer, as an entry of `opens` names them."""
    names = words.split()
    if len(names) != 2 or not set(names) <= set(chains):
        raise Unfit(f"opens {words!r}", f"two of {', '.join(chains)}")
    return names[0], names[1]
