"""The settings of primaries in a scenario, and the settings of their cores that follow."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.errors import EmulationError, Unfit
from emulator.model.units import Duration, Size
from emulator.sdk.node import NodeContext
from nodes.dagbft.consensus.coin import SeededCoin
from nodes.dagbft.consensus.committee import Committee, Hashed, Schedule, Turns
from nodes.dagbft.consensus.core import Rules
from nodes.dagbft.consensus.rule import rule_class
from nodes.dagbft.consensus.threshold import ThresholdCoin
from nodes.dagbft.primary.coin import Coin, Seeded
from nodes.dagbft.primary.config import PrimaryConfig

COINS = ("seeded", "threshold")
LEADERS = ("round-robin", "hashed")
DURABILITIES = ("process", "disk")


@dataclass(frozen=True, slots=True)
class PrimarySettings:
    """All keys but the names have a default. `durability`: whether records survive the end of the process or a loss of
    power; an emulated crash is the first, which does not make all validators wait for one real disk.
    Workers must keep batches (their `keep_rounds`) for 3 x `snapshot_rounds` + `gc_depth` rounds at least.
    """

    validators: tuple[str, ...] = ()  # in the order of their numbers
    workers: int = 1  # of each validator
    protocol: str = "asynchronous"
    order: str = "causal"
    early: bool = True
    coin: str = "seeded"
    leaders: str = "round-robin"
    look_back: int = 50
    gc_depth: int = 58
    header_batches: int = 32
    header_delay_s: Duration = 0.1
    inline_size_bytes: Size = 2000.0  # of the batch inside a header, at most
    leader_timeout_s: Duration = 1.0
    grace_s: Duration = 0.1
    retry_s: Duration = 1.0
    durability: str = "process"
    snapshot_rounds: int = 128
    door: bool = False  # whether clients of any node may connect, for signed results and reads

    def __post_init__(self) -> None:
        for name, allowed in (("coin", COINS), ("leaders", LEADERS), ("durability", DURABILITIES)):
            if (found := getattr(self, name)) not in allowed:
                raise Unfit(f"{name} {found!r}", f"one of {', '.join(allowed)}")
        if not 1 <= self.workers <= 64:
            raise Unfit(f"{self.workers} workers", "1 to 64")
        if self.look_back < 2:
            raise Unfit(f"a look-back of {self.look_back} rounds", "at least 2")
        self.core(0, 4)

    def names(self, context: NodeContext) -> list[str]:
        """The names of all validators. EmulationError if this node is none, or one is not in the run."""
        return names_of(self.validators, context)

    def core(self, seed: int, n: int) -> PrimaryConfig:
        """The settings of a core in a committee of n."""
        schedule: Schedule = Hashed(n, seed) if self.leaders == "hashed" else Turns(range(n))
        rules = Rules(self.protocol, schedule, self.order, self.look_back, self.early, self.gc_depth)
        return PrimaryConfig(
            rules, self.header_batches, self.header_delay_s, self.leader_timeout_s, self.grace_s, retry_s=self.retry_s,
            inline_bytes=int(self.inline_size_bytes), snapshot_rounds=self.snapshot_rounds,
        )  # fmt: skip

    def new_coin(self, committee: Committee, seed: int, me: int) -> Coin | None:
        """A new coin; None if the protocol has none."""
        if not rule_class(self.protocol).needs_coin:
            return None
        if self.coin == "threshold":
            return ThresholdCoin(committee, seed, me)
        return Seeded(SeededCoin(committee, seed))


def names_of(validators: tuple[str, ...], context: NodeContext) -> list[str]:
    """The names of all validators, checked against the run."""
    names = list(validators)
    if context.name not in names:
        raise EmulationError(f"{context.name} is no validator; validators are {', '.join(names) or 'not named'}")
    if absent := [name for name in names if name != context.name and name not in context.peers]:
        raise EmulationError(f"{len(absent)} validators are not in this run: {', '.join(absent[:5])}")
    return names
