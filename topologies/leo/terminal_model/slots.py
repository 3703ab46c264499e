"""Slots: the 15 s grid of UTC on which satellites and routes are assigned, and local hours.

Invariant: slot n begins at n · slot + phase seconds of Unix time, so all terminals share it whatever a run's start;
`begin_s` answers in scenario seconds, exact to 1 µs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import floor

import numpy as np

from emulator.model.network import Floats

_EDGE_S = 1e-6  # an instant this close before a slot's edge belongs to the slot


@dataclass(frozen=True, slots=True)
class Slots:
    """The grid as a scenario sees it: `origin_s` is the scenario time at which slot number `first` begins."""

    slot_s: float
    origin_s: float
    first: int
    start: datetime

    @staticmethod
    def of(start: datetime, slot_s: float, phase_s: float) -> Slots:
        """`start`: UTC of scenario time 0; `phase_s`: the second of the minute at which a slot begins."""
        since = start - datetime(1970, 1, 1, tzinfo=UTC)
        days, rest = divmod(since, timedelta(days=1))
        # days · 86,400 s in two parts, so that microseconds survive
        seconds = rest / timedelta(seconds=1) - phase_s
        number = floor(days * (86400.0 / slot_s) + seconds / slot_s) if 86400 % slot_s == 0 else None
        if number is None:
            number = floor((days * 86400 + seconds) / slot_s)
        return Slots(slot_s, number * slot_s - days * 86400 - seconds, number, start)

    def number(self, t_s: float) -> int:
        """Slot in which scenario time t_s lies."""
        return self.first + floor((t_s + _EDGE_S - self.origin_s) / self.slot_s)

    def begin_s(self, number: int) -> float:
        """Scenario time at which a slot begins."""
        return round(self.origin_s + (number - self.first) * self.slot_s, 6)

    def meets(self, step_s: float) -> bool:
        """Whether every edge falls on the start of a schedule step."""
        return all(abs(edge_s / step_s - round(edge_s / step_s)) < 1e-6 for edge_s in (self.origin_s, self.slot_s))

    def utc(self, t_s: float) -> datetime:
        return self.start + timedelta(seconds=t_s)

    def hour(self, t_s: float, lon_deg: Floats) -> Floats:
        """Hour of the day, 0 … 23, of the nautical time zone at each longitude."""
        utc = self.utc(t_s)
        hours: Floats = np.floor((utc.hour + utc.minute / 60 + np.round(lon_deg / 15.0)) % 24)
        return hours
