"""Drawings of `leo_access`: distributions of round trips and throughput, measured and emulated in one plot.

Invariant: measured is black, what we emulate blue, rivals the other colours; points on a measured curve are the ones
that were published, and nothing is drawn between them that was not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.report import drawing
from emulator.report.drawing import Drawing
from scenarios.leo_access.emulated import BENT_PIPE, DOWN, END_TO_END, UP, Emulated, pooled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from emulator.model.network import Floats
    from scenarios.leo_access.importers import Box
    from scenarios.leo_access.measured import Measured

QUARTERS = "Points: measured quartiles; bars: whiskers."
PLACES = ((BENT_PIPE, "bent pipe"), (END_TO_END, "end to end"))


def of_run(seen: Emulated) -> list[Drawing]:
    """Round trips (means of runs of pings) and throughput of one run."""
    made = []
    trips = [(name, pooled(seen.means_s(program)) * 1e3) for program, name in PLACES]
    if any(len(values) for _, values in trips):
        figure, axes = drawing.new()
        for colour, (name, values) in zip(drawing.PALETTE, trips, strict=False):
            steps(axes, values, colour, f"{name} ({len(values)} runs of pings)")
        axes.set(xlabel="round trip, mean of a run of pings, in ms", ylabel="share", xlim=(0, None), ylim=(0, 1))
        axes.legend(loc="best")
        made.append(Drawing("round-trips", "Round trips", "Means of runs of pings, over all hours.", figure))
    rates = [(name, seen.bps(direction) / 1e6) for direction, name in ((DOWN, "download"), (UP, "upload"))]
    if any(len(values) for _, values in rates):
        figure, pair = drawing.panels(2)
        for axes, (name, values) in zip(pair, rates, strict=True):
            steps(axes, values, drawing.PALETTE[0], f"{len(values)} flows")
            axes.set(xlabel=f"{name} in Mbit/s", ylabel="share", xlim=(0, None), ylim=(0, 1))
            axes.legend(loc="best")
        made.append(Drawing("throughput", "Throughput", "TCP, all streams of a terminal together.", figure))
    return made


def of_validation(measured: Measured, emulated: Emulated, rivals: Mapping[str, Emulated]) -> list[Drawing]:
    """Measured and emulated distributions, hours and rain."""
    made = [_bent_pipe(measured, emulated, rivals)]
    if box := measured.box("rtt_end_to_end"):
        figure, axes = drawing.new()
        _box_and_steps(axes, box, pooled(emulated.means_s(END_TO_END)) * 1e3)
        axes.set(xlabel="end-to-end round trip, mean of a run of pings, in ms", ylabel="share", ylim=(0, 1))
        axes.legend(loc="best")
        made.append(Drawing("end-to-end", "End-to-end round trips", f"{QUARTERS} Steps: emulated.", figure))
    if len(emulated.bps(DOWN)) and measured.box("download_throughput"):
        made += [_throughput(measured, emulated), _groups(measured, emulated)]
    return made


def _bent_pipe(measured: Measured, emulated: Emulated, rivals: Mapping[str, Emulated]) -> Drawing:
    """Round trips over the satellite: as measured, as emulated, and as the rules of others have them."""
    figure, axes = drawing.new()
    box = measured.box("rtt_bent_pipe")
    if box is not None:
        _box_and_steps(axes, box, pooled(emulated.means_s(BENT_PIPE)) * 1e3)
        what = "mean of a run of pings, "
        caption = f"{QUARTERS} Steps: emulated, and what the rules of other emulators give for the same place."
    else:
        for trace in measured.slots:
            steps(axes, trace.rtt_s * 1e3, drawing.INK, f"measured, {len(trace.t_s):,} pings", linewidth=1.6)
        steps(axes, pooled(emulated.singles_s(BENT_PIPE)) * 1e3, drawing.PALETTE[0], "emulated", linewidth=1.6)
        what, caption = "", "Single pings, and what the rules of other emulators give for the same place."
    for colour, (rival, seen) in zip(drawing.PALETTE[1:], rivals.items(), strict=False):
        steps(axes, pooled(seen.singles_s(BENT_PIPE)) * 1e3, colour, f"rule of {rival}", linestyle="--")
    axes.set(xlabel=f"bent-pipe round trip, {what}in ms", ylabel="share", xlim=(0, None), ylim=(0, 1))
    axes.legend(loc="lower right")
    return Drawing("bent-pipe", "Bent-pipe round trips", caption, figure)


def _throughput(measured: Measured, emulated: Emulated) -> Drawing:
    figure, pair = drawing.panels(2)
    for axes, metric, direction in zip(pair, ("download", "upload"), (DOWN, UP), strict=True):
        box = measured.box(f"{metric}_throughput")
        if box is not None:
            _box_and_steps(axes, box, emulated.bps(direction) / 1e6)
        axes.set(xlabel=f"{metric} in Mbit/s", ylabel="share", xlim=(0, None), ylim=(0, 1))
        axes.legend(loc="lower right")
    return Drawing("throughput", "Throughput", f"{QUARTERS} Steps: emulated TCP.", figure)


def _groups(measured: Measured, emulated: Emulated) -> Drawing:
    """Median download by hour of the day and by class of rain."""
    import numpy as np

    from scenarios.leo_access.recipe import RAIN_MM_H
    from scenarios.leo_access.scoring import RAIN_GROUPS

    figure, (left, right) = drawing.panels(2)
    hours = [f"hour={hour:02}" for hour in range(24)]
    rains = [f"rain_mm={group}" for group in RAIN_GROUPS]
    here = [emulated.bps(DOWN, hour=hour) for hour in range(24)], [emulated.bps(DOWN, rain_mm_h=r) for r in RAIN_MM_H]
    for axes, groups, values in ((left, hours, here[0]), (right, rains, here[1])):
        there = [measured.box("download_throughput", group) for group in groups]
        known = [place for place, box in enumerate(there) if box is not None]
        axes.plot(known, [box.median for box in there if box is not None], "o-", color=drawing.INK, label="measured")
        some = [place for place, flows in enumerate(values) if len(flows)]
        medians = [float(np.median(values[place])) / 1e6 for place in some]
        axes.plot(some, medians, "o-", color=drawing.PALETTE[0], label="emulated")
        axes.set(ylim=(0, None))
        axes.legend(loc="lower left")
    left.set(xlabel="local hour", ylabel="median download in Mbit/s")
    right.set(xlabel="rain in mm/h", xticks=range(len(RAIN_GROUPS)), xticklabels=RAIN_GROUPS)
    return Drawing("hours-and-rain", "Download by hour and in rain", "Medians of flows.", figure)


def _box_and_steps(axes: Axes, box: Box, values: Floats) -> None:
    axes.plot([box.q1, box.median, box.q3], [0.25, 0.5, 0.75], "o", color=drawing.INK, label="measured", zorder=4)
    axes.plot([box.whisker_low, box.whisker_high], [0, 1], "|", color=drawing.INK, markersize=12, clip_on=False)
    steps(axes, values, drawing.PALETTE[0], f"emulated ({len(values)})", linewidth=1.6)


def steps(axes: Axes, values: Floats, colour: str, label: str, **style: Any) -> None:
    """The distribution of some values."""
    import numpy as np

    ordered = np.sort(values[np.isfinite(values)])
    if len(ordered):
        shares = np.arange(1, len(ordered) + 1) / len(ordered)
        axes.step(ordered, shares, where="post", color=colour, label=label, **style)
