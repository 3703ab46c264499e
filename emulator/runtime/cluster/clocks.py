"""The clock of another host by two-way probes: its offset, its drift, and how far both can be wrong.

A probe has four times: when this host asked and when the answer came, by its own clock, and when the other host heard
the question and told the answer, by that one's. How long one way took is not seen, only both ways together. So probes
with the least round trips count most, and half of the least round trip is what an asymmetric path could hide.
Invariant: no clock is read here, and offsets are whole nanoseconds, so clocks that are years apart lose no precision.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

WINDOW_PROBES, WINDOW_S = 200, 20.0
FLOOR_S = 2e-6  # a round trip that is longer than the least one by so much counts a fourth as much
LINE_PROBES = 10  # with fewer the drift is taken to be 0
LINE_S = 1.0  # a shorter line has so inexact a drift that a probe beside it says nothing of a slew
STRAY_S = 20e-6  # a probe that is so far from the line, beyond three times its spread and what the path can explain,
STRAYS = 3  # so often in a row, means that something slews one of the clocks


class Probe(NamedTuple):
    """Readings of the two clocks, in ns."""

    asked_ns: int  # own
    heard_ns: int  # the other's
    told_ns: int  # the other's
    answered_ns: int  # own

    @property
    def round_trip_ns(self) -> int:
        return (self.answered_ns - self.asked_ns) - (self.told_ns - self.heard_ns)

    @property
    def twice_offset_ns(self) -> int:
        """Twice the other clock less this one, if both ways took equally long."""
        return (self.heard_ns - self.asked_ns) + (self.told_ns - self.answered_ns)


class Estimate(NamedTuple):
    """The other clock less this one, as a line over this one."""

    at_ns: int  # own clock
    offset_ns: int  # then
    drift: float  # s/s
    bound_s: float  # what the path could hide: half of the least round trip
    spread_s: float  # of the probes around the line

    def offset_at_ns(self, own_ns: int) -> int:
        return self.offset_ns + round((own_ns - self.at_ns) * self.drift)


class PeerClock:
    """The other host's clock, as its probes show it so far."""

    def __init__(self) -> None:
        self._probes: deque[Probe] = deque(maxlen=WINDOW_PROBES)
        self._strays = 0
        self.slewed = 0  # times that a clock was found to be slewed

    def add(self, probe: Probe) -> None:
        """Take in the next probe, unless its times cannot be: an answer before its question, or told before it was
        heard."""
        if probe.answered_ns < probe.asked_ns or probe.told_ns < probe.heard_ns or probe.round_trip_ns < 0:
            return
        self._look_for_slew(probe)
        self._probes.append(probe)
        while probe.answered_ns - self._probes[0].answered_ns > WINDOW_S * 1e9:
            self._probes.popleft()

    def estimate(self) -> Estimate | None:
        """The line now; None without any probe."""
        if not self._probes:
            return None
        newest = self._probes[-1]
        base = newest.twice_offset_ns
        own_s = np.array([probe.answered_ns - newest.answered_ns for probe in self._probes]) * 1e-9
        offset_s = np.array([probe.twice_offset_ns - base for probe in self._probes]) * 0.5e-9
        round_trip_s = np.array([probe.round_trip_ns for probe in self._probes]) * 1e-9
        least_s = float(round_trip_s.min())
        weight = (round_trip_s - least_s + FLOOR_S) ** -2
        weight /= weight.sum()
        middle_s, mean_s = float(weight @ own_s), float(weight @ offset_s)
        drift, width = 0.0, float(weight @ (own_s - middle_s) ** 2)
        if len(self._probes) >= LINE_PROBES and width > 0.0:
            drift = float(weight @ ((own_s - middle_s) * (offset_s - mean_s))) / width
        now_s = mean_s - drift * middle_s
        spread_s = float(weight @ (offset_s - mean_s - drift * (own_s - middle_s)) ** 2) ** 0.5
        offset_ns = base // 2 + round(now_s * 1e9)
        return Estimate(newest.answered_ns, offset_ns, drift, least_s / 2, spread_s)

    def _look_for_slew(self, probe: Probe) -> None:
        """Drop the older half of the window where new probes contradict it: else it would lead astray for long."""
        line = self.estimate()
        if line is None or len(self._probes) < LINE_PROBES or line.at_ns - self._probes[0].answered_ns < LINE_S * 1e9:
            return
        miss_s = abs(probe.twice_offset_ns // 2 - line.offset_at_ns(probe.answered_ns)) * 1e-9
        explained_s = max(0.0, probe.round_trip_ns * 1e-9 - 2 * line.bound_s) / 2  # by a longer way in one direction
        self._strays = self._strays + 1 if miss_s > explained_s + 3 * line.spread_s + STRAY_S else 0
        if self._strays < STRAYS:
            return
        self._strays = 0
        self.slewed += 1
        for _ in range(len(self._probes) // 2):
            self._probes.popleft()
