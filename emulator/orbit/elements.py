"""Constellations as SGP4 element sets: what Walker shells and TLE files both become.

Invariant: satellite number = position in every array here, and the number of its node in the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from emulator.model.network import Floats

SECONDS_A_DAY = 86400.0
SGP4_DAY_ZERO_JD = 2_433_281.5  # 1949-12-31 00:00, from which sgp4init counts days


@dataclass(frozen=True, slots=True, order=True)
class Epoch:
    """An instant as a Julian date (UTC) in two parts: the last midnight and the fraction of the day since."""

    jd: float
    fraction: float

    @staticmethod
    def of(instant: datetime) -> Epoch:
        """From a datetime; one without a time zone is taken as UTC."""
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
        jd = midnight.toordinal() + 1_721_424.5
        return Epoch(jd, (instant - midnight) / timedelta(days=1))

    @staticmethod
    def of_julian(jd: float, fraction: float) -> Epoch:
        """From any split of a Julian date."""
        midnight = np.floor(jd - 0.5) + 0.5
        rest = (jd - midnight) + fraction
        whole = np.floor(rest)
        return Epoch(float(midnight + whole), float(rest - whole))

    def datetime(self) -> datetime:
        """The instant as an aware UTC datetime, to the microsecond."""
        day = datetime.fromordinal(int(self.jd - 1_721_424.5)).replace(tzinfo=UTC)
        return day + timedelta(microseconds=round(self.fraction * SECONDS_A_DAY * 1e6))

    def text(self) -> str:
        """ISO 8601 in UTC, to the second: 2025-01-01T00:00:00Z."""
        return self.datetime().strftime("%Y-%m-%dT%H:%M:%SZ")

    def after(self, t_s: Floats) -> tuple[Floats, Floats]:
        """Julian dates (whole, fraction) of the instants `t_s` seconds later; the split that sgp4 takes."""
        return np.full(len(t_s), self.jd), self.fraction + t_s / SECONDS_A_DAY


@dataclass(frozen=True, slots=True)
class Constellation:
    """Named satellites with their SGP4 records (sgp4.api.Satrec), and the epoch at which scenario time is 0."""

    label: str  # "53°:1584/72/17 at 550 km", "starlink.tle"
    names: tuple[str, ...]  # node names: "sat-0312" or "sat-44238", unique
    records: tuple[Any, ...]
    epoch: Epoch
    skipped: int = 0  # malformed element sets left out by `skip_bad`

    def __len__(self) -> int:
        return len(self.names)
