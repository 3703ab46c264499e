"""Two runs on one pair of axes: lateness, rates and drops over time, and every sample that both have.

Invariant: only what both runs have is drawn, the first run solid and the second dashed, under the names that the
caller gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from emulator.model.errors import DataError
from emulator.record.load import Run
from emulator.report.drawing import PALETTE, Drawing, new, over_time, panels
from emulator.report.sections.plots import but_last, lateness_by_time

if TYPE_CHECKING:
    import polars as pl

MOST_SAMPLES = 8  # names of samples that are drawn
MOST_POINTS = 500  # of a distribution
MOST_BINS = 120  # of a line over time
STYLES = (("-", PALETTE[0]), ("--", PALETTE[1]))
Line = tuple[list[float], list[float]]


def drawings(first: Run, second: Run, names: tuple[str, str] = ("a", "b")) -> list[Drawing]:
    """What both runs have over time, and the distributions of what both have sampled."""
    made = [
        _over_time("lateness", "Lateness over time", "mean lateness of packets in ms", _lateness, first, second, names),
        _over_time("rates", "Rates over time", "handed to nodes, Mbit/s", _rate, first, second, names),
        _over_time("drops", "Drops over time", "packets dropped in an interval", _drops, first, second, names),
    ]
    try:
        samples = (first.samples, second.samples)
    except DataError:
        return [each for each in made if each is not None]
    counts = dict(samples[0]["name"].value_counts(sort=True).iter_rows())
    shared = set(samples[1]["name"].unique())
    chosen = sorted((name for name in counts if name in shared), key=lambda name: (-counts[name], name))
    made += [_sampled(name, samples, names) for name in chosen[:MOST_SAMPLES]]
    return [each for each in made if each is not None]


def distribution(values: pl.Series) -> Line:
    """Values in order with the share of values up to each; at most MOST_POINTS of them, first and last among them."""
    import numpy as np

    ordered = np.sort(values.to_numpy())
    places = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), MOST_POINTS)).round().astype(int))
    return ordered[places].tolist(), ((places + 1) / len(ordered)).tolist()


def medians(samples: pl.DataFrame) -> Line:
    """Middle of each bin of time and the median of its samples; bins of a second, longer ones for long runs."""
    import polars as pl

    last = samples["t_s"].max()
    width_s = max(1.0, (last if isinstance(last, float) else 0.0) / MOST_BINS)
    bins = (pl.col("t_s") / width_s).floor().alias("bin")
    table = samples.group_by(bins).agg(pl.col("value").median()).sort("bin")
    return ((table["bin"] + 0.5) * width_s).to_list(), table["value"].to_list()


def _over_time(
    name: str, title: str, label: str, line: Callable[[Run], Line], first: Run, second: Run, names: tuple[str, str]
) -> Drawing | None:
    try:
        lines = [line(run) for run in (first, second)]
    except DataError:
        return None
    if not all(times for times, _ in lines):
        return None
    figure, axes = new()
    for (times, values), (style, colour), run_name in zip(lines, STYLES, names, strict=True):
        axes.plot(times, values, style, color=colour, label=run_name)
    over_time(axes).set(ylabel=label, xlim=(0, None))
    axes.set_ylim(bottom=0)
    axes.legend(loc="best")
    return Drawing(f"both-{name}", title, f"Solid: {names[0]}. Dashed: {names[1]}.", figure)


def _lateness(run: Run) -> Line:
    if run.links.is_empty():
        return [], []
    table = lateness_by_time(run.links)
    return table["t_s"].to_list(), table["mean_ms"].to_list()


def _rate(run: Run) -> Line:
    """Delivered by the link ends that lead to nodes: those that know of lateness."""
    import polars as pl

    late = but_last(run.links).filter(pl.col("late_max_ms") > 0)
    table = late.group_by("t_s").agg(pl.col("delivered_bps").sum() / 1e6).sort("t_s")
    return table["t_s"].to_list(), table["delivered_bps"].to_list()


def _drops(run: Run) -> Line:
    """Empty where nothing was dropped in the whole run."""
    import polars as pl

    drops = pl.sum_horizontal(pl.col("^drop_.*$")).alias("drops")
    table = run.links.with_columns(drops).group_by("t_s").agg(pl.col("drops").sum()).sort("t_s")
    return (table["t_s"].to_list(), table["drops"].to_list()) if table["drops"].sum() else ([], [])


def _sampled(name: str, samples: tuple[pl.DataFrame, pl.DataFrame], names: tuple[str, str]) -> Drawing:
    """Distribution beside medians over time of one kind of sample."""
    import polars as pl

    both = [table.filter((pl.col("name") == name) & pl.col("value").is_finite()) for table in samples]
    scale, label = _unit(name, both)
    figure, (shares, times) = panels(2, width_in=9.0)
    for table, (style, colour), run_name in zip(both, STYLES, names, strict=True):
        if table.is_empty():
            continue
        values, heights = distribution(table["value"] * scale)
        shares.step(values, heights, style, where="post", color=colour, label=f"{run_name} ({table.height:,})")
        at_s, middle = medians(table)
        times.plot(at_s, [scale * value for value in middle], style, color=colour, label=run_name)
    shares.set(xlabel=label, ylabel="share", ylim=(0, 1))
    over_time(times).set(ylabel=f"median of {label}", xlim=(0, None))
    shares.legend(loc="best")
    caption = f"All samples {name}: their distribution, and medians over time. Solid: {names[0]}. Dashed: {names[1]}."
    plain = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)[:60]
    return Drawing(f"both-{plain}", name, caption, figure)


def _unit(name: str, both: list[pl.DataFrame]) -> tuple[float, str]:
    """By what to multiply, and what to call it: times below ten seconds in ms, rates in Mbit/s."""
    stem, _, unit = name.rpartition("_")
    largest = max((float(table["value"].abs().max() or 0.0) for table in both), default=0.0)  # type: ignore[arg-type]
    if unit == "s" and largest < 10:
        return 1e3, f"{stem} in ms"
    if unit == "bps":
        return 1e-6, f"{stem} in Mbit/s"
    return 1.0, name
