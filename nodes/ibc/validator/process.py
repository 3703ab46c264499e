"""One validator of a chain as a node program: it orders with the others, makes the same blocks, votes, and answers RPC.

Events: those of a chain's process (`block`, and `restored` where an earlier process had made blocks), `accused`
(`height`, `validator`: its address) for a vote for another block, and at the end `tally`: counts.

Invariant: a block is shown once the order that it follows from is on disk, and a vote once it is itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from functools import partial

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from emulator.sdk.driver import Driver
from emulator.sdk.durable import Durable
from emulator.sdk.store import Store
from nodes.dagbft.field_types import MOST_TRANSACTION_BYTES
from nodes.dagbft.primary.settings import names_of
from nodes.ibc.chain.genesis import Settings, chain_of, genesis_form
from nodes.ibc.chain.process import Chain, pace_of
from nodes.ibc.chain.results import TxResult
from nodes.ibc.heap import collect_rarely
from nodes.ibc.validator.core import TABLE, Effects, Said, ValidatorCore
from nodes.ibc.validator.ordering import TABLES, Ordering, primary_config

__all__ = ["Validator"]

_ENVELOPE_BYTES = 16  # of an item around its transaction
_POWER = 10  # of each validator, where none is given


class Validator(Chain):
    """A validator; those of one chain name each other, and have equal settings but for faults."""

    @dataclass(frozen=True, slots=True)
    class Config(Chain.Config):
        validators: tuple[str, ...] = ()  # their nodes, in the order of `powers`
        powers: tuple[int, ...] = ()  # 10 each where none are given
        round_s: Duration = 0.1  # of the order: a validator says something new this often
        leader_timeout_s: Duration = 0.3  # how long a round of the order waits for a validator that does not answer

    config: Config

    async def setup(self) -> None:
        collect_rarely()
        config, context = self.config, self.context
        names = names_of(config.validators, context)
        if config.equivocate_height:
            raise Unfit("equivocate_height at validators of their own", "none: each signs with its own key alone")
        settings = self.settings(config.chain_id or f"{names[0]}-1")
        self._chain = chain_of(settings, 0)
        self._settings = settings
        store = Store(context.store / "validator", [*TABLES, TABLE], sync=False)
        self._durable = Durable(store)
        context.exit_stack.callback(self._durable.close)
        self._place, self._store = names.index(context.name), store
        self._ordering = Ordering(
            context, names, store, self._durable, primary_config(config.round_s, config.leader_timeout_s),
            self._on_ordered,
        )  # fmt: skip
        self._unsaid: deque[bytes] = deque()  # items that the order has no room for yet
        self._servers = []
        self._begun = asyncio.Event()

    def settings(self, chain_id: str) -> Settings:
        settings = super().settings(chain_id)
        count = len(self.config.validators)
        powers = self.config.powers or (_POWER,) * count
        if len(powers) != count:
            raise Unfit(f"{len(powers)} powers", f"one for each of {count} validators")
        limits = replace(settings.limits, tx_bytes=MOST_TRANSACTION_BYTES - _ENVELOPE_BYTES)
        return replace(settings, powers=powers, limits=limits)

    async def run(self) -> None:
        await self.context.until_stopped(self._live(), self._durable.failed())

    async def _live(self) -> None:
        await self._begin()
        try:
            await self.context.until_stopped(self._ordering.run(), self._driver.failed, self._serve_once_begun())
        finally:
            refused = dict(self._core.refused)
            self.context.emit("tally", height=self._chain.height, refused=refused, **self._ordering.counts())

    async def _begin(self) -> None:
        """Start from the store."""
        context = self.context
        self._core = ValidatorCore(
            self._chain, self._place, self._store, pace_of(self.config), self._now_ns, context.now()
        )
        self._driver = Driver(self._core, context.now, self._carry_out)
        context.exit_stack.callback(self._driver.close)
        self._replaying = True
        await self._ordering.begin()
        self._replaying = False
        if self._chain.height:
            self._core.effects.entries.clear()  # they were told of before
            context.emit("restored", height=self._chain.height)
            self._begun.set()
        self._driver.changed()

    async def _serve_once_begun(self) -> None:
        """Answer RPC from the first block on: clients expect one."""
        await self._begun.wait()
        server, self.port = await self._serve(self.config.port, genesis_form(self._settings, self._chain), {})
        self._servers.append(server)
        await self.context.stopping.wait()

    def submit(self, data: bytes) -> TxResult:
        result = self._core.submit(data)
        self._driver.changed()
        return result

    def _say(self) -> None:
        """Put into the order what is on disk, as far as there is room; there is more once something was ordered."""
        while self._unsaid and self._ordering.put(self._unsaid[0]):
            self._unsaid.popleft()

    def _on_ordered(self, commits: list[list[Said]]) -> None:
        self._core.on_ordered(commits, self.context.now())
        self._say()
        if not self._replaying:
            self._driver.changed()

    def _carry_out(self) -> None:
        effects = self._core.take()
        if effects:
            self._durable.add(effects.persist, partial(self._kept, effects))

    def _kept(self, effects: Effects) -> None:
        self._unsaid.extend(effects.order)
        self._say()
        for entry in effects.entries:
            self._begun.set()
            self._publish(entry)
            self.context.sample("mempool_txs", len(self._chain.mempool))
        for vote in effects.accused:
            self.context.emit("accused", height=vote.height, validator=vote.validator_address.hex())
