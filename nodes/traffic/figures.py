"""Figures of traffic: round trips, goodput of flows, latencies of requests.

Invariant: read from the run folder only, and drawn where there is something to draw.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing

MOST_LINES = 6  # pairs with a line of their own
Pair = tuple[str, str]


def figures(run: Run) -> list[Drawing]:
    """What the samples of the run allow: round trips, their course over time, goodput, latencies of requests."""
    made = [*_round_trips(run), _goodput(run), _latencies(run)]
    return [drawing for drawing in made if drawing is not None]


def _round_trips(run: Run) -> list[Drawing]:
    from emulator.report import drawing

    probes = _samples(run, "rtt_s")
    if probes.is_empty():
        return []
    shares, axes = drawing.new()
    axes.plot(*_distribution(probes["value"] * 1e3))
    axes.set(xlabel="round trip in ms", ylabel="share of probes", ylim=(0, 1), xlim=(0, None))
    times, axes = drawing.new()
    for node, peer in drawn_pairs(run, probes):
        of_pair = _of(probes, node, peer)
        axes.plot(of_pair["t_s"], of_pair["value"] * 1e3, ".-", linewidth=0.8, label=f"{_bare(node)} → {_bare(peer)}")
    drawing.over_time(axes).set(ylabel="round trip in ms", ylim=(0, None))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    caption = "Steps are changes of the path, such as handovers; peaks are queues or late packets."
    return [
        drawing.Drawing("rtt-shares", "Round trips", f"All {probes.height:,} answered probes of all pairs.", shares),
        drawing.Drawing("rtt-times", "Round trips over time", caption, times),
    ]


def _goodput(run: Run) -> Drawing | None:
    """Goodput of flows as their receivers saw it."""
    import polars

    from emulator.report import drawing

    samples = _samples(run, "goodput_bps")
    if samples.is_empty():
        return None
    figure, axes = drawing.new()
    means = samples.group_by("node", "key").agg(polars.col("value").mean())
    means = means.sort("value", "key", "node", descending=[True, False, False])
    drawn = list(means.select("node", "key").head(MOST_LINES).iter_rows())
    for node, sender in drawn:
        of_flow = _of(samples, node, sender)
        label = f"{_bare(sender)} → {_bare(node)}"
        axes.plot(of_flow["t_s"], of_flow["value"] / 1e6, ".-", linewidth=0.8, label=label)
    drawing.over_time(axes).set(ylabel="goodput in Mbit/s", ylim=(0, None))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    cut = f" The {len(drawn)} fastest of {means.height:,} pairs." if means.height > len(drawn) else ""
    return drawing.Drawing("goodput", "Flows over time", f"What arrived at the receivers.{cut}", figure)


def _latencies(run: Run) -> Drawing | None:
    """Shares of requests that were answered within a time, by pair."""
    from emulator.report import drawing

    samples = _samples(run, "latency_s")
    if samples.is_empty():
        return None
    figure, axes = drawing.new()
    pairs = sorted(set(samples.select("node", "key").iter_rows()))
    for node, server in pairs[:MOST_LINES]:
        values = _distribution(_of(samples, node, server)["value"] * 1e3)
        axes.step(*values, where="post", label=f"{_bare(node)} → {_bare(server)}")
    axes.set(xlabel="latency of requests in ms", ylabel="share of requests", ylim=(0, 1), xlim=(0, None))
    axes.legend(loc="lower right")
    cut = f" The first {MOST_LINES} of {len(pairs):,} pairs." if len(pairs) > MOST_LINES else ""
    caption = f"{samples.height:,} requests, from the first byte asked to the last byte answered.{cut}"
    return drawing.Drawing("request-latency", "Requests", caption, figure)


def drawn_pairs(run: Run, probes: polars.DataFrame) -> list[Pair]:
    """Sender and receiver of each flow that was probed too; the first pairs where there is none."""
    import polars

    pairs = list(dict.fromkeys(probes.select("node", "key").iter_rows()))
    rows = run.events.filter(polars.col("kind") == "flow").select("node", "data").iter_rows()
    flows = sorted((peer, node) for node, data in rows if (peer := json.loads(data).get("peer")))
    return ([pair for pair in dict.fromkeys(flows) if pair in pairs] or sorted(pairs))[:MOST_LINES]


def _samples(run: Run, name: str) -> polars.DataFrame:
    import polars

    return run.samples.filter(polars.col("name") == name)


def _of(samples: polars.DataFrame, node: str, key: str) -> polars.DataFrame:
    import polars

    return samples.filter((polars.col("node") == node) & (polars.col("key") == key))


def _distribution(values: polars.Series) -> tuple[Sequence[float], Sequence[float]]:
    """Sorted values, and the share of values that each of them is not exceeded by."""
    import numpy as np

    return np.sort(values.to_numpy()).tolist(), (np.arange(1, len(values) + 1) / len(values)).tolist()


def _bare(name: str) -> str:
    """ "gs-tokyo" is told by "tokyo"."""
    return name.removeprefix("gs-")
