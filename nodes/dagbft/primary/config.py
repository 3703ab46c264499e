"""What a primary may be told: sizes, times and bounds. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.model.errors import Unfit
from nodes.dagbft.consensus.core import Rules
from nodes.dagbft.field_types import MOST_INLINE_BYTES


@dataclass(frozen=True, slots=True)
class PrimaryConfig:
    """The defaults are those of the public prototypes, with a leader timeout for emulated runs."""

    rules: Rules = field(default_factory=Rules)
    header_batches: int = 32  # so many batches make a header at once
    header_delay_s: float = 0.1  # the longest wait for batches
    leader_timeout_s: float = 1.0  # the longest wait for a leader, or for votes on it
    grace_s: float = 0.1  # after a quorum of blocks: for the others
    inline_bytes: int = 2000  # so much of one batch goes inside a header; equal on all validators
    seal_wait_s: float = 0.05  # the longest wait for the own workers to seal what waits for a header
    batch_grace_s: float = 0.25  # for batches of a header to come by themselves before they are asked for
    window: int = 100  # rounds: headers further ahead than this are refused
    sync_after: int = 10  # rounds: being further behind than this, ask for what was committed
    retry_s: float = 1.0  # between requests for what is missing
    retry_peers: int = 3  # that are asked at once, after the first
    most_parked: int = 64  # headers of one author that wait for something
    most_lacking: int = 2048  # parents and batches that these lack, unless it is one header
    most_batches: int = 1 << 14  # that are held and not executed
    most_batch_bytes: int = 1 << 28
    most_answers: int = 4096  # certificates a second to one peer that asks for them
    snapshot_rounds: int = 128  # between snapshots, alike at all validators; 0: none, and the archive grows for ever

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
