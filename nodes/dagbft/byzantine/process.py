"""Byzantine validators as processes: the ordinary programs, around a core that lies.

Invariant: sockets, store and ledger are those of an honest validator; only what the core says is false. What a twin
keeps is kept in memory alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.errors import Unfit
from emulator.model.units import Duration
from emulator.sdk.disk import MemoryDisk
from nodes.dagbft.byzantine import BEHAVIOURS, client_service_of, turn, turn_worker
from nodes.dagbft.primary.client_service import ClientService
from nodes.dagbft.primary.core import PrimaryCore
from nodes.dagbft.primary.process import Primary
from nodes.dagbft.primary.settings import PrimarySettings
from nodes.dagbft.worker.process import Worker


@dataclass(frozen=True, slots=True)
class ByzantineSettings(PrimarySettings):
    """Those of a primary, and how it behaves."""

    behaviour: str = "equivocate"
    delay_s: Duration = 0.8  # by which slow ones are late
    swap_s: Duration = 5.0  # after which peers change over from one twin to the other

    def __post_init__(self) -> None:
        PrimarySettings.__post_init__(self)
        if self.behaviour not in BEHAVIOURS:
            raise Unfit(f"behaviour {self.behaviour!r}", f"one of {', '.join(BEHAVIOURS)}")


class ByzantinePrimary(Primary):
    """A primary that lies."""

    class Config(ByzantineSettings):
        """What `config` may say."""

    config: ByzantineSettings

    def stand_in(self, core: PrimaryCore) -> PrimaryCore:
        config, context = self.config, self.context

        def again() -> PrimaryCore:
            coin = config.new_coin(core.roster.committee, context.seed, core.me)
            settings, now_s = config.core(context.seed, core.roster.committee.n), max(context.now(), 0.0)
            return PrimaryCore(core.me, core.roster, core._signer, self._verifier, settings, coin, MemoryDisk(), now_s)

        return turn(config.behaviour, core, again, delay_s=config.delay_s, swap_s=config.swap_s)

    def new_client_service(self) -> ClientService:
        return client_service_of(self.config.behaviour)(self._me, self._roster, self._identity)

    def tally(self) -> dict[str, object]:
        """That of a primary, and how often it has lied."""
        return {**super().tally(), "lies": getattr(self._core, "lies", 0)}


class WithholdingWorker(Worker):
    """A worker that shows its batches to nobody, and has its primary propose them."""

    async def setup(self) -> None:
        await super().setup()
        self._core = turn_worker("withhold-batches", self._core, self._core._n)
