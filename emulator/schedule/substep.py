"""Substep tables of a schedule step: check them, and read what holds at an instant.

Invariant: `segment(table, place, begin, end, t)` covers t (start_s <= t < stop_s) wherever begin <= t < end, and at the
borders of the step its times are the step's own, so that nothing falls between two steps.
"""

from __future__ import annotations

from bisect import bisect_right
from math import inf

import numpy as np
from numpy.typing import NDArray

from emulator.model.errors import DataError
from emulator.model.network import Bools, Floats, Network, SubstepTables
from emulator.schedule.piecewise import Segment
from emulator.schedule.ring import SubstepColumns

_GRAIN_S = 1e-9
_NEAR_S = 1e-6  # how far the first and last knot may lie from the step's borders: times are multiples, rounded


def substep_places(network: Network) -> dict[int, int]:
    """Place in the substep tables of each end that has one; an end with a schedule of its own follows those."""
    if network.substep is None:
        return {}
    ends = enumerate(network.substep.ends.tolist())
    return {end: place for place, end in ends if network.end_spec(end).schedule is None}


def segment(table: SubstepColumns, place: int, begin_s: float, end_s: float, t_s: float) -> Segment | None:
    """What holds at `t_s` within the step from begin_s to end_s; None where the step has no substep table for the end.

    Earlier times are given what holds at the step's begin, later ones what holds at its end.
    """
    count = table.count[place]
    if not count:
        return None
    first = place * table.knots
    last = first + count - 1
    here = max(first, bisect_right(table.t_s, t_s, first, last) - 1)
    start_s = table.t_s[here] if here > first else begin_s
    stop_s = min(table.t_s[here + 1], end_s) if here + 1 < last else end_s
    delay_s, delay_end_s = table.delay_s[here], table.delay_s[here + 1]
    if stop_s - start_s < _GRAIN_S:  # a jump, but for rounding: it must not become a slope
        delay_s = delay_end_s
    return Segment(start_s, stop_s, delay_s, delay_end_s, table.rate_bps[here], table.loss[here], bool(table.up[here]))


def shortest_s(table: SubstepColumns, places: NDArray[np.int64]) -> float:
    """The shortest delay of these ends while they are up in the step; inf where none is."""
    count = np.frombuffer(table.count, dtype=np.int32)[places]
    delays_s, up = (np.asarray(column).reshape(-1, table.knots)[places] for column in (table.delay_s, table.up))
    alive = (np.arange(table.knots) < count[:, None]) & (up > 0)
    alive[:, 1:] |= alive[:, :-1]  # a stretch reaches to the knot that ends it
    alive &= np.arange(table.knots) < count[:, None]
    return float(delays_s.min(where=alive, initial=inf))


def used(substep: SubstepTables) -> Bools:
    """F × K: which knots belong to a table."""
    mask: Bools = np.arange(substep.t_s.shape[1]) < substep.count[:, None]
    return mask


def validate(substep: SubstepTables, begin_s: float, end_s: float) -> None:
    """DataError for the first fault of a step's tables (an end is named by its place)."""
    mask = used(substep)
    some = substep.count > 0
    _refuse(substep, mask & ~np.isfinite(substep.t_s), substep.t_s, "t", "a finite time")
    falls = np.diff(substep.t_s, axis=1, prepend=substep.t_s[:, :1]) < 0
    _refuse(substep, mask & falls, substep.t_s, "t", "times in ascending order (two equal ones: a jump)")
    place = np.arange(len(substep.count))
    if len(place) and substep.t_s.shape[1]:
        off_start = some & (abs(substep.t_s[:, 0] - begin_s) > _NEAR_S)
        off_end = some & (abs(substep.t_s[place, substep.count - 1] - end_s) > _NEAR_S)
        if off_start.any() or off_end.any():
            wrong = int(np.argmax(off_start | off_end))
            ends = substep.t_s[wrong, 0], substep.t_s[wrong, substep.count[wrong] - 1]
            raise DataError(
                f"substep table {wrong}: knots from {ends[0]:g} s to {ends[1]:g} s; "
                f"expected {begin_s:g} s to {end_s:g} s"
            )
    delay_s, rate_bps, loss = substep.delay_s, substep.rate_bps, substep.loss
    _refuse(substep, mask & ~(np.isfinite(delay_s) & (delay_s >= 0)), delay_s, "delay", "0 s or more")
    _refuse(substep, mask & ~(rate_bps >= 0), rate_bps, "rate", "0 bit/s or more")
    _refuse(substep, mask & ~((loss >= 0) & (loss <= 1)), loss, "loss", "a share from 0 to 1")


def _refuse(substep: SubstepTables, wrong: Bools, values: Floats, name: str, expected: str) -> None:
    if wrong.any():
        place, knot = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        at = "" if name == "t" else f" (t = {substep.t_s[place, knot]:g} s)"
        raise DataError(
            f"substep table {place}: knot {knot + 1}{at}: {name} is {values[place, knot]:g}; expected {expected}"
        )
