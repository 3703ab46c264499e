"""Drawings of explorations: the way of one run, cover time and nodes seen against T, worst rings.

Invariant: what was observed over links and what the offline engine computed are told apart by marker and legend.
"""

from __future__ import annotations

import random
import statistics
from typing import TYPE_CHECKING

from emulator.report.drawing import PALETTE, Drawing, new
from nodes.explorer.core import Agent
from nodes.explorer.engine import play
from nodes.explorer.schedules import block_trees
from nodes.explorer.worst import worst_ring

if TYPE_CHECKING:
    import polars

    from scenarios.explore.observed import Observed

BLUE, RED, GREEN = PALETTE[:3]
GREY = "#8a8a8a"
MOST_STEPS = 300  # that a drawing shows
INTERVALS = (1, 2, 4, 8, 16, 32, 64, 128)
OFFLINE_RUNS = 8
OFFLINE_STEPS = 800
MOST_OFFLINE_EDGES = 600  # of a footprint that is played offline for a drawing
WORST_RINGS = (3, 4, 5, 6)


def way(seen: Observed) -> Drawing:
    """Node of the agent by step; on rings also the edges that were away, by the log of links."""
    path = seen.path[: MOST_STEPS + 1]
    nodes = seen.footprint.nodes
    figure, axes = new(7.0, max(2.4, min(6.0, 0.22 * nodes + 1.2)))
    if seen.footprint.is_ring:
        gaps = [
            (step, a + 0.5 if b == a + 1 else -0.5)
            for step, present in enumerate(seen.snapshots[:MOST_STEPS])
            for a, b in seen.footprint.edges - present
        ]
        if gaps:
            steps, between = zip(*gaps, strict=True)
            label = f"edge away (at −0.5: {nodes - 1} to 0)"
            axes.plot(steps, between, "s", color=RED, markersize=4, label=label)
    axes.plot(range(len(path)), path, "-o", color=BLUE, markersize=2.5, linewidth=1.0, label="agent")
    first = {node: step for step, node in reversed(list(enumerate(path)))}
    axes.plot(list(first.values()), list(first), "o", color=GREEN, markersize=5, label="node seen first")
    axes.set(xlabel="step", ylabel="node", ylim=(-1, nodes))
    axes.legend(loc="upper right", ncols=3)
    cut = "" if len(seen.path) <= MOST_STEPS + 1 else f" The first {MOST_STEPS} steps."
    caption = f"{len(set(seen.path))} of {nodes} nodes in {len(seen.path) - 1} steps, carried over TCP.{cut}"
    return Drawing("way", "The agent's way", caption, figure)


def cover_times_offline(seen: Observed, visibility: str, interval: int) -> Drawing:
    """Mean cover time on block trees against T by the offline engine, with this run as a point."""
    figure, axes = new()
    footprint = seen.footprint
    for kind, colour in (("kt0", BLUE), ("kt1", RED), ("walk", GREY)):
        if len(footprint.edges) > MOST_OFFLINE_EDGES:
            break
        means, most = [], []
        for length in INTERVALS:
            steps = []
            for number in range(OFFLINE_RUNS):
                trees = block_trees(footprint, length, random.Random(f"{number}/{length}"))
                steps.append(play(footprint, trees, Agent(kind, number), seen.start, OFFLINE_STEPS).steps)
            means.append(statistics.mean(steps))
            most.append(max(steps))
        axes.plot(INTERVALS, means, "-", color=colour, label=f"{kind}, offline, mean of {OFFLINE_RUNS}")
        axes.plot(INTERVALS, most, ":", color=colour, linewidth=0.9, label=f"{kind}, offline, largest")
    axes.plot([interval], [len(seen.path) - 1], "o", color="black", label=f"this run ({visibility}), observed")
    axes.set(xlabel="T (length of a block)", ylabel="steps until covered", xscale="log", yscale="log")
    axes.set_xticks(INTERVALS, [str(length) for length in INTERVALS])
    axes.xaxis.minorticks_off()
    axes.yaxis.set_major_formatter("{x:.0f}")
    axes.yaxis.set_minor_formatter("{x:.0f}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    caption = (
        f"A fresh random spanning tree every T steps on {footprint.nodes} nodes. An agent that sees what is behind its "
        "ports may be worst at a middle T: edges stay long enough to be believed in, and not long enough to be used. "
        "Random schedules do not show the worst case; the ring adversary does."
    )
    return Drawing("cover-time", "Steps to cover the graph against T", caption, figure)


def cover_times(table: polars.DataFrame) -> Drawing:
    """Steps of the runs of a sweep against T."""
    figure, axes = new()
    axes.plot(table["interval"], table["steps"], "o", color=GREY, markersize=3, label="a run, observed")
    means = table.select("interval", "steps").group_by("interval").mean().sort("interval")
    axes.plot(means["interval"], means["steps"], "-o", color=BLUE, label="mean, observed")
    axes.set(xlabel="T", ylabel="steps until covered", ylim=(0, None))
    axes.legend(loc="best")
    return Drawing("cover-time", "Steps to cover the graph against T", "Runs over real links.", figure)


def seen_by_interval(table: polars.DataFrame) -> Drawing:
    """Nodes seen by the runs of a sweep against T, with the line T + 1 of the ring adversary."""
    figure, axes = new()
    intervals = sorted(set(table["interval"]))
    nodes = max(table["nodes"]) if "nodes" in table.columns else max(table["seen"])
    bound = [nodes if interval >= nodes - 1 else interval + 1 for interval in intervals]
    axes.plot(intervals, bound, "-", color=GREY, label="T + 1 up to T = n − 2, then n")
    axes.plot(table["interval"], table["seen"], "o", color=BLUE, label="observed")
    axes.set(xlabel="T", ylabel="nodes seen", ylim=(0, nodes + 1))
    axes.legend(loc="best")
    caption = "The ring adversary shows no agent more than T + 1 nodes while T is at most n − 2."
    return Drawing("seen", "Nodes seen against T", caption, figure)


def worst_rings() -> Drawing:
    """Exact worst cases of rings with a known schedule, against 2n − T − 1."""
    figure, axes = new()
    for nodes, colour in zip(WORST_RINGS, PALETTE, strict=False):
        intervals = list(range(1, 2 * nodes - 1))
        exact = [worst_ring(nodes, interval)[0] for interval in intervals]
        line = [interval for interval in intervals if 2 * nodes - interval - 1 >= 3 * (nodes - 1) // 2]
        axes.plot(line, [2 * nodes - interval - 1 for interval in line], "--", color=colour, linewidth=0.9)
        axes.plot(intervals, exact, "o", color=colour, markersize=4, label=f"n = {nodes}, exact")
    axes.set(xlabel="T", ylabel="steps of the best walk")
    axes.legend(loc="best")
    caption = (
        "Offline: the worst T-interval connected schedule of a ring for an agent that knows it, all schedules tried. "
        "Dashed: 2n − T − 1, which holds from T = 2 until floor(3(n − 1)/2) is more."
    )
    return Drawing("worst-rings", "Rings whose schedule is known", caption, figure)
