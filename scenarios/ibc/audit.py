"""The audit: every block of every chain is read at the end of a run, and escrow accounts are compared with vouchers.

Events: `escrow` (`end`, `token`, `held`, `vouchers`, `in_flight`) for each account that does not hold what it must;
`audit` with counts of packets (`ledger`), `escrows` that were compared, `escrow_errors`, and `unread_blocks` that the
time did not suffice for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from emulator.model.units import Duration
from nodes.ibc.relayer.calls import BlockAt, StatusOf
from scenarios.ibc.ends import Ends
from scenarios.ibc.ledger import Holding, Ledger, Name

_BATCH = 10  # blocks that a chain is asked for at once
_PAUSE_S = 0.5
_COMPARING_S = 2.0  # before `until`, from when on no more blocks are read


class Audit(Ends):
    """It reads from `at` on, until no packet is on the way, or the time is over."""

    @dataclass(frozen=True, slots=True)
    class Config(Ends.Config):
        at_s: Duration = 40.0  # scenario time
        until_s: Duration = 58.0

    config: Config

    async def run(self) -> None:
        await self.context.until_stopped(self._audit())

    async def _audit(self) -> None:
        self._ledger = ledger = Ledger([await self.find(path) for path in self.paths])  # channels may close later
        await self.context.sleep_until(self.config.at_s)
        acknowledged: set[Name] = set()
        while True:
            before = ledger.acknowledged
            unread = await self._read()
            if not unread:  # what was acknowledged on one chain had been received on the other one
                acknowledged = before
            if self._over or not (unread or ledger.pending or acknowledged != ledger.acknowledged):
                break
            await self.context.sleep(_PAUSE_S)
        holdings = list(ledger.holdings())
        right = await asyncio.gather(*map(self._is_right, holdings))
        self.context.emit(
            "audit",
            **ledger.figures(acknowledged),
            unread_blocks=unread,
            escrows=len(right),
            escrow_errors=right.count(False),
        )
        await self.context.stopping.wait()

    @property
    def _over(self) -> bool:
        return self.context.now() > self.config.until_s - _COMPARING_S

    async def _read(self) -> int:
        """Read the blocks that all chains have now; how many of them are left unread as the time is over."""
        return sum(await asyncio.gather(*map(self._read_chain, self.connections)))

    async def _read_chain(self, chain: str) -> int:
        (status,) = await self.ask(StatusOf(chain))
        while (read := self._ledger.heights[chain]) < status.height and not self._over:
            heights = range(read + 1, min(read + _BATCH, status.height) + 1)
            for block in await self.ask(*(BlockAt(chain, height) for height in heights)):
                self._ledger.read(chain, block)
        return int(status.height) - self._ledger.heights[chain]

    async def _is_right(self, holding: Holding) -> bool:
        """Whether an escrow account holds what it must, at the heights that were read to."""
        answers = [(await self.ask(call))[0] for call in holding.amounts(self._ledger.heights)]
        held, vouchers = (int(answer.value or 0) for answer in answers)
        if held == vouchers + holding.in_flight:
            return True
        amounts = {"held": held, "vouchers": vouchers, "in_flight": holding.in_flight}
        self.context.emit("escrow", end=holding.end.name, token=holding.token.path, **amounts)
        return False
