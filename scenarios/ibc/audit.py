"""The audit: every block of every chain is read at the end of a run, and escrow accounts are compared with vouchers.

Events: `escrow` (`end`, `token`, `held`, `vouchers`, `in_flight`) for each account that does not hold what it must;
`audit` with counts of packets (`ledger`), `escrows` that were compared, `escrow_errors`, and `unread_blocks` and
`unread_escrows` for which the time did not suffice.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from emulator.model.units import Duration
from nodes.ibc.relayer.calls import Block
from scenarios.ibc.ends import Ends
from scenarios.ibc.ledger import Holding, Ledger, Name

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
            unread = await self.read_blocks(ledger.heights, self._left_s)
            if not unread:  # what was acknowledged on one chain had been received on the other one
                acknowledged = before
            settled = not ledger.pending and acknowledged == ledger.acknowledged
            if self._left_s <= 0 or (settled and not unread):
                break
            await self.context.sleep(_PAUSE_S)
        holdings = list(ledger.holdings())
        right: list[bool] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(_COMPARING_S + max(0.0, self._left_s)), asyncio.TaskGroup() as group:
                for holding in holdings:
                    group.create_task(self._compare(holding, right))
        self.context.emit(
            "audit",
            **ledger.figures(acknowledged),
            unread_blocks=unread,
            unread_escrows=len(holdings) - len(right),
            escrows=len(right),
            escrow_errors=right.count(False),
        )
        await self.context.stopping.wait()

    @property
    def _left_s(self) -> float:
        """Time that is left for reading."""
        return self.config.until_s - _COMPARING_S - self.context.now()

    async def take(self, chain: str, block: Block) -> None:
        self._ledger.read(chain, block)

    async def _compare(self, holding: Holding, right: list[bool]) -> None:
        """Add whether an escrow account holds what it must, at the heights that were read to."""
        answers = [(await self.ask(call))[0] for call in holding.amounts(self._ledger.heights)]
        held, vouchers = (int(answer.value or 0) for answer in answers)
        right.append(held == vouchers + holding.in_flight)
        if not right[-1]:
            amounts = {"held": held, "vouchers": vouchers, "in_flight": holding.in_flight}
            self.context.emit("escrow", end=holding.end.name, token=holding.token.path, **amounts)
