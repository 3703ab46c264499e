"""Figures of plurality consensus: shares over rounds, answers against opinions, wall time against latency.

Invariant: what is exact is drawn as a line, what was measured as points with four standard errors; a crossover is
marked only between two latencies that were measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from emulator.model.units import parse, show
from emulator.report import drawing

if TYPE_CHECKING:
    import polars

    from scenarios.plurality.observed import Observed

MOST_LINES = 6  # opinions with a colour of their own
TRUSTED = (0, 1)  # exit codes of runs whose figures count
RIVALS = ("dejavu", "h-majority")
Point = tuple[float, float, float | None]  # x, mean, standard error


def shares(seen: Observed) -> drawing.Drawing:
    """Opinion shares over the rounds of a run, with the exact expectation of each round from the one before."""
    import numpy as np

    from nodes.plurality.exact import expected_tally
    from scenarios.plurality.observed import opinions_of

    figure, axes = drawing.new()
    rule = seen.rule()
    tallies = np.array([opinions_of(look["tally"], rule) for look in seen.looks], float)
    times = [look["time"] for look in seen.looks]
    agents = tallies[0].sum()
    exact = seen.synchronous and not seen.config.get("neighbours")
    after, left_out = [], ""
    try:
        after = [expected_tally(rule, [int(count) for count in tally]) for tally in tallies[:-1]] if exact else []
    except ValueError as error:  # it would take too long
        exact, left_out = False, str(error).partition(";")[0]
    ranked = sorted(range(tallies.shape[1]), key=lambda opinion: -tallies[:, opinion].sum())
    for place, opinion in enumerate(ranked):
        named = place < MOST_LINES
        colour = drawing.PALETTE[place] if named else "#b0b0b0"
        name = "undecided" if opinion == len(seen.counts) else f"opinion {opinion}"
        label = name if named else ("others" if place == MOST_LINES else None)
        axes.plot(times, tallies[:, opinion] / agents, "o-", color=colour, label=label, zorder=2 + named)
        for at, expected in enumerate(after):
            line = [tallies[at, opinion] / agents, expected[opinion] / agents]
            axes.plot(times[at : at + 2], line, "--", color=colour, linewidth=0.9, zorder=2 + named)
    if exact:
        axes.plot([], [], "--", color=drawing.INK, linewidth=0.9, label="expected (exact)")
    axes.set(xlabel="round" if seen.synchronous else "parallel time", ylabel="share of agents", ylim=(-0.02, 1.02))
    axes.legend(loc="best")
    caption = "Share of the agents that hold each opinion."
    if exact:
        caption += " Dashed: where the exact law of one step leads from each observed round in expectation."
    if left_out:
        caption += f" Where each round leads in expectation is left out: {left_out}."
    return drawing.Drawing("shares", "Opinion shares over rounds", caption, figure)


def answers(table: polars.DataFrame) -> drawing.Drawing:
    """Answers an update and the win rate against the number of opinions."""
    from matplotlib.figure import Figure

    from nodes.plurality.exact import ramanujan_q

    with drawing.style():
        figure = Figure(figsize=(7.0, 5.0), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    groups = _by_protocol(table)
    for colour, (protocol, rows) in zip(drawing.PALETTE * 2, groups.items(), strict=False):
        measured = _points(rows, "opinions", "samples_per_update", float)
        _errorbars(upper, measured, colour, f"{protocol}, measured")
        expected = _points(rows, "opinions", "expected_samples_per_update", float)
        upper.plot(*_line(expected), "-", color=colour, label=f"{protocol}, exact for the shares observed")
        _errorbars(lower, _points(rows, "opinions", "win", float), colour, protocol)
    opinions = sorted({int(value) for value in table["opinions"]})
    if "dejavu" in groups or "" in groups:
        curve = [1 + ramanujan_q(k) for k in range(min(opinions), max(opinions) + 1)]
        upper.plot(
            range(min(opinions), max(opinions) + 1), curve, ":", color=drawing.INK, label="1 + Q(k), equal shares"
        )
    upper.set(ylabel="answers an update")
    lower.set(xlabel="opinions k", ylabel="win rate", xscale="log", ylim=(-0.05, 1.08))
    lower.set_xticks(opinions, [str(k) for k in opinions])
    lower.minorticks_off()
    upper.legend(loc="upper left")
    caption = (
        "Above: answers heard in one update, measured (bars: four standard errors) and exact from the shares at "
        "the start of each round. Dotted: the most that asking until an opinion repeats needs in the mean, where all "
        "shares are equal. Below: how often the largest opinion won."
    )
    return drawing.Drawing("answers", "Answers an update against opinions", caption, figure)


def waiting(table: polars.DataFrame) -> drawing.Drawing:
    """Wall time to consensus against the latency of the links."""
    figure, axes = drawing.new()
    groups = _by_protocol(table)
    lines: dict[str, list[Point]] = {}
    for colour, (protocol, rows) in zip(drawing.PALETTE * 2, groups.items(), strict=False):
        lines[protocol] = _points(rows, "latency", "asking_s", lambda value: parse(value, "duration"))
        scaled = [(1e3 * x, y, error) for x, y, error in lines[protocol]]
        _errorbars(axes, scaled, colour, protocol, "o-")
    caption = "Time from the first query to consensus, barriers between rounds left out, against the one-way latency."
    if all(rival in lines for rival in RIVALS):
        crossings = crossovers(lines[RIVALS[0]], lines[RIVALS[1]])
        for crossing in crossings:
            at_ms = 1e3 * crossing.x
            axes.plot([at_ms], [crossing.y], "o", markersize=11, markerfacecolor="none", color=drawing.INK)
            axes.annotate(f"crossover at {at_ms:.3g} ms", (at_ms, crossing.y), (8, -14), textcoords="offset points")
        where = " and ".join(crossing.words() for crossing in crossings) or "none in this range"
        caption += f" Crossover of DéjàVu and h-majority: {where}."
    axes.set(xlabel="latency, one way (ms)", ylabel="wall time to consensus (s)", ylim=(0, None))
    axes.legend(loc="best")
    return drawing.Drawing("waiting", "Wall time against link latency", caption, figure)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where two measured lines cross; `certain`: on both sides they differ by more than their scatter."""

    x: float
    y: float
    certain: bool

    def words(self) -> str:
        return show(round(self.x, 6), "duration") + ("" if self.certain else " (within the scatter of the runs)")


def crossovers(one: Sequence[Point], other: Sequence[Point]) -> list[Crossing]:
    """Where two lines, given at the same places, cross: by linear interpolation between neighbouring places."""
    there = {x: (y, error) for x, y, error in other}
    both = [
        (x, y, y - there[x][0], 2 * hypot(error or 0.0, there[x][1] or 0.0)) for x, y, error in one if x in there
    ]  # place, height, gap, scatter of the gap
    found = []
    for (x0, y0, gap0, scatter0), (x1, y1, gap1, scatter1) in pairwise(both):
        if gap0 * gap1 < 0:
            part = gap0 / (gap0 - gap1)
            certain = abs(gap0) > scatter0 and abs(gap1) > scatter1
            found.append(Crossing(x0 + part * (x1 - x0), y0 + part * (y1 - y0), certain))
    return found


def _by_protocol(table: polars.DataFrame) -> dict[str, polars.DataFrame]:
    """The trusted rows of each protocol, in the order of the sweep; under "" where it was not swept."""
    import polars

    if "exit_code" in table.columns:
        table = table.filter(polars.col("exit_code").is_in(TRUSTED))
    if "protocol" not in table.columns:
        return {"": table}
    names = table["protocol"].unique(maintain_order=True)
    return {str(name): table.filter(polars.col("protocol") == name) for name in names}


def _points(table: polars.DataFrame, key: str, figure: str, number: Any) -> list[Point]:
    """Mean and standard error of a figure at each value of a key, sorted."""
    if figure not in table.columns:
        return []
    values: dict[float, list[float]] = {}
    for at, value in table.select(key, figure).iter_rows():
        if at is not None and value is not None:
            values.setdefault(number(at), []).append(float(value))
    return [(x, mean(ys), stdev(ys) / len(ys) ** 0.5 if len(ys) > 1 else None) for x, ys in sorted(values.items())]


def _line(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _, _ in points], [y for _, y, _ in points]


def _errorbars(axes: Any, points: Sequence[Point], colour: str, label: str, style: str = "o") -> None:
    bars = [4 * (error or 0.0) for _, _, error in points]
    axes.errorbar(*_line(points), yerr=bars, fmt=style, color=colour, label=label.removeprefix(", "))
