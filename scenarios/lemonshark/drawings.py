"""Figures of DAG-BFT runs: early against commit latency, a window of the DAG, throughput, and sweeps.

Invariant: only what validators told is drawn; a parent that no event names has no line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from emulator.report import drawing
from scenarios.lemonshark.latency import at_author
from scenarios.lemonshark.observed import Observed, Slot

if TYPE_CHECKING:
    import polars

TRUSTED = (0, 1)  # exit codes of runs whose figures count
EARLY, COMMIT, FALLBACK, PALE = drawing.PALETTE[2], drawing.PALETTE[0], drawing.PALETTE[1], "#b8b8b8"
BINS = 60  # of throughput over time, at most
MOST_WINDOW = 40  # rounds that can be told apart


def shares(seen: Observed) -> drawing.Drawing:
    """Shares of the blocks that are answered and committed within a time, at their authors."""
    figure, axes = drawing.new()
    blocks = _shares(axes, seen, "", "-")
    caption = f"{blocks:,} blocks, each at its author. Dotted: means."
    return drawing.Drawing("latency", "Early finality against commit", caption, figure)


def two_shares(one: tuple[str, Observed], other: tuple[str, Observed]) -> drawing.Drawing:
    """The same of two runs, each with its name, on one pair of axes."""
    figure, axes = drawing.new(height_in=4.2)
    counts = [
        _shares(axes, seen, f"{name}, ", style) for (name, seen), style in zip((one, other), ("-", "--"), strict=True)
    ]
    caption = f"{counts[0]:,} blocks of {one[0]} (solid) and {counts[1]:,} of {other[0]} (dashed), at their authors."
    return drawing.Drawing("latencies", "Early finality against commit in two runs", caption, figure)


def _shares(axes: Any, seen: Observed, prefix: str, style: str) -> int:
    """Draw the two distributions of a run; of how many blocks."""
    import numpy as np

    latencies = np.array([(answer_s, commit_s) for _, answer_s, commit_s in at_author(seen)]) * 1e3
    heights = np.arange(1, len(latencies) + 1) / len(latencies)
    for column, colour, label in ((0, EARLY, "early or committed"), (1, COMMIT, "committed")):
        values = np.sort(latencies[:, column])
        text = f"{prefix}{label}: mean {values.mean():,.0f} ms"
        axes.step(values, heights, style, where="post", color=colour, label=text)
        axes.axvline(float(values.mean()), color=colour, linewidth=0.8, linestyle=":")
    axes.set(xlabel="time since the block was made, ms", ylabel="share of blocks", ylim=(0, 1), xlim=(0, None))
    axes.legend(loc="lower right")
    return len(latencies)


def window(seen: Observed, first: int, rounds: int, viewer: int) -> drawing.Drawing:
    """The blocks of some rounds as one validator saw them: leaders, early blocks, and what was not committed."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = drawing.new(height_in=max(2.4, 0.9 + 0.26 * len(seen.validators)))
    inside = sorted(slot for slot in seen.made if first <= slot[0] < first + rounds)
    there = set(inside)
    lines = [
        ((round - 1, parent), (round, author))
        for round, author in inside
        for parent in seen.parents.get((round, author), ())
        if (round - 1, parent) in there
    ]
    _edges(axes, lines)
    leaders = {entry.leader: entry.kind for entry in seen.logs.get(viewer, {}).values()}
    kinds: dict[str, list[Slot]] = {"early": [], "committed": [], "open": []}
    for slot in inside:
        committed_s = seen.committed.get(slot, {}).get(viewer)
        early_s = seen.early.get(slot, {}).get(viewer)
        early = early_s is not None and (committed_s is None or early_s < committed_s)
        kinds["early" if early else "open" if committed_s is None else "committed"].append(slot)
    for kind, colour, label in (
        ("early", EARLY, "early"), ("committed", COMMIT, "committed, not early"), ("open", PALE, "neither"),
    ):  # fmt: skip
        _dots(axes, kinds[kind], label, s=34, color=colour, zorder=3)
    for kind, colour in (("steady", drawing.INK), ("fallback", FALLBACK)):
        ringed = [slot for slot in inside if leaders.get(slot) == kind]
        _dots(axes, ringed, f"{kind} leader", s=130, facecolors="none", edgecolors=colour, linewidths=1.6, zorder=4)
    axes.set_yticks(range(len(seen.validators)), seen.validators)
    axes.set(xlabel="round", xlim=(first - 0.7, first + rounds - 0.3), ylim=(len(seen.validators) - 0.4, -0.6))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5)
    caption = f"Rounds {first} to {first + rounds - 1} as {seen.validators[viewer]} saw them by the end of the run."
    if lines:
        caption += " Lines lead from blocks to their parents."
    return drawing.Drawing("dag", "The DAG", caption, figure)


def _edges(axes: Any, lines: Iterable[tuple[Slot, Slot]]) -> None:
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection(list(lines), colors=PALE, linewidths=0.45, zorder=1))


def _dots(axes: Any, slots: Sequence[Slot], label: str, **style: Any) -> None:
    if slots:
        axes.scatter([round for round, _ in slots], [author for _, author in slots], label=label, **style)


def window_of(seen: Observed, first: int, rounds: int) -> tuple[int, int]:
    """The window to draw: as asked, or (`first` 0) around the middle of the rounds that there were."""
    last = max((round for round, _ in seen.made), default=0)
    rounds = max(1, min(rounds, MOST_WINDOW))
    return (first or max(1, (last - rounds) // 2 + 1)), rounds


def throughput(seen: Observed) -> drawing.Drawing:
    """What was committed over time: transactions a second where their number is known, else blocks."""
    writer = seen.writer()
    amounts: Counter[int] = Counter()
    log, times_s = seen.log(), seen.commit_s.get(writer or 0, {})
    counted = seen.transactions.get(writer or 0, {})
    width_s = max(1.0, max(times_s.values(), default=0.0) / BINS)
    for index, entry in log.items():
        amounts[int(times_s[index] // width_s)] += counted.get(index, 0) if counted else len(entry.blocks)
    figure, axes = drawing.new()
    bins = max(amounts, default=0) + 1
    rates = [amounts[place] / width_s for place in range(bins)]
    axes.stairs(rates, [width_s * place for place in range(bins + 1)], linewidth=1.6, color=COMMIT)
    what = "transactions" if counted else "blocks"
    drawing.over_time(axes).set(ylabel=f"{what} a second", ylim=(0, None), xlim=(0, None))
    caption = f"Committed {what} in steps of {width_s:g} s, at the validator with the longest log."
    return drawing.Drawing("throughput", "Throughput over time", caption, figure)


PHASES = (("certificate_s", "certificate", FALLBACK), ("block_early_s", "early", EARLY),
          ("block_commit_s", "commit", COMMIT))  # fmt: skip


def phases(samples: polars.DataFrame) -> drawing.Drawing | None:
    """How long own blocks took to their certificate, early finality and commit, over time; None: nobody told."""
    import polars

    told = samples.filter(polars.col("name").is_in([name for name, _, _ in PHASES]))
    if told.is_empty():
        return None
    figure, axes = drawing.new()
    width_s = max(1.0, float(told["t_s"].max() or 0.0) / BINS)  # type: ignore[arg-type]
    medians = told.group_by("name", (polars.col("t_s") // width_s).alias("bin")).agg(polars.col("value").median())
    for name, label, colour in PHASES:
        line = medians.filter(polars.col("name") == name).sort("bin")
        times_s = [(place + 0.5) * width_s for place in line["bin"]]
        axes.plot(times_s, [1e3 * value_s for value_s in line["value"]], linewidth=1.6, color=colour, label=label)
    drawing.over_time(axes).set(ylabel="time since the header was made, ms", ylim=(0, None), xlim=(0, None))
    axes.legend(loc="best")
    caption = f"Medians over all validators' own blocks, in steps of {width_s:g} s."
    return drawing.Drawing("phases", "Phases of blocks over time", caption, figure)


def swept(table: polars.DataFrame, key: str, label: str) -> drawing.Drawing:
    """Early and commit latency against a swept key, a line for each value of the other keys."""
    import polars

    if "exit_code" in table.columns:
        table = table.filter(polars.col("exit_code").is_in(TRUSTED))
    others = [name for name in ("validators", "faults.crash", "consensus.protocol", "topology")
              if name in table.columns and name != key and table[name].n_unique() > 1]  # fmt: skip
    groups: dict[tuple[Any, ...], dict[float, list[tuple[float, float]]]] = {}
    for row in table.iter_rows(named=True):
        if row.get("commit_ms") is not None and row.get("early_ms") is not None:
            group = groups.setdefault(tuple(row[name] for name in others), {})
            group.setdefault(float(row[key]), []).append((row["early_ms"], row["commit_ms"]))
    figure, axes = drawing.new()
    for colour, (values, points) in zip(drawing.PALETTE * 8, sorted(groups.items(), key=str), strict=False):
        name = ", ".join(f"{_short(other)} {value}" for other, value in zip(others, values, strict=True))
        for column, style, what in ((1, "o-", "commit"), (0, "s--", "early")):
            xs = sorted(points)
            ys = [fmean(pair[column] for pair in points[x]) for x in xs]
            axes.plot(xs, ys, style, color=colour, label=f"{what}, {name}" if name else what)
    axes.set(xlabel=label, ylabel="mean latency at the author, ms", ylim=(0, None))
    axes.set_xticks(sorted({x for points in groups.values() for x in points}))
    axes.legend(loc="best", fontsize=8)
    caption = "Solid: commit. Dashed: early finality or commit, whichever comes first. Means over the runs."
    return drawing.Drawing(f"latency-{_short(key)}", f"Latency against {label}", caption, figure)


def _short(key: str) -> str:
    return key.rpartition(".")[2]
