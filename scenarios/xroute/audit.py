"""The audit: every block of every chain is read at the end of a run, and each route is judged by its message's policy.

Events: `violation` (`message`, `reason`) for each message that was accepted against its policy, the first ones; `audit`
with counts of messages and times (`ledger`), `violations`, and `unread_blocks` for which the time did not suffice.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from emulator.model.units import Duration
from nodes.ibc.relayer.calls import Block, TransactionsAt, Unanswered
from nodes.xroute.relayer.network import Network
from nodes.xroute.routes.graph import Graph
from scenarios.ibc.asking import Asking
from scenarios.xroute.ledger import CARRIES, Ledger

__all__ = ["Audit"]

_PAUSE_S = 0.5
_LAST_READ_S = 1.0  # left, below which no further read is begun
_TOLD = 20  # violations


class Audit(Asking):
    """It reads from `at` on, until no message is on the way, or the time is over."""

    protocol = "nodes.xroute.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config(Asking.Config):
        chains: tuple[str, ...] = ()  # nodes of all chains
        registry: str = ""  # the one of them that keeps names; "": none does
        at_s: Duration = 40.0  # scenario time
        until_s: Duration = 58.0

    config: Config

    async def setup(self) -> None:
        self.connect(self.config.chains)

    async def run(self) -> None:
        await self.context.until_stopped(self._audit())

    async def _audit(self) -> None:
        await self.context.sleep_until(self.config.at_s)
        self._ledger = ledger = Ledger(await self._graph(), self.config.registry)
        acknowledged: set[str] = set()
        while True:
            before = ledger.acknowledged
            unread = await self.read_blocks(ledger.heights, self._left_s)
            if not unread:  # what was acknowledged on one chain had been delivered on the other one
                acknowledged = before
            settled = not ledger.pending and acknowledged == ledger.acknowledged
            if self._left_s <= _LAST_READ_S or (settled and not unread):
                break
            await self.context.sleep(_PAUSE_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._left_s)):
                ledger.learn(await self._graph())
        violations = list(ledger.violations())
        for each in violations[:_TOLD]:
            self.context.emit("violation", message=each.message, reason=each.reason)
        self.context.emit("audit", **ledger.figures(acknowledged), violations=len(violations), unread_blocks=unread)
        await self.context.stopping.wait()

    @property
    def _left_s(self) -> float:
        """Time that is left for reading."""
        return self.config.until_s - self.context.now()

    async def _graph(self) -> Graph:
        """The chains and clients, as the chains themselves say."""
        network = Network({name: await self.followed(name) for name in self.config.chains})
        while True:
            try:
                await self.carry_out(network.discover())
            except Unanswered:
                await self.context.sleep(_PAUSE_S)
            else:
                return network.own

    async def take(self, chain: str, block: Block) -> None:
        carries = any(event.type in CARRIES for result in block.results for event in result.events)
        transactions = (await self.ask(TransactionsAt(chain, block.height)))[0] if carries else ()
        self._ledger.read(chain, block, transactions)
