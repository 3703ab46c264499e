"""The validator without certificates as a process: a primary with another core, between the same workers and clients.

Events, samples and tally are a primary's, without `early` and without phases; the tally's counts also say how many
leader slots were `skipped`, and how many were decided by an anchor (`indirect`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

from emulator.model.errors import Unfit
from emulator.model.units import Duration, Size
from nodes.dagbft.consensus.committee import Hashed, Schedule, Turns
from nodes.dagbft.messages import BlockReply, BlockRequest, Header, TailRequest
from nodes.dagbft.primary.process import Primary
from nodes.dagbft.primary.settings import DURABILITIES, LEADERS
from nodes.dagbft.uncertified.config import UncertifiedConfig
from nodes.dagbft.uncertified.core import UncertifiedCore
from nodes.dagbft.uncertified.records import TABLES


@dataclass(frozen=True, slots=True)
class UncertifiedSettings:
    """The settings in a scenario. All keys but the names have a default."""

    validators: tuple[str, ...] = ()  # in the order of their numbers
    workers: int = 1  # of each validator
    leaders: str = "round-robin"
    leader_slots: int = 2  # of a round
    look_back: int = 50
    gc_depth: int = 58
    least_round_s: Duration = 0.02
    grace_s: Duration = 0.01
    leader_timeout_s: Duration = 1.0
    retry_s: Duration = 1.0
    inline_size_bytes: Size = 2000.0  # of the batch inside a block, at most
    durability: str = "process"
    door: bool = False  # whether clients of any node may connect, for signed results and reads

    def __post_init__(self) -> None:
        for name, allowed in (("leaders", LEADERS), ("durability", DURABILITIES)):
            if (found := getattr(self, name)) not in allowed:
                raise Unfit(f"{name} {found!r}", f"one of {', '.join(allowed)}")
        if not 1 <= self.workers <= 64:
            raise Unfit(f"{self.workers} workers", "1 to 64")
        self.uncertified(0, 4)

    def uncertified(self, seed: int, n: int) -> UncertifiedConfig:
        """The settings of a core in a committee of n."""
        schedule: Schedule = Hashed(n, seed) if self.leaders == "hashed" else Turns(range(n))
        return UncertifiedConfig(
            schedule, self.leader_slots, self.look_back, self.gc_depth, self.least_round_s, self.grace_s,
            self.leader_timeout_s, int(self.inline_size_bytes), retry_s=self.retry_s,
        )  # fmt: skip


class UncertifiedPrimary(Primary):
    """One validator, but for its workers."""

    tables: ClassVar = TABLES
    accepts: ClassVar = (Header, BlockRequest, BlockReply, TailRequest)

    class Config(UncertifiedSettings):
        """The keys of `config`."""

    def new_core(self, now_s: float) -> UncertifiedCore:
        config = cast(UncertifiedSettings, self.config).uncertified(self.context.seed, self._roster.committee.n)
        return UncertifiedCore(
            self._me, self._roster, self._identity, self._verifier, config, self._store, max(now_s, 0.0),
            genesis=now_s < 0,
        )  # fmt: skip

    def tally(self) -> dict[str, object]:
        consensus = cast(UncertifiedCore, self._core).consensus
        self._core.counts.update(skipped=consensus.skipped, indirect=consensus.indirect)
        return super().tally()
