"""The owners of chains' names as a node program: it speaks CometBFT's RPC with a registry, and with the chains named.

Events: `waits` (`text`), `names` (`registered`, `renewed`; when one of these is complete).
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from math import inf

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from emulator.sdk.node import Node
from nodes.ibc.comet.hashes import header_hash
from nodes.ibc.core.paths import STORE
from nodes.ibc.relayer.chain_driver import ChainDriver
from nodes.ibc.relayer.rpc import Connection
from nodes.xroute.anchors import anchor_of
from nodes.xroute.identity import ANCHOR_HEIGHT
from nodes.xroute.names.labels import checked_name
from nodes.xroute.names.record import Kind, Record
from nodes.xroute.names.registrar import Registrar as Core

__all__ = ["Registrar"]


class Registrar(Node):
    """It registers names of chains, and renews them once."""

    protocol = "nodes.xroute.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        registry: str = ""  # node
        names: tuple[str, ...] = ()  # "a.cosmos a-0": a name, and a node of the chain that it is to stand for
        ttl_s: int = 60
        renew_s: Duration = inf  # scenario time from which on next versions are written
        endpoint: str = "renewed"  # that these name
        port: int = 26657
        prefix: str = "cosmos"
        denom: str = "stake"
        gas_price: float = 0.0
        confirm_s: Duration = 3.0  # how long a transaction may take into a block

    config: Config

    async def setup(self) -> None:
        config = self.config
        self._driver: ChainDriver[Core] = ChainDriver(self.context, (config.registry,), config.port)
        self._named = [_named(words) for words in config.names]
        if unknown := {node for _, node in self._named} - {*self.context.peers}:
            raise Unfit(f"chains {', '.join(sorted(unknown))}", "nodes of the run")
        self._told = (0, 0)

    async def run(self) -> None:
        records = {name: await self._record(name, node) for name, node in self._named}
        config, driver = self.config, self._driver
        terms = await driver.settings((), config.prefix, config.denom, config.gas_price, config.confirm_s)
        left_ns = 1e9 * (config.renew_s - self.context.now())  # until the names are renewed
        driver.start(
            lambda now_ns: Core(terms[0], records, (config.endpoint,), now_ns + left_ns, now_ns), self._carry_out
        )
        await self.context.until_stopped(driver.failed, *driver.listening())

    async def _record(self, name: str, node: str) -> Record:
        """What is to be said of a chain, by the first header that its node tells."""
        url = f"http://{self.context.peers[node].ipv4}:{self.config.port}"
        async with AsyncExitStack() as stack:
            connection = Connection(node, url, lambda height: None)
            stack.push_async_callback(connection.close)
            anchor = await anchor_of(connection)
        return Record(
            name, Kind.CHAIN, ttl_s=self.config.ttl_s, chain_id=anchor.chain_id, anchor_height=ANCHOR_HEIGHT,
            anchor_hash=header_hash(anchor), client_type="07-tendermint", merkle_prefix=(STORE,),
        )  # fmt: skip

    def _carry_out(self, core: Core) -> None:
        for text in core.notes:
            self.context.emit("waits", text=text)
        core.notes.clear()
        count, done = len(self._named), (core.registered, core.renewed)
        if done != self._told and {*done} <= {0, count}:
            self.context.emit("names", registered=core.registered, renewed=core.renewed)
            self._told = done
        self._driver.call(core.take())


def _named(words: str) -> tuple[str, str]:
    name, _, node = words.partition(" ")
    if not node:
        raise Unfit(f"names {words!r}", "NAME NODE, such as a.cosmos a-0")
    return checked_name(name), node
