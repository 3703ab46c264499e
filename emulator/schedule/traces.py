"""Recorded and written time tables as knots: Mahimahi packet-delivery traces, CSV traces, TOML lists.

Invariant: what comes out has passed `piecewise.validate`; what cannot be read is a DataError with file and line.

Mahimahi (`mm-link`): one line for each moment, in ms, at which a packet of 1500 bytes may leave; equal lines are
several packets; the trace repeats after its last line. Here the rate of each millisecond is what lets that packet be
out by the moment of its line, so every period carries exactly the trace's packets.

CSV: a header of column names with their units, then rows in ascending time; `#` begins a comment, an empty cell
repeats the cell above. Columns: `t_s` or `t_ms` (needed), `delay_s`/`delay_ms`/`delay_us`,
`rate_bps`/`rate_kbps`/`rate_mbps`/`rate_gbps`, `loss` (0 to 1) or `loss_percent`, `up` (true, false, 1, 0).

TOML: `[{t = "0 s", delay = "10 ms", rate = "20 Mbit/s", loss = "1 %", up = true}, …]`; a missing key repeats that of
the knot before; the first knot's are no delay, rate "unlimited", no loss, up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, nan
from pathlib import Path
from sys import float_info
from typing import Any

import numpy as np

from emulator.model.errors import DataError
from emulator.model.inputs import read_text
from emulator.model.network import PiecewiseSchedule
from emulator.model.units import parse
from emulator.schedule.piecewise import validate

_PACKET_BITS = 12_000
_LONGEST_MS = 10**12
_CSV_SCALES = {
    "t_s": ("t", 1.0), "t_ms": ("t", 1e-3),
    "delay_s": ("delay", 1.0), "delay_ms": ("delay", 1e-3), "delay_us": ("delay", 1e-6),
    "rate_bps": ("rate", 1.0), "rate_kbps": ("rate", 1e3), "rate_mbps": ("rate", 1e6), "rate_gbps": ("rate", 1e9),
    "loss": ("loss", 1.0), "loss_percent": ("loss", 1e-2),
    "up": ("up", 1.0),
}  # fmt: skip
_FIRST = {"t": 0.0, "delay": 0.0, "rate": inf, "loss": 0.0, "up": 1.0}
_BOUNDS = {
    "t": ("a finite number", -float_info.max, float_info.max),
    "delay": ("a finite number, 0 or more", 0.0, float_info.max),
    "rate": ("a number, 0 or more (inf: unlimited)", 0.0, inf),
    "loss": ("a share from 0 to 1 (loss) or 0 to 100 (loss_percent)", 0.0, 1.0),
    "up": ("true or false", 0.0, 1.0),
}
_TOML_KINDS = {"t": "duration", "delay": "duration", "rate": "rate", "loss": "share"}


def from_file(path: str | Path, delay_s: float = 0.0, period_s: float = inf) -> PiecewiseSchedule:
    """A trace file: CSV where its name ends in `.csv`, else Mahimahi, to which `delay_s` adds a constant delay.

    `period_s` repeats a CSV trace; a Mahimahi trace has its own period.
    """
    path = Path(path)
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file (byte {error.start}); expected a trace") from None
    except OSError as error:
        raise DataError(f"{path}: the trace cannot be read: {error.strerror}") from None
    if path.suffix.lower() == ".csv":
        return csv(text, str(path), period_s)
    return mahimahi(text, str(path), delay_s)


def mahimahi(text: str, where: str, delay_s: float = 0.0) -> PiecewiseSchedule:
    """Knots of a packet-delivery trace; `where` names it in errors."""
    moments: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        field = line.strip()
        if not field:
            continue
        if not (field.isascii() and field.isdecimal() and len(field) <= 13 and int(field) <= _LONGEST_MS):
            raise DataError(
                f"{where}:{number}: found {field[:40]!r}; expected a whole number of milliseconds, 0 or more"
            )
        if moments and int(field) < moments[-1]:
            raise DataError(f"{where}:{number}: {field} ms follows {moments[-1]} ms; expected ascending times")
        moments.append(int(field))
    if not moments:
        raise DataError(f"{where}: the trace is empty; expected a line of milliseconds for each packet")
    period_ms = moments[-1]
    if period_ms == 0:
        raise DataError(f"{where}: the trace ends at 0 ms; expected a last line above 0, which is the trace's period")
    at = np.array(moments, dtype=np.int64)
    at[at == 0] = period_ms  # a packet at the start of a period leaves at the end of the one before
    stop_ms, packets = np.unique(at, return_counts=True)
    times = np.stack((stop_ms - 1, stop_ms), axis=1).reshape(-1)
    rates = np.stack((packets * (_PACKET_BITS * 1e3), np.zeros(len(packets))), axis=1).reshape(-1)
    # each packet's millisecond, then silence: drop silences of no length, then knots that change nothing
    keep = np.append(times[1:] > times[:-1], False)
    times, rates = times[keep], rates[keep]
    if times[0] > 0:
        times, rates = np.concatenate(([0], times)), np.concatenate(([0.0], rates))
    keep = np.append(True, np.diff(rates) != 0)
    t_s, rate_bps = times[keep] * 1e-3, rates[keep]
    ones = np.ones(len(t_s))
    return validate(PiecewiseSchedule(t_s, ones * delay_s, rate_bps, ones * 0.0, ones > 0, period_ms * 1e-3), where)


def csv(text: str, where: str, period_s: float = inf) -> PiecewiseSchedule:
    """Knots of a CSV trace; `where` names it in errors."""
    names: list[str] = []
    rows: list[dict[str, float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        cells = [cell.strip() for cell in content.split(",")]
        if not names:
            names = _header(cells, f"{where}:{number}")
            continue
        if len(cells) != len(names):
            raise DataError(f"{where}:{number}: {len(cells)} cells; expected {len(names)} ({', '.join(names)})")
        row = dict(rows[-1]) if rows else dict(_FIRST)
        for name, cell in zip(names, cells, strict=True):
            quantity, scale = _CSV_SCALES[name]
            if cell:
                row[quantity] = _number(cell, quantity, scale, f"{where}:{number}: {name}")
            elif quantity == "t":
                raise DataError(f"{where}:{number}: {name} is empty; expected a time")
        if rows and row["t"] < rows[-1]["t"]:
            raise DataError(
                f"{where}:{number}: t = {row['t']:g} s follows {rows[-1]['t']:g} s; expected ascending times"
            )
        rows.append(row)
    if not rows:
        raise DataError(f"{where}: the trace is empty; expected a header such as 't_s,delay_ms,rate_mbps' and rows")
    return validate(_knots(rows, period_s), where)


def _header(names: list[str], where: str) -> list[str]:
    for name in names:
        if name not in _CSV_SCALES:
            raise DataError(f"{where}: unknown column {name!r}; expected any of {', '.join(_CSV_SCALES)}")
    quantities = [_CSV_SCALES[name][0] for name in names]
    twice = [name for name, quantity in zip(names, quantities, strict=True) if quantities.count(quantity) > 1]
    if twice:
        raise DataError(f"{where}: columns {' and '.join(twice)} give one quantity twice")
    if "t" not in quantities:
        raise DataError(f"{where}: no time column; expected t_s or t_ms")
    return names


def _number(cell: str, quantity: str, scale: float, where: str) -> float:
    """Value of a cell in SI units, within the bounds of `piecewise.validate`, so that the message has the line."""
    expected, least, most = _BOUNDS[quantity]
    words = {"true": 1.0, "false": 0.0} if quantity == "up" else {}
    try:
        value = words[cell.lower()] if cell.lower() in words else float(cell) * scale
    except ValueError:
        value = nan
    if not least <= value <= most or (quantity == "up" and value not in (0, 1)):
        raise DataError(f"{where}: found {cell[:40]!r}; expected {expected}")
    return value


def tables(items: Sequence[Mapping[str, Any]], where: str, period: str | None = None) -> PiecewiseSchedule:
    """Knots of a TOML list of tables; `where` is its key path in errors, `period` a duration that repeats it."""
    rows: list[dict[str, float]] = []
    for number, item in enumerate(items):
        here = f"{where}[{number}]"
        if not isinstance(item, Mapping):
            raise DataError(f'{here}: found {item!r}; expected a table such as {{t = "0 s", delay = "10 ms"}}')
        unknown = sorted(set(item) - set(_FIRST))
        if unknown:
            raise DataError(f"{here}: unknown key {unknown[0]!r}; expected any of {', '.join(_FIRST)}")
        if "t" not in item:
            raise DataError(f'{here}: no t; expected a time such as t = "10 s"')
        row = dict(rows[-1]) if rows else dict(_FIRST)
        row |= {key: _quantity(value, key, f"{here}.{key}") for key, value in item.items()}
        rows.append(row)
    return validate(_knots(rows, inf if period is None else _quantity(period, "t", f"{where}.period")), where)


def _quantity(value: object, key: str, where: str) -> float:
    if key == "up":
        if not isinstance(value, bool):
            raise DataError(f"{where}: found {value!r}; expected true or false")
        return float(value)
    if key == "rate" and value == "unlimited":
        return inf
    try:
        return parse(value, _TOML_KINDS[key])
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None


def _knots(rows: Sequence[Mapping[str, float]], period_s: float) -> PiecewiseSchedule:
    t_s, delay_s, rate_bps, loss, up = (np.array([row[name] for row in rows], dtype=np.float64) for name in _FIRST)
    return PiecewiseSchedule(t_s, delay_s, rate_bps, loss, up > 0, period_s)
