"""Estimators for round trips, loss and serving satellites: the same ones for what was measured and what is emulated.

Invariant: pure functions of arrays; times are seconds of UTC, a lost probe's round trip is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from emulator.model.network import Bools, Floats

SLOT_S = 15.0  # how long a serving satellite is kept, everywhere at once
RUN_PACKETS = 250  # of a run of pings in WetLinks
LEAST_IN_SLOT = 20  # probes, for a slot to count
EDGE_S = (0.1, 1.0)  # the last part and the first part of a slot, in which losses cluster


class BoxStatistics(NamedTuple):
    whisker_low: float
    q1: float
    median: float
    q3: float
    whisker_high: float


class Signature(NamedTuple):
    """What slots do to round trips. Steps are those between the medians of slots that follow one another."""

    phase_s: float  # second of the minute, modulo a slot, at which slots begin
    step_p50_s: float
    step_p90_s: float
    inside_s: float  # standard deviation inside a slot, root of the mean square over slots
    slots: int


class LossSummary(NamedTuple):
    """Losses in runs of RUN_PACKETS probes."""

    runs: int
    lossless: float  # share of the runs
    single: float  # share of the runs with loss that lost one packet
    share: float  # of all probes
    edge: float  # share of probes lost near the edges of slots, as a multiple of that elsewhere


def box(values: Floats) -> BoxStatistics:
    """Quartiles, and the last values within 1.5 interquartile ranges of the box. NaN where there are no values."""
    values = values[np.isfinite(values)]
    if not len(values):
        return BoxStatistics(*[np.nan] * 5)
    q1, median, q3 = np.percentile(values, [25, 50, 75])
    reach = 1.5 * (q3 - q1)
    inside = values[(values >= q1 - reach) & (values <= q3 + reach)]
    return BoxStatistics(float(inside.min()), float(q1), float(median), float(q3), float(inside.max()))


def run_means(t_s: Floats, rtt_s: Floats, packets: int, apart_s: float) -> tuple[Floats, Floats]:
    """Begin and mean round trip of each whole run of so many probes so far apart; NaN where a run lost all.

    Of probes that are closer together each takes part in one of several runs at the same time.
    """
    stride = max(1, round(apart_s / float(np.median(np.diff(t_s))))) if len(t_s) > 1 else 1
    whole = len(rtt_s) // (packets * stride)
    runs = rtt_s[: whole * packets * stride].reshape(whole, packets, stride).transpose(0, 2, 1).reshape(-1, packets)
    begin_s = t_s[: whole * packets * stride].reshape(whole, packets, stride)[:, 0].reshape(-1)
    answered = np.isfinite(runs).sum(axis=1)
    means: Floats = np.divide(np.nansum(runs, axis=1), answered, out=np.full(len(runs), np.nan), where=answered > 0)
    return begin_s, means


def signature(series: Sequence[tuple[Floats, Floats]], phase_s: float | None = None) -> Signature:
    """The signature of slots in series of (times, round trips), each of one terminal.

    The phase is the one that leaves the least variance inside slots, over all series together, to the second.
    """
    phases = np.arange(SLOT_S) if phase_s is None else np.array([phase_s])
    left = [sum(_variance_inside(t_s, rtt_s, phase) for t_s, rtt_s in series) for phase in phases]
    phase = float(phases[int(np.argmin(left))])
    medians, deviations, steps = [], [], []
    for t_s, rtt_s in series:
        slots, groups = by_slot(t_s, rtt_s, phase)
        full = [(slot, group) for slot, group in zip(slots, groups, strict=True) if len(group) >= LEAST_IN_SLOT]
        own = [float(np.median(group)) for _, group in full]
        steps += [abs(own[i + 1] - own[i]) for i in range(len(own) - 1) if full[i + 1][0] == full[i][0] + 1]
        medians += own
        deviations += [float(np.var(group)) for _, group in full]
    if not steps:
        return Signature(phase, np.nan, np.nan, np.nan, len(medians))
    p50, p90 = np.percentile(steps, [50, 90])
    return Signature(phase, float(p50), float(p90), float(np.sqrt(np.mean(deviations))), len(medians))


def loss_runs(lost: Bools, packets: int = RUN_PACKETS) -> Floats:
    """Share of lost probes in each whole run of so many."""
    shares: Floats = lost[: len(lost) // packets * packets].reshape(-1, packets).mean(axis=1)
    return shares


def losses(series: Sequence[tuple[Floats, Floats]], phase_s: float) -> LossSummary:
    """How loss spreads over runs, and over the slots that begin at `phase_s`."""
    shares = np.concatenate([loss_runs(np.isnan(rtt_s)) for _, rtt_s in series] or [np.zeros(0)])
    t_s = np.concatenate([t_s for t_s, _ in series] or [np.zeros(0)])
    lost = np.concatenate([np.isnan(rtt_s) for _, rtt_s in series] or [np.zeros(0, dtype=bool)])
    into_s = np.mod(t_s - phase_s, SLOT_S)
    edge = (into_s >= SLOT_S - EDGE_S[0]) | (into_s < EDGE_S[1])
    lossy = shares[shares > 0]
    elsewhere = _mean(lost[~edge])
    return LossSummary(
        len(shares),
        _mean(shares == 0),
        _mean(np.round(lossy * RUN_PACKETS) == 1),
        _mean(lost),
        _mean(lost[edge]) / elsewhere if elsewhere > 0 else np.nan,
    )


def share_at_most(values: Floats, at: Floats) -> Floats:
    """Distribution of `values`, read at the places `at`."""
    shares: Floats = np.searchsorted(np.sort(values), at, side="right") / max(1, len(values))
    return shares


def spread_of(groups: Sequence[Floats], share: float, seed: int, times: int = 100) -> float:
    """Standard error of a quantile, by drawing groups of values again (bootstrap); NaN where there are fewer than two.

    What belongs to one slot has one draw of the model behind it, so it is one group, however many probes it has.
    """
    groups = [group for group in groups if len(group)]
    if len(groups) < 2:
        return float("nan")
    drawn = np.random.default_rng(seed).integers(len(groups), size=(times, len(groups)))
    return float(np.std([np.quantile(np.concatenate([groups[place] for place in places]), share) for places in drawn]))


def by_slot(t_s: Floats, rtt_s: Floats, phase_s: float) -> tuple[list[int], list[Floats]]:
    """Numbers of slots, and the answered round trips of each; times must ascend."""
    answered = np.isfinite(rtt_s)
    number = np.floor((t_s[answered] - phase_s) / SLOT_S).astype(np.int64)
    slots, first = np.unique(number, return_index=True)
    return slots.tolist(), np.split(rtt_s[answered], first[1:])


def _variance_inside(t_s: Floats, rtt_s: Floats, phase_s: float) -> float:
    """Squares of the distances from the mean of each slot, added up."""
    answered = np.isfinite(rtt_s)
    slot = np.floor((t_s[answered] - phase_s) / SLOT_S).astype(np.int64)
    slot -= slot[:1].sum()  # of the first one: times ascend
    values = rtt_s[answered]
    count, total = np.bincount(slot), np.bincount(slot, values)
    return float(np.sum(values**2) - np.sum(np.divide(total**2, count, out=np.zeros(len(count)), where=count > 0)))


def _mean(values: Floats | Bools) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
