"""Expected round trips: the propagation delay along the routes at the instants of travel.

Invariant: the reverse path is read at the time at which the packet turned around, and both with the interpolation that
the relay itself uses; what remains between expected and measured is queueing, or the emulator's own error. A path over
links with substep tables is followed hop by hop, for there a delay may jump by the time that a packet takes to be sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING

from emulator.link.stats import EndStats
from emulator.schedule import substep
from emulator.schedule.reader import RecentRows, ScheduleReader
from emulator.schedule.routes import delay_along
from emulator.schedule.substep import substep_places

if TYPE_CHECKING:
    from emulator.model.network import Network, ScheduleRow
    from emulator.schedule.reader import RowSource

_SENT_BYTES = int(EndStats.SENT_BYTES)
PROBE_BITS = 8 * (64 + 28)  # of a default probe with its UDP and IPv4 headers
HISTORY_STEPS = 8
HISTORY_BYTES = 64e6
BUSY_SHARE = 0.05  # of a link's rate, from which on a probe may have waited behind others
REPORT_S = 1.0  # how often the relay tells of each end
BUSY_MEMORY_S = 2.5  # for how long a link counts as busy after it was
STRETCHES = 1000  # of a substep table that a probe may take to be sent


@dataclass(frozen=True, slots=True)
class ExpectedTrip:
    """A round trip as the schedule has it, and the link ends on its way."""

    rtt_s: float
    ends: list[int]


@dataclass(frozen=True, slots=True)
class _Leg:
    """A way in one step. A way over links with substep tables is followed hop by hop, and has no figures of its own."""

    step: int
    ends: list[int]
    finer: bool
    start_s: float = 0.0  # delay at the begin of the step
    end_s: float = 0.0
    serialisation_s: float = 0.0


class ExpectedRtt:
    """Computes round trips from the rows of a run. `remember` is called as each step begins."""

    def __init__(self, network: Network, rows: RowSource) -> None:
        assert network.timeline is not None
        self._recent = RecentRows(rows, HISTORY_STEPS if rows.bytes_per_row * HISTORY_STEPS < HISTORY_BYTES else 0)
        self._schedule = ScheduleReader(network, self._recent)
        self._substep = substep_places(network)
        self._lowest: tuple[int, list[float]] = (-1, [])  # rate in a step, by place in its substep tables
        self._legs: dict[tuple[int, str, str], _Leg | None] = {}
        self._busy_until: dict[int, float] = {}
        self._before: dict[int, tuple[float, float]] = {}
        self._altered: set[int] = set()

    def remember(self, step: int) -> None:
        """Keep the row of `step`, which the ring is going to overwrite."""
        self._recent.keep(step)
        oldest = self._recent.oldest
        for key in [key for key in self._legs if key[0] < oldest or oldest < 0]:
            del self._legs[key]

    def altered(self, ends: set[int]) -> None:
        """Ends that an action has set to other values than the schedule's: their probes are not compared."""
        self._altered = ends

    def load(self, t_s: float, counters: dict[int, list[float]]) -> None:
        """Cumulative counters of the relay at `t_s`: notes which ends are busy."""
        ends = list(counters)
        found = self._schedule.read_at(t_s, lambda row: self._rates_bps(row, ends))
        if found is None:
            return
        rates_bps, self._lowest = found
        for (end, values), rate_bps in zip(counters.items(), rates_bps, strict=True):
            sent = values[_SENT_BYTES]
            before_s, before = self._before.get(end, (t_s - REPORT_S, 0.0))
            self._before[end] = (t_s, sent)
            if t_s > before_s and rate_bps < inf and (sent - before) * 8 > BUSY_SHARE * rate_bps * (t_s - before_s):
                self._busy_until[end] = t_s + BUSY_MEMORY_S

    def _rates_bps(self, row: ScheduleRow, ends: list[int]) -> tuple[list[float], tuple[int, list[float]]]:
        """Rate of each end, its lowest where it has a substep table; and `_lowest` of this row.

        Plain numbers: there may be thousands of ends.
        """
        rates_bps: list[float] = row.rate_bps[ends].tolist()
        lowest = self._lowest
        if row.substep is not None:
            if lowest[0] != row.step:
                going = substep.used(row.substep) & (row.substep.rate_bps > 0)
                lowest = row.step, row.substep.rate_bps.min(axis=1, where=going, initial=inf).tolist()
            for number, end in enumerate(ends):
                place = self._substep.get(end)
                if place is not None and row.substep.count[place]:
                    rates_bps[number] = lowest[1][place]
        return rates_bps, lowest

    def round_trip(self, node: str, peer: str, sent_s: float) -> ExpectedTrip | None:
        """The expected round trip of a probe sent at `sent_s`; None where the schedule does not give it."""
        there = self._leg(node, peer, sent_s)
        there_s = self._one_way(there, sent_s) if there is not None else None
        if there is None or there_s is None:
            return None
        back = self._leg(peer, node, sent_s + there_s)
        back_s = self._one_way(back, sent_s + there_s) if back is not None else None
        if back is None or back_s is None:
            return None
        ends = there.ends + back.ends
        if self._altered and not self._altered.isdisjoint(ends):
            return None
        return ExpectedTrip(there_s + back_s + there.serialisation_s + back.serialisation_s, ends)

    def busy(self, trip: ExpectedTrip, sent_s: float) -> bool:
        """Whether a link on the way carried so much that a probe sent at `sent_s` may have queued. The answer stands
        when the relay has told of all of them since the probe's arrival."""
        until_s = self._busy_until
        return any(end in until_s and until_s[end] >= sent_s for end in trip.ends)

    def _one_way(self, leg: _Leg, t_s: float) -> float | None:
        if leg.finer:
            return self._hop_by_hop(leg.ends, t_s)
        share = min(1.0, max(0.0, t_s / self._schedule.step_s - leg.step))
        expected_s = leg.start_s + (leg.end_s - leg.start_s) * share
        return expected_s if isfinite(expected_s) else None

    def _hop_by_hop(self, ends: list[int], sent_s: float) -> float | None:
        """Delay along these ends with the time that each takes to send a probe; None where one is down meanwhile."""
        t_s = sent_s
        for end in ends:
            left = float(PROBE_BITS)
            for _ in range(STRETCHES):
                now = self._schedule.segment(end, t_s)
                if now is None or not now.up:
                    return None
                sending_s = left / now.rate_bps if now.rate_bps > 0 else inf
                if t_s + sending_s < now.stop_s:
                    t_s += sending_s
                    t_s += now.delay_s(t_s)
                    break
                left -= now.rate_bps * (now.stop_s - t_s)
                t_s = now.stop_s
            else:
                return None
        return t_s - sent_s

    def _leg(self, source: str, target: str, t_s: float) -> _Leg | None:
        """The way from one node to another in the step of `t_s`; None where there is none, or nobody knows."""
        key = (self._schedule.step_at(t_s), source, target)
        if key not in self._legs:
            found = self._schedule.read(key[0], lambda row: [self._leg_in(row, source, target)])
            if found is None:  # the row is not there: it may come
                return None
            self._legs[key] = found[0]
        return self._legs[key]

    def _leg_in(self, row: ScheduleRow, source: str, target: str) -> _Leg | None:
        ends = self._schedule.path(row, source, target)
        if ends is None:
            return None
        if self._substep and not self._substep.keys().isdisjoint(ends):
            return _Leg(row.step, ends, True)
        rates_bps = row.rate_bps[ends].tolist() if ends else []
        serialisation_s = sum(PROBE_BITS / rate_bps for rate_bps in rates_bps if 0 < rate_bps < inf)
        return _Leg(row.step, ends, False, delay_along(row, ends), delay_along(row, ends, 1.0), serialisation_s)
