"""Byzantine validators as processes: the ordinary programs around a Byzantine core.

Invariant: sockets, store and ledger are those of a correct validator; only messages of the core are false. The records
of a twin are kept in memory only.
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
    """The settings of a primary, and its behaviour."""

    behaviour: str = "equivocate"
    delay_s: Duration = 0.8  # of headers and certificates of slow ones
    swap_s: Duration = 5.0  # between moves of peers from one twin to the other

    def __post_init__(self) -> None:
        PrimarySettings.__post_init__(self)
        if self.behaviour not in BEHAVIOURS:
            raise Unfit(f"behaviour {self.behaviour!r}", f"one of {', '.join(BEHAVIOURS)}")


class ByzantinePrimary(Primary):
    """A primary with a Byzantine core."""

    class Config(ByzantineSettings):
        """The keys of `config`."""

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
        """The counts of a primary, and its number of false messages."""
        return {**super().tally(), "lies": getattr(self._core, "lies", 0)}


class WithholdingWorker(Worker):
    """A worker that sends its batches to no other worker, but has its primary propose them."""

    async def setup(self) -> None:
        await super().setup()
        self._core = turn_worker("withhold-batches", self._core, self._core._n)
