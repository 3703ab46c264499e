"""The settings of a primary: sizes, times and bounds. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.model.errors import Unfit
from nodes.dagbft.consensus.core import Rules
from nodes.dagbft.field_types import MOST_INLINE_BYTES


@dataclass(frozen=True, slots=True)
class PrimaryConfig:
    """The defaults are those of the public prototypes, with a leader timeout for emulated runs."""

    rules: Rules = field(default_factory=Rules)
    header_batches: int = 32  # waiting batches with which a header is made at once
    header_delay_s: float = 0.1  # the longest wait for batches
    leader_timeout_s: float = 1.0  # the longest wait for a leader, or for votes on it
    grace_s: float = 0.1  # wait for the remaining blocks after a quorum of blocks
    inline_bytes: int = 2000  # largest batch inside a header; equal on all validators
    seal_wait_s: float = 0.05  # the longest wait for the own workers to seal batches for a header
    batch_grace_s: float = 0.25  # wait for batches of a header to arrive before they are requested
    window: int = 100  # rounds: headers further ahead than this are refused
    sync_after: int = 10  # rounds: a validator further behind than this requests commits
    retry_s: float = 1.0  # between requests for a missing item
    retry_peers: int = 3  # peers asked at once by each retry
    most_parked: int = 64  # suspended headers of one author
    most_lacking: int = 2048  # parents and batches that the suspended headers of one author lack
    most_batches: int = 1 << 14  # batches that are held and not executed
    most_batch_bytes: int = 1 << 28
    most_answers: int = 4096  # certificates a second to one peer on request
    snapshot_rounds: int = 128  # between snapshots, equal on all validators; 0: no snapshots, and an unbounded archive

    def __post_init__(self) -> None:
        for name in ("header_batches", "window", "sync_after", "retry_peers", "most_parked", "most_batches"):
            if getattr(self, name) < 1:
                raise Unfit(f"{name} {getattr(self, name)}", "at least 1")
        for name in ("header_delay_s", "leader_timeout_s", "grace_s", "seal_wait_s", "batch_grace_s"):
            if not 0 <= getattr(self, name) <= 3600:
                raise Unfit(f"{name} {getattr(self, name)}", "0 to 3600 s")
        if not 0 <= self.inline_bytes <= MOST_INLINE_BYTES:
            raise Unfit(f"{self.inline_bytes} bytes inside a header", f"0 to {MOST_INLINE_BYTES}")
        if self.snapshot_rounds < 0:
            raise Unfit(f"{self.snapshot_rounds} rounds between snapshots", "0 or more")
        if self.retry_s <= 0:
            raise Unfit(f"retry {self.retry_s}", "more than 0 s")
