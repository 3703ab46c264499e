"""Drawings of `orbit-llm`: the plan on the ring of satellites, and delays of all policies over the rate of links."""

from __future__ import annotations

from itertools import pairwise
from math import cos, pi, sin
from typing import TYPE_CHECKING

from emulator.model.errors import Unfit
from emulator.model.units import parse
from nodes.pipeline.planner.policies import POLICIES
from scenarios.orbit_llm.way import Way

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing
    from nodes.pipeline.observed import Observed

RATE = "isl.rate"
OUTSIDE = 1.35  # where labels of satellites are, in radii of the ring


def plan(run: Run, seen: Observed) -> list[Drawing]:
    """Satellites as they lie in the ring, and where the first policy has the parts of the model."""
    from emulator.report import drawing

    configs = [each["config"] for each in run.document.get("program", []) if each.get("name") == "prompt"]
    if not configs or not seen.requests:
        return []
    policy, request = next(iter(seen.requests.items()))
    names = list(configs[0]["nodes"])
    ways = {(way.source, way.target): way for way in map(Way.of, configs[0].get("ways", []))}
    turns = {name: 2 * pi * number / len(names) for number, name in enumerate(names)}
    place = {name: (sin(turn), cos(turn)) for name, turn in turns.items()}
    figure, axes = drawing.new(height_in=5.0)
    for (a, b), way in ways.items():
        if way.hops == 1:
            axes.plot(*zip(place[a], place[b], strict=True), color="lightgrey", linewidth=1, zorder=0)
    stages = [stage.split() for stage in request.plan["stages"]]
    for (a, _, codecs), (b, *_) in pairwise(stages):
        axes.annotate("", place[b], place[a], arrowprops={"arrowstyle": "->", "shrinkA": 16, "shrinkB": 16})
        (ax, ay), (bx, by) = place[a], place[b]
        label = f"{codecs}\n{ways[a, b].delay_s * 1e3:.1f} ms"
        x, y = (ax + bx) / 2, (ay + by) / 2
        axes.text(x, y, label, ha="center", va="center", fontsize="small", bbox={"color": "white", "pad": 1})
    blocks = {stage[0]: stage[1] for stage in stages}
    for name, (x, y) in place.items():
        axes.plot(x, y, "o", markersize=18, color="tab:blue" if name in blocks else "lightgrey")
        axes.text(x * OUTSIDE, y * OUTSIDE, f"{name}\n{blocks.get(name, '')}", ha="center", va="center")
    axes.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
    axes.set_axis_off()
    caption = "Blocks of the model by satellite, codecs (of the prompt / of the answer) and delays of the ways between."
    return [drawing.Drawing("orbit-llm-plan", f"Plan of policy {policy}", caption, figure)]


def delays(table: polars.DataFrame) -> list[Drawing]:
    """The first token over the rate, a line a policy; dashed as predicted."""
    import polars

    from emulator.report import drawing

    if RATE not in table.columns:
        return []
    table = table.with_columns(polars.col(RATE).map_elements(_mbit_s, return_dtype=polars.Float64).alias("Mbit/s"))
    figure, axes = drawing.new()
    for policy in POLICIES:
        column = f"{policy}.first_token_ms"
        if column in table.columns:
            rows = table.drop_nulls(column).sort("Mbit/s")
            (line,) = axes.plot(rows["Mbit/s"], rows[column] / 1e3, "o-", label=policy)
            predicted = rows[f"{policy}.predicted_first_token_ms"] / 1e3
            axes.plot(rows["Mbit/s"], predicted, "--", color=line.get_color(), linewidth=0.8)
    axes.set(xscale="log", xlabel="rate of a link in Mbit/s", ylabel="first token in s", ylim=(0, None))
    axes.legend()
    return [drawing.Drawing("orbit-llm-delay", "First token over rate", "Dashed: as predicted by the plan.", figure)]


def _mbit_s(rate: object) -> float:
    """A value of the sweep: text with a unit, or a number in Mbit/s."""
    try:
        return parse(rate, "rate") / 1e6
    except Unfit:
        return float(str(rate))
