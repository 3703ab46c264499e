"""Rain over time: a CSV file as a function of station and scenario time.

Invariant: a value holds from its time until the next one of the same station; before the first one it does not rain.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path

import numpy as np

from emulator.model.errors import DataError
from emulator.model.inputs import read_text
from emulator.model.network import Floats


class Rain:
    """Rain rate in mm/h of S stations; `stations` names them as the file does, `start` is UTC of scenario time 0."""

    def __init__(self, series: dict[str, list[tuple[float, float]]], stations: Sequence[str]) -> None:
        """`series`: (scenario time, mm/h) by station, "" for all that have none of their own."""
        self._series = []
        for name in stations:
            values = sorted(series.get(name, series.get("", [])))
            self._series.append((np.array([t for t, _ in values]), np.array([0.0, *(rain for _, rain in values)])))

    def __call__(self, t_s: float) -> Floats:
        return np.array([rain[np.searchsorted(times, t_s, side="right")] for times, rain in self._series])


def read_rain(path: Path, stations: Sequence[str], start: datetime) -> Rain:
    """Rain from a CSV file with a header: `t` (scenario seconds) or `utc` (ISO 8601), `rain_mm_h`, maybe `station`.

    DataError names the line.
    """
    series: dict[str, list[tuple[float, float]]] = {}
    try:
        with io.StringIO(read_text(path)) as file:
            reader = csv.DictReader(file)
            head = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = head
            if "rain_mm_h" not in head or ("t" in head) == ("utc" in head):
                raise DataError(f"{path}:1: columns {', '.join(head) or 'none'}; expected rain_mm_h, t or utc, station")
            for row in reader:
                where = f"{path}:{reader.line_num}"
                name = (row.get("station") or "").strip().removeprefix("gs-")
                if name and name not in stations:
                    raise DataError(f"{where}: {name!r} is no station; expected one of {', '.join(stations)}")
                t_s = _number(row["t"], where) if "t" in head else _since(row["utc"], start, where)
                rain = _number(row["rain_mm_h"], where)
                if rain < 0:
                    raise DataError(f"{where}: rain of {rain:g} mm/h; expected 0 or more")
                series.setdefault(name, []).append((t_s, rain))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}; expected a CSV file of rain over time") from None
    if not series:
        raise DataError(f"{path} has no rain; expected rows of time and rain_mm_h below its header")
    return Rain(series, stations)


def _number(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        raise DataError(f"{where}: {text!r} is no number") from None
    if not isfinite(value):
        raise DataError(f"{where}: {text!r} is not finite")
    return value


def _since(text: str | None, start: datetime, where: str) -> float:
    try:
        instant = datetime.fromisoformat((text or "").strip())
    except ValueError:
        raise DataError(f"{where}: {text!r} is no time such as 2026-11-23T18:00:00Z") from None
    instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant
    return (instant - start).total_seconds()
