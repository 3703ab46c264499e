"""The access model: delay, rate, loss and outages of terminals' links beside their geometry, at any instant.

Odds of load (what others take / what is left) are the one hidden quantity: they set the rate, peak / (1 + odds), the
time between uplink grants, grant · (1 + odds), and the wait in schedulers, queue · odds. They have a median for each
local hour, a draw for each slot, and fluctuate within it. Waiting for a grant makes the delay up a sawtooth: what is
sent between two grants leaves with the later one.

Invariant: everything is a function of time, of (seed, terminal, slot) and the parameters; between two of `breaks` the
delay is a straight line and the rest is constant, so that a table with both sides of each break is exact.
Direction 0 is up (terminal to satellite), 1 is down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.network import Bools, Floats
from emulator.model.streams import Keys, key, normal, uniform
from topologies.leo.terminal_model.slots import Slots
from topologies.leo.terminal_model.tables import Terminal

Places = NDArray[np.int64]

UP, DOWN = 0, 1
RELEASE = 1e-4  # packets that waited for a grant leave within this share of the interval: order and rate stay defined
EDGE_BEFORE_S, EDGE_AFTER_S = 0.1, 1.0  # around the edge of a slot, where losses gather
BURSTS, BLIPS = 2, 4  # bursts and blips that a slot may have at most, each way
GAPS = BURSTS + BLIPS
LONGEST_BURST_S = 3.0
SLOTS_KEPT = 4  # whose draws are remembered
DIP_S = 1.0  # first and last second of a slot have lower rates
_PEAK, _LOAD, _INSIDE, _PHASE, _OUTAGE, _GAP = range(6)  # what is drawn: a counter of the stream


class LinkConditions(NamedTuple):
    """What holds at instants, each (S, M): delay beside the geometry (s), rate (bit/s), loss (share), up."""

    delay_s: Floats
    rate_bps: Floats
    loss: Floats
    up: Bools


@dataclass(frozen=True, slots=True)
class Draws:
    """The draws of one slot for all terminals; arrays (S, J) have a value for each load step of the slot."""

    begin_s: float
    odds: tuple[Floats, Floats]  # (S, J) each way
    rate_bps: tuple[Floats, Floats]
    grants: Floats  # (S, J) grants in the load step
    phase: Floats  # (S) of the grants, share of their interval
    outage_s: Floats  # (S) how long the slot begins with an interruption
    gaps: tuple[Floats, Floats]  # begin and end of bursts, then blips, (2, S, GAPS) each


class AccessModel:
    """Access links of S terminals. Draws of the latest few slots are kept; they cost the same whenever asked for."""

    def __init__(
        self,
        constants: Terminal,
        slots: Slots,
        seed: int,
        names: Sequence[str],
        hours: Callable[[float], Floats],
        rain_mm_h: Callable[[float], Floats],
        load: Floats | None = None,
    ) -> None:
        """`hours`, `rain_mm_h`: per terminal (S) at a scenario time. `load`: factor on the odds of each (S)."""
        self.constants, self.slots, self.names = constants, slots, tuple(names)
        self._hours, self._rain = hours, rain_mm_h
        self._load = np.ones(len(names)) if load is None else np.asarray(load, dtype=np.float64)
        self._keys: Keys = np.array([key(seed, "access", name) for name in names], dtype=np.uint64)
        self._steps = round(constants.slot_s / constants.load_step_s)
        shares = np.array([constants.load_up, constants.load_down])
        self._odds = shares / (1 - shares)  # (2, 24)
        self._cache: dict[int, Draws] = {}

    def __len__(self) -> int:
        return len(self.names)

    # -- draws of a slot ---------------------------------------------------------------------------------------------

    def draws(self, number: int) -> Draws:
        """What is drawn for slot `number`."""
        slot = self._cache.get(number)
        if slot is None:
            slot = self._cache[number] = self._draw(number)
            if len(self._cache) > SLOTS_KEPT:
                del self._cache[next(iter(self._cache))]
        return slot

    def _draw(self, number: int) -> Draws:
        const, keys = self.constants, self._keys
        begin_s = self.slots.begin_s(number)
        hour = self._hours(begin_s).astype(int) % 24
        weather = self.rain_factor(self._rain(begin_s))
        odds, rates = [], []
        at_s = (np.arange(self._steps) + 0.5) * const.load_step_s
        dip = np.where(at_s < DIP_S, 1 - const.dip_first, 1.0) * np.where(
            at_s > const.slot_s - DIP_S, 1 - const.dip_last, 1.0
        )
        spreads, peaks = (const.load_spread_up, const.load_spread_down), (const.peak_up_bps, const.peak_down_bps)
        for way in (UP, DOWN):
            level = spreads[way] * normal(keys, number, _LOAD, way)
            inside = const.load_jitter * self._inside(number, way)
            here = (self._odds[way][hour] * self._load * np.exp(level))[:, None] * np.exp(inside)
            peak = peaks[way] * np.exp(const.peak_spread * normal(keys, number, _PEAK, way)) * weather
            odds.append(here)
            rates.append(peak[:, None] / (1 + here) * dip / (1 - const.overhead))
        interval_s = const.grant_s * (1 + odds[UP])
        grants = np.maximum(1.0, np.round(const.load_step_s / interval_s))
        struck = uniform(keys, number, _OUTAGE, 0) < const.outage
        outage_s = np.where(struck, uniform(keys, number, _OUTAGE, 1) * const.longest_outage_s, 0.0)
        return Draws(
            begin_s, (odds[0], odds[1]), (rates[0], rates[1]), grants, uniform(keys, number, _PHASE),
            outage_s, self._gaps(number, begin_s),
        )  # fmt: skip

    def _inside(self, number: int, way: int) -> Floats:
        """How the load fluctuates within a slot: a stationary first-order process of unit variance, (S, J)."""
        const = self.constants
        shock = normal(self._keys[:, None], number, _INSIDE, way, np.arange(self._steps))
        keep = float(np.exp(-const.load_step_s / const.load_correlation_s)) if const.load_correlation_s > 0 else 0.0
        for step in range(1, self._steps):
            shock[:, step] = keep * shock[:, step - 1] + np.sqrt(1 - keep * keep) * shock[:, step]
        return shock

    def _gaps(self, number: int, begin_s: float) -> tuple[Floats, Floats]:
        """Begin and end of bursts and blips, (2, S, GAPS) each; begin = end where there is none."""
        const = self.constants
        keys, way, which = self._keys[:, None], np.arange(2)[:, None, None], np.arange(GAPS)
        burst = which < BURSTS
        chance = np.where(burst, const.bursts / BURSTS, const.blips / BLIPS)
        there = uniform(keys, number, _GAP, way, which, 0) < chance
        edge = burst & (uniform(keys, number, _GAP, way, which, 1) < const.burst_at_edge)
        place = uniform(keys, number, _GAP, way, which, 2)
        near = place * (EDGE_BEFORE_S + EDGE_AFTER_S)
        at_edge = np.where(near < EDGE_AFTER_S, near, const.slot_s - EDGE_BEFORE_S + near - EDGE_AFTER_S)
        start = begin_s + np.where(edge, at_edge, place * const.slot_s)
        long = const.burst_s * np.exp(const.burst_spread * normal(keys, number, _GAP, way, which, 3))
        short = const.longest_blip_s * uniform(keys, number, _GAP, way, which, 4)
        length = np.where(burst, np.minimum(long, LONGEST_BURST_S), short)
        stop = np.minimum(start + np.where(there, length, 0.0), begin_s + const.slot_s)
        return start, np.maximum(start, stop)

    def rain_factor(self, rain_mm_h: Floats) -> Floats:
        """Rates in rain as a share of those without, for each rain rate in mm/h."""
        factors = np.array([1.0, *self.constants.rain_factor])
        factor: Floats = factors[np.searchsorted(np.array(self.constants.rain_mm_h), rain_mm_h, side="left")]
        return factor

    # -- what holds --------------------------------------------------------------------------------------------------

    def at(self, way: int, number: int, t_s: Floats) -> LinkConditions:
        """Values in one direction at scenario times (S, M) within slot `number`."""
        const = self.constants
        slot = self.draws(number)
        span = const.load_step_s
        since = t_s - slot.begin_s
        step = np.clip((since / span).astype(np.int64), 0, self._steps - 1)
        row = np.arange(len(t_s), dtype=np.int64)[:, None]
        odds = slot.odds[way][row, step]
        if way == UP:
            delay: Floats = const.processing_up_s + const.queue_up_s * odds
            delay += (1 - RELEASE) * self._wait(number, slot, since, step, row)
        else:
            delay = const.processing_down_s + const.frame_s / 2 + const.queue_down_s * odds
        loss = np.full(t_s.shape, const.loss)
        for gap in range(GAPS):
            begin, end = slot.gaps[0][way, :, gap, None], slot.gaps[1][way, :, gap, None]
            if (end > begin).any():
                inside = (t_s >= begin) & (t_s < end)
                loss = np.where(inside, max(const.burst_loss if gap < BURSTS else 1.0, const.loss), loss)
        return LinkConditions(delay, slot.rate_bps[way][row, step], loss, since >= slot.outage_s[:, None])

    def _wait(self, number: int, slot: Draws, since: Floats, step: Places, row: Places) -> Floats:
        """Time until the next uplink grant: (k + phase) · interval within each load step, k = 0 … grants - 1."""
        span = self.constants.load_step_s
        after = self.draws(number + 1)
        grants = np.concatenate([slot.grants, after.grants[:, :1]], axis=1)
        phases = np.repeat(slot.phase[:, None], self._steps + 1, axis=1)
        phases[:, -1] = after.phase
        count, phase = grants[row, step], slot.phase[:, None]
        inside = since - step * span
        turn = np.maximum(np.ceil(inside * count / span - phase), 0.0)
        here = (turn + phase) * span / count
        later = span + phases[row, step + 1] * span / grants[row, step + 1]
        wait: Floats = np.maximum(np.where(turn < count, here, later) - inside, 0.0)
        return wait

    def breaks(self, way: int, number: int, begin_s: float, end_s: float) -> Floats:
        """Times (S, B) within [begin_s, end_s] at which the values jump or bend; what is not needed is end_s."""
        slot = self.draws(number)
        span = self.constants.load_step_s
        first = max(0, int((begin_s - slot.begin_s) / span) - 1)
        last = min(self._steps - 1, int((end_s - slot.begin_s) / span) + 1)
        steps = np.arange(first, last + 1)
        edges = np.broadcast_to(slot.begin_s + steps * span, (len(self), len(steps)))
        times = [edges, slot.begin_s + slot.outage_s[:, None], slot.gaps[0][way], slot.gaps[1][way]]
        if way == UP:
            count = slot.grants[:, steps]
            turn = np.arange(int(count.max()))
            grants = edges[:, :, None] + (turn + slot.phase[:, None, None]) * (span / count)[:, :, None]
            grants = np.where(turn < count[:, :, None], grants, np.inf)
            times.append(grants.reshape(len(self), -1))
        found = np.concatenate(times, axis=1)
        inside = (found > begin_s + 1e-9) & (found < end_s - 1e-9)
        found = np.sort(np.where(inside, found, end_s), axis=1)
        most = int(inside.sum(axis=1).max(initial=0))
        return found[:, :most]

    @property
    def most_grants_a_second(self) -> float:
        """Bound of the grants in a second, for the size of tables."""
        span = self.constants.load_step_s
        return max(1, ceil(span / self.constants.grant_s)) / span
