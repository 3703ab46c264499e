"""A chain as a node program: it makes a block in each interval, and answers CometBFT's RPC on the node's address.

Events: `block` (`chain`, `height`, `asked_s`: the interval of blocks that it is to keep, `txs`, `failed`, `panics`:
those that ran into a fault of this program, `gas`, and `settled`: packets that came back acknowledged or timed out),
`restored` (`height`: what a process that was killed had made), `equivocation` (`height`). Samples: `block_work_s` (time
that a block took to make), `mempool_txs`.

Invariant: a block is kept on disk before anybody hears of it, so a process that is killed goes on where it was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from emulator.model.errors import PlatformError, Unfit
from emulator.model.units import Duration, Size
from emulator.sdk.disk import Record
from emulator.sdk.node import Node
from emulator.sdk.store import Store
from nodes.ibc.chain.ante import Fees
from nodes.ibc.chain.blocks import Block
from nodes.ibc.chain.chain import Limits
from nodes.ibc.chain.consensus import Churn
from nodes.ibc.chain.genesis import Extension, Settings, address_of, chain_of, funded, genesis_form, queries_of
from nodes.ibc.chain.ledger import Entry
from nodes.ibc.chain.pace import Pace, Spell
from nodes.ibc.chain.results import TxResult
from nodes.ibc.chain.rpc import Methods
from nodes.ibc.heap import collect_rarely
from nodes.ibc.proto.comet import Commit

if TYPE_CHECKING:
    from nodes.ibc.chain.server import Server

__all__ = ["Chain", "pace_of"]

_HEIGHT_BYTES = 8
_GENESIS = b"time"
_SETTLED = ("acknowledge_packet", "timeout_packet")


class Chain(Node):
    """One chain, all of whose validators sign in this process."""

    protocol = "nodes.ibc.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        chain_id: str = ""  # "NODE-1" where none is given
        port: int = 26657
        block_s: Duration = 1.0
        prefix: str = "cosmos"  # of addresses
        denom: str = "stake"
        accounts: tuple[str, ...] = ("alice", "bob", "relayer")  # names (a key's secret is SHA-256 of it) or addresses
        amount: int = 1_000_000_000_000  # that each of them has
        gas_price: float = 0.0  # least fee for a unit of gas
        authority: str = ""  # account that may recover clients, as governance would; "": nobody
        powers: tuple[int, ...] = (10, 10, 10, 10)  # of the validators
        store: str = "iavl"  # or "simple"
        block_size_bytes: Size = 4 << 20  # at most
        block_gas: int = -1  # -1: no limit
        mempool_txs: int = 5000
        keep_blocks: int = 0  # blocks and versions of the state that are kept; 0: all
        request_rate: float = 0.0  # requests a second that one client may make; 0: no limit
        churn_blocks: int = 0  # validators are replaced after so many blocks; 0: never
        churned: int = 1  # how many
        halt_s: Duration = inf  # from when on no block is made …
        halt_for_s: Duration = inf  # … and how long
        slow_s: Duration = inf  # from when on blocks take longer …
        slow_for_s: Duration = inf
        slow_factor: float = 10.0
        clock_ahead_s: Duration = 0.0  # of the true time
        clock_behind_s: Duration = 0.0
        equivocate_height: int = 0  # at this height validators sign another block, too; 0: never
        fork_port: int = 26667  # where a node answers that shows the other block

    config: Config

    async def setup(self) -> None:
        collect_rarely()
        config, context = self.config, self.context
        settings = self.settings(config.chain_id or f"{context.name}-1")
        self._pace = pace_of(config)
        self._store = Store(context.store / "chain", ["genesis", "blocks"], sync=False)
        context.exit_stack.callback(self._store.close)
        genesis_ns = self._genesis_time_ns()
        self._chain = chain_of(settings, genesis_ns)
        self._restore()
        self._forks: dict[int, Entry] = {}
        genesis = genesis_form(settings, self._chain)
        server, self.port = await self._serve(config.port, genesis, {})
        self._servers = [server]
        if config.equivocate_height:
            server, self.fork_port = await self._serve(config.fork_port, genesis, self._forks)
            self._servers.append(server)
        if not self._chain.height:
            self._make()  # clients expect a block

    def settings(self, chain_id: str) -> Settings:
        """The chain that the scenario asks for."""
        config = self.config
        return Settings(
            chain_id=chain_id,
            prefix=config.prefix,
            fees=Fees(config.denom, config.gas_price),
            balances=funded(config.accounts, config.prefix, {config.denom: config.amount}),
            powers=config.powers,
            churn=Churn(config.churn_blocks, config.churned),
            limits=Limits(int(config.block_size_bytes), config.block_gas, config.mempool_txs),
            store=config.store,
            keep_blocks=config.keep_blocks,
            extensions=self.extensions(),
            authority=address_of(config.authority, config.prefix) if config.authority else "",
        )

    def extensions(self) -> tuple[Extension, ...]:
        """Modules beside those of the bank and of IBC, for programs that stand on this one."""
        return ()

    async def run(self) -> None:
        await self.context.until_stopped(self._blocks())

    async def _blocks(self) -> None:
        """Make blocks at the chain's pace."""
        last_s = self.context.now()
        while True:
            due_s = self._pace.next_s(last_s)
            if due_s == inf:
                await self.context.stopping.wait()
                return
            await self.context.sleep_until(due_s)
            last_s = max(due_s, self.context.now() - self.config.block_s)  # what is late by a block is not made up for
            self._make()

    def _make(self) -> None:
        begin_s = self.context.now()
        self.context.sample("mempool_txs", len(self._chain.mempool))
        entry = self._chain.produce(self._now_ns())
        record = entry.block.encode(), entry.commit.encode()
        self._store.apply([Record("blocks", _key(entry.block.height), len(record[0]).to_bytes(8) + b"".join(record))])
        if entry.block.height == self.config.equivocate_height:
            self._forks[entry.block.height] = self._chain.fork(entry)
            self.context.emit("equivocation", height=entry.block.height)
        self._publish(entry)
        self.context.sample("block_work_s", self.context.now() - begin_s)

    def _publish(self, entry: Entry) -> None:
        """Tell everybody of a block."""
        for server in self._servers:
            server.publish(entry)
        self.context.emit(
            "block",
            chain=self._chain.app.chain_id,
            height=entry.block.height,
            asked_s=self.config.block_s,
            txs=len(entry.results),
            failed=sum(result.code != 0 for result in entry.results),
            panics=sum(result.panicked for result in entry.results),
            gas=sum(result.gas_used for result in entry.results),
            settled=sum(event.type in _SETTLED for result in entry.results for event in result.events),
        )

    def _restore(self) -> None:
        """Run the blocks again that an earlier process of this node made."""
        for _, value in self._store.items("blocks"):
            size = int.from_bytes(value[:8])
            self._chain.restore(Block.decode(value[8 : 8 + size]), Commit.decode(value[8 + size :]))
        if self._chain.height:
            self.context.emit("restored", height=self._chain.height)

    def _genesis_time_ns(self) -> int:
        kept = self._store.get("genesis", _GENESIS)
        if kept is not None:
            return int.from_bytes(kept)
        now_ns = self._now_ns()
        self._store.apply([Record("genesis", _GENESIS, now_ns.to_bytes(8))])
        return now_ns

    def _now_ns(self) -> int:
        """The time of day as this chain's validators have it."""
        return time.time_ns() + round((self.config.clock_ahead_s - self.config.clock_behind_s) * 1e9)

    def submit(self, data: bytes) -> TxResult:
        """Check a transaction that a client sends; where the code is 0 it waits for a block."""
        return self._chain.submit(data)

    async def _serve(self, port: int, genesis: dict[str, object], forks: dict[int, Entry]) -> tuple[Server, int]:
        try:
            from nodes.ibc.chain.server import Server  # here: scenarios are listed and checked without aiohttp, too
        except ModuleNotFoundError as error:
            raise PlatformError(f"the RPC of a chain needs {error.name}: pip install 'skyloom[ibc]'") from None
        address = self.context.address.ipv4
        methods = Methods(
            self._chain,
            queries_of(self._chain, self.config.denom),
            self.context.name,
            f"tcp://{address}:{port}",
            genesis,
            forks,
            self.submit,
        )
        server = Server(methods, self.context.now, self.config.request_rate)
        self.context.exit_stack.push_async_callback(server.close)
        for host in dict.fromkeys((address, "127.0.0.1")):
            port = await server.listen(host, port)
        return server, port


def pace_of(config: Chain.Config) -> Pace:
    """The pace that a scenario asks for. Unfit where there is none."""
    if not 0 < config.block_s < inf:
        raise Unfit(f"block interval {config.block_s} s", "a time above 0")
    halts = [Spell(config.halt_s, config.halt_for_s)] if config.halt_s < inf else []
    slow = [Spell(config.slow_s, config.slow_for_s, config.slow_factor)] if config.slow_s < inf else []
    return Pace(config.block_s, (*halts, *slow))


def _key(height: int) -> bytes:
    return height.to_bytes(_HEIGHT_BYTES, "big")
