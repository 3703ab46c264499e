"""When bits have been sent over a link whose rate follows knots: the whole integral, which the engine never needs.

Invariant: exact to 1 ns over the piecewise constant rate; visits each knot at most three times.
"""

from __future__ import annotations

from math import floor, inf

import numpy as np

from emulator.model.network import PiecewiseSchedule
from emulator.schedule.piecewise import segment

GRAIN_S = 1e-9  # what would end so shortly after a stretch ends with it: rounding must not wait out a silence


def finish_s(knots: PiecewiseSchedule, start_s: float, bits: float) -> float:
    """When the rate, integrated from start_s, has reached `bits`; inf where it never does.

    Exact to 1 ns over the piecewise constant rate, whether or not the end is up. Visits each knot at most three times,
    however many periods it takes.
    """
    t_s, left = start_s, bits
    for visit in range(3 * len(knots.t_s) + 3):
        now = segment(knots, t_s)
        if left <= 0 or now.rate_bps == inf:
            return t_s
        if now.rate_bps:
            finish = t_s + left / now.rate_bps
            if finish <= now.stop_s + GRAIN_S:
                return min(finish, now.stop_s)
            left -= now.rate_bps * (now.stop_s - t_s)
        if now.stop_s == inf:
            return inf
        t_s = now.stop_s
        if visit == len(knots.t_s) and knots.period_s < inf:  # a whole period has passed
            per_period = _bits_per_period(knots)
            if left > per_period * 1e15:
                return inf
            whole = max(0, floor(left / per_period) - 1)  # leave some for the walk: rounding cannot skip the finish
            left -= whole * per_period
            t_s += whole * knots.period_s
    return t_s


def _bits_per_period(knots: PiecewiseSchedule) -> float:
    spans = np.diff(knots.t_s, append=knots.period_s)
    return float(np.sum(np.where(spans > 0, knots.rate_bps, 0.0) * spans))
