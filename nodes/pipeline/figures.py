"""Figures of a pipeline: stages and links over the time of each request, and what codecs lose for the bytes they save.

Invariant: read from the run folder only, and drawn where there is something to draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nodes.pipeline.observed import KINDS, Observed, Request, observe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing

STAGE, LINK = "tab:blue", "tab:orange"
HEIGHT = 0.8  # of a bar; rows are 1 apart


def figures(run: Run) -> list[Drawing]:
    """What the records of the run allow."""
    seen = observed(run)
    return [*_timelines(seen), *_codecs(seen)]


def observed(run: Run) -> Observed:
    """What the programs of the run told."""
    import polars

    told = run.events.filter(polars.col("kind").is_in(KINDS)).select("t_s", "node", "kind", "data")
    return observe(told.iter_rows())


def _timelines(seen: Observed) -> Iterator[Drawing]:
    """A Gantt chart of each request, all on one scale: chunks of the prompt, up to the first token."""
    from emulator.report import drawing

    requests = {plan: each for plan, each in seen.requests.items() if each.chunks and each.answer}
    for plan, request in requests.items():
        figure, axes = drawing.new(height_in=1.2 + 0.45 * len(request.nodes))
        _gantt(axes, request)
        longest_s = max(each.answer["first_token_s"] for each in requests.values())
        axes.set(xlabel="time since the request in s", xlim=(0, longest_s * 1.02))
        axes.axvline(request.answer["first_token_s"], color="black", linewidth=0.8, linestyle=":")
        caption = (
            "Chunks of the prompt at stages (blue, from decoding to encoding) and on links (orange, from the end of "
            "encoding to the arrival, waiting included). Dotted: the first token is there."
        )
        yield drawing.Drawing(f"pipeline-timeline-{plan}", f"Stages and links over time: {plan}", caption, figure)


def _gantt(axes: Axes, request: Request) -> None:
    rows = 2 * len(request.nodes) - 1
    for chunk in request.first:
        if chunk.offset < request.prompt_tokens and chunk.node in request.nodes:
            row = rows - 1 - 2 * request.nodes.index(chunk.node)
            span = (chunk.begun_s - request.begun_s, chunk.encoded_s - chunk.begun_s)
            axes.broken_barh([span], (row - HEIGHT / 2, HEIGHT), color=STAGE, edgecolor="white", linewidth=0.4)
    for stage, begun_s, ended_s in request.crossings():
        span = (begun_s - request.begun_s, ended_s - begun_s)
        row = rows - 2 - 2 * stage
        axes.broken_barh([span], (row - HEIGHT / 2, HEIGHT), color=LINK, alpha=0.5)
    labels = [name for node in request.nodes for name in (node, "link")][:rows]
    axes.set_yticks(range(rows - 1, -1, -1), labels)


def _codecs(seen: Observed) -> Iterator[Drawing]:
    """Each codec by its bytes and its loss, those of the first plan marked."""
    from emulator.report import drawing

    if not seen.codecs or not seen.requests:
        return
    plan, request = next(iter(seen.requests.items()))
    used = {name for stage in request.plan["stages"] for name in stage.split()[2:3]}
    used = {name.split("/")[0] for name in used}
    figure, axes = drawing.new()
    for number, (name, (size_bytes, loss_nats)) in enumerate(seen.codecs.items()):
        axes.plot(size_bytes / 1e3, loss_nats, "o" if name in used else "x", color=STAGE if name in used else "grey")
        axes.annotate(
            name, (size_bytes / 1e3, loss_nats), xytext=(5, 4 - 12 * (number % 2)), textcoords="offset points"
        )
    axes.margins(0.12)
    axes.set(xlabel="kB of a chunk of the prompt", ylabel="nats a token lost at a cut", xlim=(0, None))
    caption = f"Medians over all cuts, as calibrated. Filled: what the plan {plan} uses for the prompt."
    yield drawing.Drawing("pipeline-codecs", "Accuracy against bytes", caption, figure)
