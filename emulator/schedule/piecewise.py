"""Time tables of one link end: check them, read them at an instant, integrate their rate.

Invariant: `segment(knots, t)` always covers t (start_s <= t < stop_s), so whoever walks from stop to stop moves on.
A table with a period is joined to its own beginning: after the last knot the delay heads for that of the first.
"""

from __future__ import annotations

from math import floor, inf
from typing import NamedTuple

import numpy as np

from emulator.model.errors import DataError
from emulator.model.network import Bools, Floats, PiecewiseSchedule, ScheduleRow


class Segment(NamedTuple):
    """What holds from start_s to stop_s; the delay goes from delay_start_s to delay_end_s in a straight line.

    start_s is finite; stop_s may be inf, and then the two delays are equal.
    """

    start_s: float
    stop_s: float
    delay_start_s: float
    delay_end_s: float
    rate_bps: float
    loss: float
    up: bool

    def delay_s(self, t_s: float) -> float:
        if self.delay_end_s == self.delay_start_s:
            return self.delay_start_s
        share = (t_s - self.start_s) / (self.stop_s - self.start_s)
        return self.delay_start_s + (self.delay_end_s - self.delay_start_s) * share


class Values(NamedTuple):
    """A table read at T instants."""

    delay_s: Floats
    rate_bps: Floats
    loss: Floats
    up: Bools


def validate(knots: PiecewiseSchedule, where: str = "knots") -> PiecewiseSchedule:
    """The knots themselves; DataError (beginning with `where`, such as a file or key path) for the first fault."""
    columns = (knots.t_s, knots.delay_s, knots.rate_bps, knots.loss, knots.up)
    if any(column.ndim != 1 for column in columns) or len({len(column) for column in columns}) != 1:
        raise DataError(f"{where}: the columns t, delay, rate, loss and up must be lists of one length")
    if not len(knots.t_s):
        raise DataError(f"{where}: no knots; expected at least one")
    t_s, period_s = knots.t_s, knots.period_s
    _refuse(where, t_s, "t", t_s, ~np.isfinite(t_s), "a finite time")
    _refuse(where, t_s, "t", t_s, np.diff(t_s, prepend=t_s[0]) < 0, "times in ascending order (two equal ones: a jump)")
    _refuse(where, t_s, "delay", knots.delay_s, ~(np.isfinite(knots.delay_s) & (knots.delay_s >= 0)), "0 s or more")
    _refuse(where, t_s, "rate", knots.rate_bps, ~(knots.rate_bps >= 0), "0 bit/s or more")
    _refuse(where, t_s, "loss", knots.loss, ~((knots.loss >= 0) & (knots.loss <= 1)), "a share from 0 to 1")
    if knots.up.dtype != np.bool_:
        raise DataError(f"{where}: up holds {knots.up.dtype} values; expected true and false")
    if period_s != inf and not (t_s[0] == 0 and t_s[-1] < period_s < inf):
        raise DataError(
            f"{where}: a table that repeats begins with t = 0 and has its last knot before the period; "
            f"found t = {t_s[0]:g} s to {t_s[-1]:g} s and a period of {period_s:g} s"
        )
    return knots


def _refuse(where: str, t_s: Floats, name: str, values: Floats, wrong: Bools, expected: str) -> None:
    if np.any(wrong):
        place = int(np.argmax(wrong))
        at = "" if name == "t" else f" (t = {t_s[place]:g} s)"
        raise DataError(f"{where}: knot {place + 1}{at}: {name} is {values[place]:g}; expected {expected}")


def evaluate(knots: PiecewiseSchedule, t_s: Floats, *, left: bool = False) -> Values:
    """The table at each instant (T seconds). `left`: where an instant has a jump, the values just before it."""
    t_s = np.asarray(t_s, dtype=np.float64)
    times, delays = knots.t_s, knots.delay_s
    local = t_s
    if knots.period_s < inf:
        local = np.mod(t_s, knots.period_s)
        if left:  # the end of one period rather than the start of the next
            local = np.where((local == 0) & (t_s > 0), knots.period_s, local)
        times, delays = np.append(times, knots.period_s), np.append(delays, delays[0])
    after = np.searchsorted(times, local, side="left" if left else "right")
    before = np.maximum(after - 1, 0)
    after = np.minimum(after, len(times) - 1)
    span = times[after] - times[before]
    share = np.divide(local - times[before], span, out=np.zeros_like(local), where=span > 0)
    place = np.minimum(before, len(knots.t_s) - 1)
    return Values(
        delays[before] + (delays[after] - delays[before]) * np.clip(share, 0.0, 1.0),
        knots.rate_bps[place],
        knots.loss[place],
        knots.up[place],
    )


def segment(knots: PiecewiseSchedule, t_s: float) -> Segment:
    """The stretch of the table that holds at t_s (finite): start_s <= t_s < stop_s."""
    times, period_s = knots.t_s, knots.period_s
    last = len(times) - 1
    cycle = 0
    if period_s < inf:
        cycle = floor(t_s / period_s)
        if cycle * period_s > t_s:
            cycle -= 1
        elif (cycle + 1) * period_s <= t_s:
            cycle += 1
    base = cycle * period_s if cycle else 0.0
    place = int(times.searchsorted(t_s - base, side="right")) - 1
    # t_s - base is rounded, so the place may be one off; what counts is base + times[place], which is handed out
    while place < last and base + times[place + 1] <= t_s:
        place += 1
    while place > 0 and base + times[place] > t_s:
        place -= 1
    if place < 0 or base + times[place] > t_s:  # before the first knot
        return _segment(knots, 0, 0, min(t_s, 0.0), base + float(times[0]))
    if place < last:
        return _segment(knots, place, place + 1, base + float(times[place]), base + float(times[place + 1]))
    if period_s < inf:
        return _segment(knots, last, 0, base + float(times[last]), (cycle + 1) * period_s)
    return _segment(knots, last, last, float(times[last]), inf)


def _segment(knots: PiecewiseSchedule, place: int, following: int, start_s: float, stop_s: float) -> Segment:
    return Segment(
        start_s,
        stop_s,
        float(knots.delay_s[place]),
        float(knots.delay_s[following]),
        float(knots.rate_bps[place]),
        float(knots.loss[place]),
        bool(knots.up[place]),
    )


def outages(knots: PiecewiseSchedule) -> PiecewiseSchedule:
    """The table with only the knots at which `up` changes; delay, rate and loss are left out."""
    holds = np.append(knots.t_s[1:] > knots.t_s[:-1], True)  # the last of several knots at one time
    holds[0] = True  # holds before its time
    place = np.flatnonzero(holds)
    place = place[np.append(True, knots.up[place[1:]] != knots.up[place[:-1]])]
    none = np.zeros(len(place))
    period_s = knots.period_s if len(place) > 1 else inf
    return PiecewiseSchedule(knots.t_s[place], none, none, none, knots.up[place], period_s)


def segment_of_row(row: ScheduleRow, end: int, step_s: float) -> Segment:
    """The same for an end that follows the timeline: the row's whole step."""
    return Segment(
        row.step * step_s,
        (row.step + 1) * step_s,
        float(row.delay_start_s[end]),
        float(row.delay_end_s[end]),
        float(row.rate_bps[end]),
        float(row.loss[end]),
        bool(row.up[end]),
    )
