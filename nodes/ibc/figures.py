"""Figures of IBC runs: latency by stage, backlog, packets a second, age of clients.

Invariant: read from the run folder only, and drawn where there is something to draw.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing

STAGES = {
    "event": "event: from a packet's block to the round that takes it up",
    "proof": "proof: to all proofs and the client's update",
    "submitted": "submitted: to the mempool",
    "confirmed": "confirmed: to the relayer's sight of the block",
}
BINS = 60  # of packets over time, at most
MOST_CLIENTS = 6  # with a line of their own


def figures(run: Run) -> list[Drawing]:
    """What the records of the run allow."""
    made = (_stages(run), _backlog(run), _settled(run), _ages(run))
    return [drawing for drawing in made if drawing is not None]


def _samples(run: Run, name: str) -> polars.DataFrame:
    import polars

    return run.samples.filter(polars.col("name") == name).select("t_s", "node", "key", "value").sort("t_s")


def _stages(run: Run) -> Drawing | None:
    """Shares of rounds whose stage was over within a time."""
    import polars

    from emulator.report import drawing

    samples = _samples(run, "stage_s")
    if samples.is_empty():
        return None
    figure, axes = drawing.new()
    for stage in STAGES:
        values = samples.filter(polars.col("key") == stage)["value"].sort()
        if values.is_empty():
            continue
        heights = [(place + 1) / len(values) for place in range(len(values))]
        axes.step(values, heights, where="post", label=f"{stage}, median {_number(values.median()):.2f} s")
    axes.set(xlabel="length of the stage in s", ylabel="share of rounds", ylim=(0, 1), xlim=(0, None))
    axes.legend(loc="lower right")
    caption = "; ".join(STAGES.values()) + "."
    return drawing.Drawing("ibc-stages", "Latency by stage", caption[0].upper() + caption[1:], figure)


def _backlog(run: Run) -> Drawing | None:
    """Packets that no chain has settled, of all ends together."""
    import polars

    from emulator.report import drawing

    samples = _samples(run, "backlog_size")
    if samples.is_empty():
        return None
    second = samples.with_columns(polars.col("t_s").floor())
    by_end = second.pivot("key", index="t_s", values="value", aggregate_function="max")  # of the relayers of an end
    known = by_end.sort("t_s").with_columns(
        polars.exclude("t_s").forward_fill()
    )  # a relayer that is away tells nothing
    total = known.select("t_s", count=polars.sum_horizontal(polars.exclude("t_s")))
    figure, axes = drawing.new()
    axes.plot(total["t_s"], total["count"])
    drawing.over_time(axes).set(ylabel="packets on the way", ylim=(0, None))
    most = _number(total["count"].max())
    caption = f"Sent and neither acknowledged nor timed out, as relayers last knew it; at most {most:,.0f}."
    return drawing.Drawing("ibc-backlog", "Backlog", caption, figure)


def _settled(run: Run) -> Drawing | None:
    """Packets a second that came back acknowledged or timed out, by the blocks of all chains."""
    import polars

    from emulator.report import drawing

    blocks = run.events.filter((polars.col("kind") == "block") & (polars.col("t_s") >= 0)).sort("t_s")
    first: dict[tuple[str, int], tuple[float, int]] = {}  # of a chain whose validators all tell of a block
    for t_s, data in blocks.select("t_s", "data").iter_rows():
        block = json.loads(data)
        first.setdefault((block["chain"], block["height"]), (t_s, block.get("settled", 0)))
    settled = list(first.values())
    total = sum(count for _, count in settled)
    if not total:
        return None
    end_s = max(t_s for t_s, _ in settled)
    width_s = max(1.0, end_s / BINS)
    rates = [0.0] * (int(end_s / width_s) + 1)
    for t_s, count in settled:
        rates[int(t_s / width_s)] += count / width_s
    figure, axes = drawing.new()
    axes.stairs(rates, [place * width_s for place in range(len(rates) + 1)], fill=True)
    drawing.over_time(axes).set(ylabel="packets settled a second", ylim=(0, None))
    caption = f"{total:,} packets; bars are {width_s:.3g} s wide."
    return drawing.Drawing("ibc-packets", "Packets a second", caption, figure)


def _ages(run: Run) -> Drawing | None:
    """How far clients were behind the chains that they follow."""
    import polars

    from emulator.report import drawing

    samples = _samples(run, "client_age_s")
    if samples.is_empty():
        return None
    oldest = samples.group_by("key").agg(polars.col("value").max()).sort("value", "key", descending=[True, False])
    figure, axes = drawing.new()
    for client in oldest["key"].head(MOST_CLIENTS):
        of_client = samples.filter(polars.col("key") == client)
        axes.plot(of_client["t_s"], of_client["value"], linewidth=0.9, label=client)
    drawing.over_time(axes).set(ylabel="age of the client in s", ylim=(0, None))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    cut = f" The {MOST_CLIENTS} that were oldest of {oldest.height:,}." if oldest.height > MOST_CLIENTS else ""
    caption = (
        f"Time since the newest block that a client knows; a chain's client is named behind the chain's node.{cut}"
    )
    return drawing.Drawing("ibc-clients", "Age of clients", caption, figure)


def _number(value: object) -> float:
    """What polars gives of a column of numbers, of which it does not say that it is one."""
    return float(value) if isinstance(value, int | float) else 0.0
