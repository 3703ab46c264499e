"""Figures of a run of `handover`: goodput and delay over the flow's time, and by the second of a slot.

Invariant: it reads the run folder only; slots begin at scenario time 0, because the recipe starts runs at one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing

SLOT_S = 15
SETTLED_S = 3.0  # of slow start, left out of the figures


def summarise(run: Run) -> dict[str, Any]:
    """Mean goodput, its mean in each second of a slot, round trips beside the flow, retransmissions."""
    import polars

    goodput = _goodput(run).filter(polars.col("t_s") > SETTLED_S)
    probes = run.samples.filter(polars.col("name") == "rtt_s")["value"] * 1e3
    sent = [json.loads(data) for data in run.events.filter(polars.col("kind") == "flow-sent")["data"]]
    summary: dict[str, Any] = {}
    if not goodput.is_empty():
        summary["goodput_mbit_s"] = round(float(goodput["mbit_s"].mean()), 3)  # type: ignore[arg-type]
        by_second = goodput.group_by((polars.col("t_s") % SLOT_S).floor().cast(int).alias("second")).agg(
            polars.col("mbit_s").mean()
        )
        summary["second_of_slot"] = {
            f"s{second:02}": round(mbit_s, 3) for second, mbit_s in sorted(by_second.iter_rows())
        }
    if len(probes):
        summary["rtt_ms"] = {
            f"p{share}": round(float(probes.quantile(share / 100, "linear") or 0), 3) for share in (5, 50, 95)
        }
    if sent:
        summary["retransmits"] = sum(each["retransmits"] for each in sent)
    return summary


def figures(run: Run) -> list[Drawing]:
    """Goodput and round trips over the flow's time."""
    import polars

    from emulator.report import drawing

    goodput = _goodput(run)
    if goodput.is_empty():
        return []
    over, axes = drawing.new()
    axes.plot(goodput["t_s"], goodput["mbit_s"], linewidth=0.9)
    drawing.over_time(axes).set_ylabel("goodput in Mbit/s")
    axes.set_ylim(0, None)
    delay, axes = drawing.new()
    probes = run.samples.filter(polars.col("name") == "rtt_s")
    axes.plot(probes["t_s"], probes["value"] * 1e3, ".", markersize=2)
    drawing.over_time(axes).set_ylabel("round trip in ms")
    axes.set_ylim(0, None)
    named = f"{run.parameters.get('congestion', 'cubic')} over {run.parameters.get('access', 'starlink')}"
    return [
        drawing.Drawing("goodput", f"Goodput of {named}", "In steps of 100 ms. Slots begin every 15 s.", over),
        drawing.Drawing("delay", "Round trips beside the flow", "Probes through the same queue, every 50 ms.", delay),
    ]


def sweep_figures(table: polars.DataFrame) -> list[Drawing]:
    """Goodput by the second of a slot, a line for each congestion control, side by side for each kind of access."""
    from emulator.report import drawing

    seconds = [name for name in table.columns if name.startswith("second_of_slot.")]
    if not seconds or "access" not in table.columns:
        return []
    kinds = table["access"].unique(maintain_order=True).to_list()
    figure, places = drawing.panels(len(kinds), width_in=3.4 * len(kinds))
    highest = max(float(table[name].max() or 0.0) for name in seconds)  # type: ignore[arg-type]
    for axes, kind in zip(places, kinds, strict=True):
        of_kind = table.filter(table["access"] == kind)
        controls = of_kind["congestion"] if "congestion" in table.columns else of_kind["access"]
        for control in controls.unique(maintain_order=True):
            rows = of_kind.filter(controls == control)
            means: list[Any] = [rows[name].mean() for name in seconds]
            axes.plot([int(name[-2:]) for name in seconds], means, "o-", markersize=3, label=str(control))
        axes.set(title=str(kind), xlabel="second of the slot", ylim=(0, 1.05 * highest))
        axes.legend(loc="best")
    places[0].set_ylabel("mean goodput in Mbit/s")
    caption = (
        "TCP through handovers, by the second since the last one. starlink: losses come in bursts at the edges of "
        "slots. random: all the same, with the same average loss at random. ideal: geometry alone at the mean rate."
    )
    return [drawing.Drawing("seconds", "Goodput through handovers", caption, figure)]


def _goodput(run: Run) -> polars.DataFrame:
    """Time and Mbit/s, by intervals of the receiver."""
    import polars

    return run.samples.filter(polars.col("name") == "goodput_bps").select(
        "t_s", (polars.col("value") / 1e6).alias("mbit_s")
    )
