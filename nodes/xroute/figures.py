"""Figure of runs of messages over several chains: how many were on their way, delivered and settled over time.

Invariant: read from the run folder only, and drawn where there is something to draw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodes.xroute.sides import side_of

if TYPE_CHECKING:
    from emulator.record.load import Run
    from emulator.report.drawing import Drawing

LINES = {"jobs": "on the way", "delivered": "delivered", "settled": "settled"}  # samples of relayers
MODEL = "Mode zk-model: a model of proofs delivered, nothing was proved. "


def figures(run: Run) -> list[Drawing]:
    """What the records of the run allow."""
    import polars

    from emulator.report import drawing

    samples = run.samples.filter(polars.col("name").is_in(list(LINES))).with_columns(polars.col("t_s").floor())
    if samples.is_empty():
        return []
    figure, axes = drawing.new()
    for side in sorted({*map(side_of, samples["node"].unique())}):
        nodes = [node for node in samples["node"].unique() if side_of(node) == side]
        for number, (name, label) in enumerate(LINES.items()):
            of_side = samples.filter(polars.col("node").is_in(nodes) & (polars.col("name") == name))
            most = of_side.group_by("t_s").agg(polars.col("value").max()).sort("t_s")
            style = "--" if side else "-"
            axes.plot(most["t_s"], most["value"], style, color=f"C{number}", label=f"{side} {label}".strip())
    drawing.over_time(axes).set(ylabel="messages", ylim=(0, None))
    axes.legend(loc="upper left")
    caption = "As the relayer that has seen most knew it; each reads all chains that it serves. Dashed: the baseline."
    is_model = not run.samples.filter(polars.col("name") == "delivered_by_model").is_empty()
    return [drawing.Drawing("xroute-messages", "Messages", f"{MODEL if is_model else ''}{caption}", figure)]
