"""Settings of links, for the config of any program that has some."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.model.errors import Unfit
from emulator.model.units import Duration, Size

__all__ = ["LinkConfig"]


@dataclass(frozen=True, slots=True)
class LinkConfig:
    """How links behave."""

    retry_least_s: Duration = 0.2  # from a lost connection to the next attempt; doubles
    retry_most_s: Duration = 5.0
    heartbeat_s: Duration = 1.0  # a connection is never silent for longer
    silence_s: Duration = 5.0  # a connection that is has been lost; so has one that takes longer to begin
    queue_bytes: Size = float(1 << 25)  # kept for one peer; more is refused and counted

    def __post_init__(self) -> None:
        if not 0 < self.retry_least_s <= self.retry_most_s:
            raise Unfit(f"retry_least {self.retry_least_s} s", "more than 0, at most retry_most")
        if not 0 < self.heartbeat_s < self.silence_s:
            raise Unfit(f"heartbeat {self.heartbeat_s} s", "more than 0, less than silence")
