"""A program that tells a client the other block of a height at which its chain's validators signed two."""

from __future__ import annotations

import time
from dataclasses import dataclass
from dataclasses import replace as changed

from nodes.ibc.chain.bech32 import encode
from nodes.ibc.chain.keys import AccountKey
from nodes.ibc.chain.transactions import signed_transaction
from nodes.ibc.comet.commits import SignatureCache
from nodes.ibc.proto.cosmos import Fee
from nodes.ibc.relayer.calls import Broadcast, StatusOf
from nodes.ibc.relayer.clients import Client
from nodes.ibc.relayer.clock import Clock
from nodes.ibc.relayer.rpc import Connection
from scenarios.ibc.ends import Ends

_GAS = 5_000_000


class Forger(Ends):
    """It acts on the chain at its path's first end, with the account of bob, which nobody else uses."""

    @dataclass(frozen=True, slots=True)
    class Config(Ends.Config):
        height: int = 0  # at which the chain at the path's second end has two blocks
        fork_port: int = 26667  # where that chain shows the other one

    config: Config

    async def run(self) -> None:
        await self.context.until_stopped(self._forge())

    async def _forge(self) -> None:
        here, there = await self.find(self.paths[0])
        fork = f"http://{self.context.peers[there.chain].ipv4}:{self.config.fork_port}"
        self.connections[there.chain] = Connection(there.chain, fork, lambda height: None)
        self.context.exit_stack.push_async_callback(self.connections[there.chain].close)
        while (await self.ask(StatusOf(there.chain)))[0].height <= self.config.height:
            await self.context.sleep(0.2)
        client = Client(here.chain, here.client, there.chain, Clock(time.time_ns()), SignatureCache())
        await self.carry_out(client.load())
        (status,) = await self.ask(StatusOf(here.chain))
        bob = AccountKey.named("bob")
        messages = [
            changed(message, signer=encode("cosmos", bob.address))  # type: ignore[type-var]
            for message in await self.carry_out(client.updates_to(self.config.height))
        ]
        data = signed_transaction(bob, messages, status.chain_id, 1, 0, Fee((), _GAS))
        (admission,) = await self.ask(Broadcast(here.chain, data))
        self.context.emit("forged", code=admission.code, log=admission.log)
        await self.context.stopping.wait()
