"""A chain with the modules `xname` and `xroute`, as a node program: all else is as in `nodes.ibc.chain.process`."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from nodes.ibc.chain.genesis import Extension
from nodes.ibc.chain.process import Chain as IbcChain
from nodes.ibc.client.keeper import Clients
from nodes.xroute.keys import Key
from nodes.xroute.module.module import Xroute
from nodes.xroute.module.terms import Terms
from nodes.xroute.names.labels import registries_of
from nodes.xroute.names.registry import Registry, open_zone
from nodes.xroute.names.verifier import ListedRegistry, RegistryNames
from nodes.xroute.policy.parser import parse
from nodes.xroute.policy.terms import PolicyError
from nodes.xroute.proofs.names import NoNames
from nodes.xroute.proofs.transit import TransitPolicy, TransitRule

__all__ = ["Chain"]

_RULES = {"allow": TransitRule.ALLOW, "deny": TransitRule.DENY}


class Chain(IbcChain):
    """One chain that sends and takes messages over several hops."""

    protocol = "nodes.xroute.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config(IbcChain.Config):
        minimum: str = ""  # policy that transfers to this chain have to satisfy, whatever their sender's says
        transit: str = "allow"  # or deny: what the chain publishes of messages that pass over it
        least_stake: int = 1000  # of a relayer, in `denom`
        challenge_s: Duration = 10.0  # in which a quorum may be contradicted
        registries: tuple[str, ...] = ()  # "cosmos names-0": which node's chain keeps a zone; policies call it "cosmos"
        zones: tuple[str, ...] = ()  # whose names this chain keeps for anybody; the key of a zone's owner has its name
        model_key: str = ""  # of the oracle of mode zk-model, which is a model; "" where the mode is off

    config: Config
    _registries: tuple[ListedRegistry, ...] = ()

    async def setup(self) -> None:
        self._registries = tuple([await self._listed(*words) for words in registries_of(self.config.registries)])
        await super().setup()

    async def _listed(self, zone: str, node: str) -> ListedRegistry:
        """A registry by the first header that its node tells: the genesis of this chain has that as an anchor."""
        if node not in self.context.peers:
            raise Unfit(f"registry {node!r}", "a node of the run")
        from nodes.ibc.relayer.rpc import Connection  # here: scenarios are listed and checked without aiohttp, too
        from nodes.xroute.anchors import identity_at

        connection = Connection(node, f"http://{self.context.peers[node].ipv4}:{self.config.port}", lambda height: None)
        try:
            return ListedRegistry(zone, await identity_at(connection), frozenset({zone}))
        finally:
            await connection.close()

    def extensions(self) -> tuple[Extension, ...]:
        config = self.config
        if config.transit not in _RULES:
            raise Unfit(f"transit {config.transit!r}", f"one of {', '.join(_RULES)}")
        try:
            minimum = {"transfer": parse(config.minimum)} if config.minimum else {}
        except PolicyError as error:
            raise Unfit(f"minimum: {error}", "a policy") from None
        terms = Terms(
            config.denom,
            least_stake=config.least_stake,
            window_ns=round(2e9 * config.block_s),
            challenge_ns=round(1e9 * config.challenge_s),
            leave_ns=round(6e9 * config.challenge_s),  # a stake can be lost for as long as its quorum is contradicted
            minimum=minimum,
            transit=TransitPolicy(_RULES[config.transit]),
            names=RegistryNames(Clients(), self._registries) if self._registries else NoNames(),
            model_key=config.model_key.encode(),
        )
        zones = tuple(open_zone(name, Key.named(name).public) for name in config.zones)
        return (Registry(zones), Xroute(terms))
