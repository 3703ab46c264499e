"""The settings of a validator without certificates: rules, times and bounds. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.errors import Unfit
from nodes.dagbft.consensus.committee import Schedule
from nodes.dagbft.field_types import MOST_INLINE_BYTES


@dataclass(frozen=True, slots=True)
class UncertifiedConfig:
    """`schedule`, `leaders`, `look_back` and `inline_bytes` must be the same at all validators."""

    schedule: Schedule | None = None  # of each round's first leader; None: in turn from author 0
    leaders: int = 2  # leader slots of a round (Mysticeti's evaluation has two)
    look_back: int = 50  # rounds below the leader before, that a leader may still order
    keep: int = 58  # rounds below the last leader that are kept; never fewer than look_back + 8
    least_round_s: float = 0.02  # between two own blocks
    grace_s: float = 0.01  # wait for the remaining blocks after a quorum of blocks
    leader_timeout_s: float = 1.0  # the longest wait for the leaders of a round
    inline_bytes: int = 2000  # largest batch inside a block; equal on all validators
    seal_wait_s: float = 0.05  # the longest wait for the own workers to seal batches for a block
    retry_s: float = 1.0  # between requests for a missing item
    retry_peers: int = 3  # peers asked at once by each retry
    window: int = 100  # rounds: blocks further ahead than this are ignored
    most_parked: int = 64  # suspended blocks of one author that were not requested
    most_batches: int = 1 << 14  # batches that are held and not executed
    most_batch_bytes: int = 1 << 28
    most_answers: int = 4096  # blocks a second to one peer on request

    def __post_init__(self) -> None:
        for name in ("leaders", "retry_peers", "window", "most_parked", "most_batches"):
            if getattr(self, name) < 1:
                raise Unfit(f"{name} {getattr(self, name)}", "at least 1")
        for name in ("least_round_s", "grace_s", "leader_timeout_s", "seal_wait_s"):
            if not 0 <= getattr(self, name) <= 3600:
                raise Unfit(f"{name} {getattr(self, name)}", "0 to 3600 s")
        if not 0 <= self.inline_bytes <= MOST_INLINE_BYTES:
            raise Unfit(f"{self.inline_bytes} bytes inside a block", f"0 to {MOST_INLINE_BYTES}")
        if self.look_back < 2:
            raise Unfit(f"a look-back of {self.look_back} rounds", "at least 2")
        if self.retry_s <= 0:
            raise Unfit(f"retry {self.retry_s}", "more than 0 s")
