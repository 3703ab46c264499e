"""Plots of every run, whatever its protocols: lateness, scheduled and measured delays, rates, drops over time.

Invariant: each point is a value of links.parquet or a sum, mean or maximum over link ends of one interval.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from emulator.record.load import Run
from emulator.report.drawing import INK, PALETTE, Drawing, new, over_time
from emulator.report.sections.links import CAUSES, by_end

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

LATE_READING = "Ends are read in turn, so that what happened may stand up to a second late."
MOST_ENDS = 5  # with a line of their own


def drawings(run: Run, nodes: Collection[str] = ()) -> list[Drawing]:
    """Those of them for which the run has values. `nodes` are the live ones, whose link ends are drawn first."""
    if run.links.is_empty():
        return []
    made = [lateness(run), delays(run), rates(run, nodes), drops(run)]
    return [each for each in made if each is not None]


def lateness_by_time(links: pl.DataFrame) -> pl.DataFrame:
    """For each interval with packets handed to nodes: t_s, their mean lateness, the worst end's, the largest so far."""
    import polars as pl

    told = links.filter(pl.col("late_ms").is_not_null() & (pl.col("late_max_ms") > 0))
    weight = pl.col("delivered_packets")
    return (
        told.group_by("t_s")
        .agg(
            ((pl.col("late_ms") * weight).sum() / weight.sum()).alias("mean_ms"),
            pl.col("late_ms").max().alias("worst_ms"),
            pl.col("late_max_ms").max().alias("max_ms"),
        )
        .sort("t_s")
        .with_columns(pl.col("max_ms").cum_max())
    )


def lateness(run: Run) -> Drawing | None:
    """How late packets were, over time."""
    table = lateness_by_time(run.links)
    if table.is_empty():
        return None
    figure, axes = new()
    for column, colour, label in (
        ("max_ms", PALETTE[1], "one packet, so far"), ("worst_ms", PALETTE[4], "worst link end's mean"),
        ("mean_ms", PALETTE[0], "mean of all packets"),
    ):  # fmt: skip
        axes.plot(table["t_s"].to_list(), table[column].to_list(), ".-", color=colour, label=label)
    over_time(axes).set(ylabel="late by ms", xlim=(0, None))
    if _wide(table):
        axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(bottom=0)
    _legend(axes)
    caption = "How much later than asked packets left the emulator, in each interval of links.parquet."
    return Drawing("lateness", "Lateness over time", caption, figure)


def delays(run: Run) -> Drawing | None:
    """Delay asked against seen, of the busiest link ends and of those whose packets were latest."""
    import polars as pl

    told = run.links.filter(pl.col("delivered_delay_ms").is_not_null() & (pl.col("late_max_ms") > 0))
    ends = by_end(told)
    if ends.is_empty():
        return None
    busiest = ends.sort("delivered_bps", descending=True)["end"].to_list()[:2]
    latest = ends.sort("late_ms", descending=True, nulls_last=True)["end"].to_list()
    names = [*busiest, *(name for name in latest if name not in busiest)][: MOST_ENDS - 1]
    figure, axes = new(height_in=4.2)
    for colour, name in zip(PALETTE, names, strict=False):
        rows = told.filter(pl.col("end") == name)
        times = rows["t_s"].to_list()
        axes.plot(times, rows["delivered_delay_ms"].to_list(), ".-", color=colour, linewidth=1.0, label=name)
        axes.plot(times, rows["asked_delay_ms"].to_list(), "--", color=colour, linewidth=0.9)
    axes.plot([], [], "--", color=INK, linewidth=0.9, label="asked")
    over_time(axes).set(ylabel="delay in ms", xlim=(0, None))
    _legend(axes)
    caption = "The two busiest link ends that lead to a node and the two with the latest packets; means of intervals."
    return Drawing("delays", "Delay asked and seen", caption, figure)


def rates(run: Run, nodes: Collection[str] = ()) -> Drawing | None:
    """Offered and delivered rate of the busiest link ends, of live nodes where those are known."""
    import polars as pl

    links = but_last(run.links)
    ends = by_end(links)
    of_live = ends.filter(pl.col("end").str.split(":").list.first().is_in(list(nodes)))
    ranked = (ends if of_live.is_empty() else of_live).sort(["delivered_bps", "end"], descending=[True, False])
    busy = ranked.head(MOST_ENDS)["end"].to_list()
    figure, axes = new()
    for colour, name in zip(PALETTE, busy, strict=False):
        rows = links.filter(pl.col("end") == name)
        for column, style, width, label in (("asked_bps", ":", 1.1, None), ("delivered_bps", "-", 1.5, name)):
            values, edges = steps(rows["t_s"].to_list(), rows["interval_s"].to_list(), (rows[column] / 1e6).to_list())
            axes.stairs(values, edges, baseline=None, linestyle=style, linewidth=width, color=colour, label=label)
    axes.plot([], [], ":", color=INK, label="offered")
    over_time(axes).set(ylabel="Mbit/s", xlim=(0, None))
    axes.set_ylim(bottom=0)
    _legend(axes)
    of_nodes = "" if of_live.is_empty() else " of live nodes"
    caption = (
        f"The {len(busy)} busiest link ends{of_nodes}. Solid: delivered, dotted: offered by the sender. {LATE_READING}"
    )
    return Drawing("rates", "Rates over time", caption, figure)


def drops(run: Run) -> Drawing | None:
    """Packets dropped in each interval by cause, over all link ends; None where none were."""
    table = drops_by_time(run.links)
    causes = [cause for cause in CAUSES if table[f"drop_{cause}"].sum()]
    if not causes:
        return None
    figure, axes = new()
    widths = table["interval_s"].to_list()
    starts = (table["t_s"] - table["interval_s"]).to_list()
    base = [0.0] * table.height
    for colour, cause in zip(PALETTE, causes, strict=False):
        counts = [float(count) for count in table[f"drop_{cause}"]]
        label = f"{cause} {sum(counts):,.0f}"
        axes.bar(starts, counts, widths, bottom=base, align="edge", color=colour, label=label)
        base = [below + count for below, count in zip(base, counts, strict=True)]
    over_time(axes).set(ylabel="packets dropped", xlim=(0, None))
    _legend(axes)
    caption = f"Packets that links dropped, by cause, in each interval; all link ends. {LATE_READING}"
    return Drawing("drops", "Drops over time", caption, figure)


def drops_by_time(links: pl.DataFrame) -> pl.DataFrame:
    """For each interval: t_s and drop_* summed over all link ends."""
    import polars as pl

    sums = [pl.col(f"drop_{cause}").sum() for cause in CAUSES]
    return links.group_by("t_s").agg(pl.col("interval_s").max(), *sums).sort("t_s")


def but_last(links: pl.DataFrame) -> pl.DataFrame:
    """Without the last interval, where there are several: ends are read up to a second before an interval closes, so
    that the last one holds more than what its length had, and would show as a rate that never was."""
    import polars as pl

    return links.filter(pl.col("t_s") < pl.col("t_s").max()) if links["t_s"].n_unique() > 2 else links


def steps(ends_s: list[float], lengths_s: list[float], values: list[float]) -> tuple[list[float], list[float]]:
    """Values and edges of a staircase from intervals by their ends; 0 where there is no interval."""
    heights: list[float] = []
    edges: list[float] = []
    for end_s, length_s, value in zip(ends_s, lengths_s, values, strict=True):
        start_s = end_s - length_s
        if not edges:
            edges.append(start_s)
        elif start_s > edges[-1] + 0.01 * length_s:
            heights.append(0.0)
            edges.append(start_s)
        heights.append(value)
        edges.append(end_s)
    return heights, edges


def _wide(table: pl.DataFrame) -> bool:
    """Whether the largest lateness would press the mean flat on a linear axis."""
    largest: Any = table["max_ms"].max()
    usual: Any = table["mean_ms"].median()
    return bool(usual and largest / usual > 50)


def _legend(axes: Axes) -> None:
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
