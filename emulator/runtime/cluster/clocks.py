"""The clock of another host by two-way probes: its offset, its drift, and how far both can be wrong.

A probe has four times: when this host asked and when the answer came, by its own clock, and when the other host heard
the question and told the answer, by that one's. How long one way took is not seen, only both ways together. So probes
with the least round trips count most, and half of the least round trip is what an asymmetric path could hide.
A host whose clock is not that of host 0 makes lines of its probes with that one, by which all its processes read the
run's clock (emulator/model/clock_page.py). Invariant: no clock is read here; offsets are whole nanoseconds, so clocks
that are years apart lose no precision; and in play each line begins where the last one is left, so that the run's clock
never steps: it is slewed by at most SLEW beside the drift.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from emulator.model.clock_page import Line

WINDOW_PROBES, WINDOW_S = 200, 20.0
FLOOR_S = 2e-6  # a round trip that is longer than the least one by so much counts a fourth as much
LINE_PROBES = 10  # with fewer the drift is taken to be 0
LIKELY_DRIFT = 100e-6  # s/s: of a line so short that its noise could be a drift as large, half is taken
LINE_S = 1.0  # a shorter line says nothing of a step
SLEW_S = 2.5  # a shorter line says nothing of a slew
STRAY_S = 20e-6  # a probe that is so far from the line, beyond three times its spread and what the path can explain,
STRAYS = 3  # so often in a row, means that something slews one of the clocks,
STEP_S = 1e-3  # or, where all miss it by more on one side, that one was stepped
SLEW = 200e-6  # s/s, at most, by which the run's clock is brought to a new line
DRIFT = 1e-3  # s/s, at most: what seems to drift by more was stepped
LONGEST_NS = 1 << 62  # a century: no machine was up for longer
APPROACH_S = 1.0  # in which it is brought there, if it is near


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
        self._waiting: list[Probe] = []  # strays, until it is clear what they mean
        self.count = 0  # of probes
        self.slewed = 0  # times that a clock was found to be slewed
        self.steps_s: list[float] = []  # by which the other clock was found to be stepped against this one

    def add(self, probe: Probe) -> str:
        """Take in the next probe, unless its times cannot be: an answer before its question, or told before it was
        heard. Returns what it shows of the two clocks that is new, in words."""
        if probe.answered_ns < probe.asked_ns or probe.told_ns < probe.heard_ns or probe.round_trip_ns < 0:
            return ""
        if max(map(abs, probe)) > LONGEST_NS:
            return ""
        self.count += 1
        self._waiting.append(probe)
        change = ""
        if self._missed_s(probe):
            if len(self._waiting) < STRAYS:
                return ""
            change = self._begin_anew([self._missed_s(stray) for stray in self._waiting])
        self._probes.extend(self._waiting)
        self._waiting.clear()
        while probe.answered_ns - self._probes[0].answered_ns > WINDOW_S * 1e9:
            self._probes.popleft()
        return change

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
            noise_s2 = float(weight @ (offset_s - mean_s - drift * (own_s - middle_s)) ** 2 * (weight @ weight))
            drift *= width / (width + noise_s2 / LIKELY_DRIFT**2)
        now_s = mean_s - drift * middle_s
        spread_s = float(weight @ (offset_s - mean_s - drift * (own_s - middle_s)) ** 2) ** 0.5
        offset_ns = base // 2 + round(now_s * 1e9)
        return Estimate(newest.answered_ns, offset_ns, drift, least_s / 2, spread_s)

    @property
    def _span_s(self) -> float:
        return (self._probes[-1].answered_ns - self._probes[0].answered_ns) * 1e-9 if self._probes else 0.0

    @property
    def _long(self) -> bool:
        return len(self._probes) >= LINE_PROBES and self._span_s >= LINE_S

    def _missed_s(self, probe: Probe) -> float:
        """By how much a probe contradicts the line; 0 where it does not, or where there is no line yet."""
        line = self.estimate() if self._long else None
        if line is None:
            return 0.0
        stray_s = 3 * line.spread_s + STRAY_S if self._span_s >= SLEW_S else STEP_S
        miss_s = (probe.twice_offset_ns // 2 - line.offset_at_ns(probe.answered_ns)) * 1e-9
        explained_s = max(0.0, probe.round_trip_ns * 1e-9 - 2 * line.bound_s) / 2  # by a longer way in one direction
        return miss_s if abs(miss_s) > explained_s + stray_s else 0.0

    def _begin_anew(self, missed_s: list[float]) -> str:
        """Drop the older half of the window, which new probes contradict, or after a step all of it: else it would lead
        astray for long. Returns which it was."""
        least_s = min(missed_s, key=abs)
        if abs(least_s) > STEP_S and all(miss_s * least_s > 0 for miss_s in missed_s):
            self.steps_s.append(least_s)
            self._probes.clear()
            return f"was stepped by {-least_s * 1e3:+.1f} ms"
        self.slewed += 1
        for _ in range(len(self._probes) // 2):
            self._probes.popleft()
        return "is slewed"


def next_line(line: Line, own_ns: int, estimate: Estimate) -> Line:
    """The line that goes on from `line` at this own reading, towards the other clock as `estimate` has it."""
    here_ns = line.run_at_ns(own_ns)
    rest_s = (own_ns + estimate.offset_at_ns(own_ns) - here_ns) * 1e-9
    drift = min(max(estimate.drift, -DRIFT), DRIFT)
    return Line(own_ns, here_ns, drift + min(max(rest_s / APPROACH_S, -SLEW), SLEW))


def first_line(own_ns: int, estimate: Estimate) -> Line:
    """The line of the other clock as `estimate` has it: before play, when nothing goes by it yet."""
    return Line(own_ns, own_ns + estimate.offset_at_ns(own_ns), min(max(estimate.drift, -DRIFT), DRIFT))
