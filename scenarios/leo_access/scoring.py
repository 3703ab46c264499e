"""Scores: each figure of the measurements beside the same figure of the emulation, with its error.

Invariant: both sides of a figure come from the same estimator. An error is past its tolerance only where it is so by
more than what a run of this length may miss by chance (two standard errors), so longer runs are the stricter ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, isfinite, isnan, nan

import numpy as np

from emulator.model.network import Floats
from scenarios.leo_access import estimators
from scenarios.leo_access.emulated import BENT_PIPE, DOWN, END_TO_END, UP, Emulated, pooled
from scenarios.leo_access.importers import LossCurve, Trace
from scenarios.leo_access.measured import Measured
from scenarios.leo_access.recipe import RAIN_MM_H

QUARTILES = {"q1": 0.25, "median": 0.5, "q3": 0.75}
RAIN_GROUPS = ("0", "0-1", "1-2", "2-3", "3-4", "4-5", ">5")
TIGHT, LOOSE, SITE, SLOTS, LOSS = 0.10, 0.15, 0.15, 0.30, 0.10  # tolerances where none is asked for
FEWEST = 5  # values from which a standard error is made: two draws again say nothing of what a third would be
SURE = 2.0  # standard errors


@dataclass(frozen=True, slots=True)
class Score:
    """One figure. `error` is relative, or absolute where `relative` is False; NaN where it could not be emulated.

    `tolerance` inf: shown, not judged."""

    group: str
    name: str
    unit: str
    measured: float
    emulated: float
    tolerance: float
    count: int = 0  # emulated values behind it
    scatter: float = nan  # standard error of `error`; inf: too few values to say; NaN: not known
    relative: bool = True

    @property
    def error(self) -> float:
        off = self.emulated - self.measured
        return off / self.measured if self.relative and self.measured else off

    @property
    def past(self) -> bool:
        """Whether the error is past the tolerance, surely."""
        if self.tolerance == inf:
            return False
        slack = 0.0 if isnan(self.scatter) else SURE * self.scatter
        return not abs(self.error) - slack <= self.tolerance


def scores(measured: Measured, emulated: Emulated, tolerance: float | None = None) -> list[Score]:
    """Every figure that both sides have. `tolerance`: instead of each figure's own, for relative errors."""
    found = [*_round_trips(measured, emulated), *_throughput(measured, emulated), *_groups(measured, emulated)]
    found += _of_traces(measured.traces, emulated)
    found += _slots(measured.slots, emulated)
    if measured.loss is not None:
        found += _loss(measured.loss, emulated)
    if tolerance is None:
        return found
    return [_with(score, tolerance) if score.relative and score.tolerance < inf else score for score in found]


def worst(found: Iterable[Score]) -> Score | None:
    """The largest relative error of those that are judged."""
    judged = [score for score in found if score.relative and score.tolerance < inf and isfinite(score.error)]
    return max(judged, key=lambda score: abs(score.error), default=None)


def _with(score: Score, tolerance: float) -> Score:
    from dataclasses import replace

    return replace(score, tolerance=tolerance)


def _round_trips(measured: Measured, emulated: Emulated) -> list[Score]:
    found = []
    for metric, program, name in (
        ("rtt_bent_pipe", BENT_PIPE, "bent-pipe round trip"),
        ("rtt_end_to_end", END_TO_END, "end-to-end round trip"),
    ):
        box = measured.box(metric)
        if box is not None and program in emulated.series:
            values = [group * 1e3 for group in emulated.means_s(program)]
            there = {each: getattr(box, each) for each in (*QUARTILES, "whisker_low", "whisker_high")}
            found += _box_scores(name, "ms", there, values, TIGHT)
    return found


def _throughput(measured: Measured, emulated: Emulated) -> list[Score]:
    found = []
    for metric, direction, name in (("download_throughput", DOWN, "download"), ("upload_throughput", UP, "upload")):
        box, values = measured.box(metric), _each(emulated.bps(direction) / 1e6)
        if box is not None and values:
            there = {each: getattr(box, each) for each in QUARTILES}
            found += _box_scores(name, "Mbit/s", there, values, TIGHT)
    return found


def _groups(measured: Measured, emulated: Emulated) -> list[Score]:
    """Medians of hours and of classes of rain."""
    found = []
    for metric, direction, name in (("download_throughput", DOWN, "download"), ("upload_throughput", UP, "upload")):
        for hour in range(24):
            box, values = measured.box(metric, f"hour={hour:02}"), _each(emulated.bps(direction, hour=hour) / 1e6)
            if box is not None and values:
                found.append(_quantile(f"{name} by hour", f"{hour:02} h", "Mbit/s", box.median, values, 0.5, LOOSE))
    for group, rain_mm_h in zip(RAIN_GROUPS, RAIN_MM_H, strict=True):
        box = measured.box("download_throughput", f"rain_mm={group}")
        values = _each(emulated.bps(DOWN, rain_mm_h=rain_mm_h) / 1e6)
        if box is not None and values:
            found.append(_quantile("download in rain", f"{group} mm", "Mbit/s", box.median, values, 0.5, LOOSE))
    return found


def _of_traces(traces: list[Trace], emulated: Emulated) -> list[Score]:
    """Single round trips of the site's own traces, all together."""
    if not traces or BENT_PIPE not in emulated.series:
        return []
    there_ms = np.concatenate([trace.rtt_s[np.isfinite(trace.rtt_s)] for trace in traces]) * 1e3
    here_ms = [group * 1e3 for group in emulated.singles_s(BENT_PIPE)]
    group, found = "single pings", []
    for name, share in {"p5": 0.05, **QUARTILES, "p95": 0.95}.items():
        tolerance = SITE if name in QUARTILES else inf
        found.append(_quantile(group, name, "ms", float(np.quantile(there_ms, share)), here_ms, share, tolerance))
    return found


def _slots(traces: list[Trace], emulated: Emulated) -> list[Score]:
    """What slots do, against all traces together."""
    series = emulated.pooled(BENT_PIPE)
    if not traces or not series:
        return []
    there = estimators.signature([(trace.t_s, trace.rtt_s) for trace in traces])
    here = estimators.signature(series)
    group, n = "slots", here.slots
    return [
        Score(group, "phase", "s", there.phase_s, here.phase_s, 0.0, n, relative=False),
        Score(group, "step of medians, p50", "ms", there.step_p50_s * 1e3, here.step_p50_s * 1e3, SLOTS, n),
        Score(group, "step of medians, p90", "ms", there.step_p90_s * 1e3, here.step_p90_s * 1e3, inf, n),
        Score(group, "deviation inside", "ms", there.inside_s * 1e3, here.inside_s * 1e3, SLOTS, n),
    ]


def _loss(curve: LossCurve, emulated: Emulated) -> list[Score]:
    """Losses of runs of pings: those that lost some, and how much."""
    series = emulated.pooled(END_TO_END)
    shares = np.concatenate([estimators.loss_runs(np.isnan(rtt_s)) for _, rtt_s in series] or [np.zeros(0)])
    lossy = shares[shares > 0]
    if not len(shares):
        return []
    one = 1.5 / estimators.RUN_PACKETS  # between one lost and two
    there = float(curve.share[curve.loss <= one].max(initial=0.0))
    at = np.unique(curve.loss)
    distance = np.nan
    if len(lossy):
        measured = np.array([curve.share[curve.loss <= place].max() for place in at])
        here = estimators.share_at_most(lossy, at + 0.5 / estimators.RUN_PACKETS)
        distance = float(np.abs(here - measured).max())
    single = float(np.mean(lossy <= one)) if len(lossy) else nan
    scatter = float(np.sqrt(max(single * (1 - single), 0.0) / len(lossy))) if len(lossy) else nan
    edge = estimators.losses(series, 12.0).edge
    return [
        Score("loss", "one of 250, of lossy runs", "", there, single, LOSS, len(lossy), scatter, relative=False),
        Score("loss", "distance of distributions", "", 0.0, distance, LOSS, len(lossy), scatter, relative=False),
        Score("loss", "lossless runs", "", nan, float(np.mean(shares == 0)), inf, len(shares), relative=False),
        Score("loss", "at slot edges, times elsewhere", "", nan, edge, inf, len(shares), relative=False),
    ]


def _each(values: Floats) -> list[Floats]:
    """Values that have nothing to do with one another."""
    return list(values[:, None])


def _box_scores(group: str, unit: str, there: dict[str, float], values: list[Floats], tolerance: float) -> list[Score]:
    here, count, found = estimators.box(pooled(values)), len(pooled(values)), []
    for name, expected in there.items():
        if name in QUARTILES:
            found.append(_quantile(group, name, unit, expected, values, QUARTILES[name], tolerance))
        else:
            label = name.replace("_", " ")
            # a whisker is the furthest of all values, so it depends on their number: shown, not judged
            found.append(Score(group, label, unit, expected, float(getattr(here, name)), inf, count))
    return found


def _quantile(
    group: str, name: str, unit: str, there: float, values: list[Floats], share: float, tolerance: float
) -> Score:
    every = pooled(values)
    here = float(np.quantile(every, share)) if len(every) else nan
    scatter = estimators.spread_of(values, share, 1) / there if len(values) >= FEWEST else inf
    return Score(group, name, unit, there, here, tolerance, len(every), scatter)
