"""The space-time diagram of a window: a line for each node, and one for each message from sending to arrival.

Invariant: at most MOST_MESSAGES are drawn and at most MOST_NODES nodes; the caption says how many there were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.record.load import Run
from emulator.report.drawing import GRID, INK, PALETTE, Drawing, new, over_time
from emulator.report.sections.messages import Message, Window, messages
from emulator.report.sections.scheduled import ScheduledValues

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_MESSAGES = 2_000
MOST_NODES = 40
MOST_DOTTED = 400  # messages up to which a dot marks where each begins
OTHER = "#9a9a9a"
Point = tuple[float, float]  # scenario time, place of the node


def space_time(run: Run, window: Window, scheduled: ScheduledValues) -> Drawing:
    """Draw the messages of a window, those of the busiest nodes where there are many nodes."""
    found, source = messages(run, window, scheduled)
    traffic = Counter(name for message in found for name in (message.sender, message.receiver))
    order = {name: place for place, name in enumerate(scheduled.nodes)}
    kept = {name for name, _ in traffic.most_common(MOST_NODES)}
    nodes = sorted(kept, key=lambda name: (order.get(name, len(order)), name))
    inside = [message for message in found if message.sender in kept and message.receiver in kept]
    said = f"{len(found):,} messages sent from {window.start_s:g} to {window.end_s:g} s: {source}."
    if len(inside) > MOST_MESSAGES:
        said += f" The first {MOST_MESSAGES:,} are drawn."
    if len(traffic) > MOST_NODES:
        said += f" Of {len(traffic):,} nodes the {MOST_NODES} busiest are drawn."
    drawn = inside[:MOST_MESSAGES]
    lost = [message for message in drawn if message.lost_s is not None]
    if lost:
        causes = Counter(message.cause for message in lost)
        said += " Crosses: lost (" + ", ".join(f"{cause} {count:,}" for cause, count in causes.most_common()) + ")."
    dashed = sum(message.scheduled for message in drawn)
    if dashed:
        said += (
            f" Dashed: {dashed:,} whose last link end is in no capture; they arrive as the schedule has their path, "
            "without queues, and whether a later link dropped them is not known."
        )
    unknown = sum(message.arrived_s is None and message.lost_s is None for message in drawn)
    if unknown:
        said += f" Dots alone: {unknown:,} of whose arrival nothing is known."
    return Drawing("space-time", "Messages", said, _figure(drawn, nodes, window))


def _figure(drawn: Sequence[Message], nodes: Sequence[str], window: Window) -> Figure:
    from matplotlib.collections import LineCollection

    figure, axes = new(width_in=9.0, height_in=max(3.2, 1.4 + 0.3 * len(nodes)))
    place = {name: number for number, name in enumerate(nodes)}
    kinds = [kind for kind, _ in Counter(message.kind for message in drawn).most_common()]
    for number, kind in enumerate(kinds):
        colour = PALETTE[number] if number < len(PALETTE) - 1 else OTHER
        label = kind if number < len(PALETTE) - 1 else ("others" if number == len(PALETTE) - 1 else None)
        lines: list[list[Point]] = []
        dashed: list[list[Point]] = []
        crosses: list[Point] = []
        dots: list[Point] = []
        for message in (one for one in drawn if one.kind == kind):
            start, goal = place[message.sender], place[message.receiver]
            if message.lost_s is not None:
                stop = (max(message.lost_s, message.sent_s), start + 0.4 * (goal - start))
                lines.append([(message.sent_s, start), stop])
                crosses.append(stop)
            elif message.arrived_s is not None:
                (dashed if message.scheduled else lines).append([(message.sent_s, start), (message.arrived_s, goal)])
            else:
                dots.append((message.sent_s, start))
        if len(drawn) <= MOST_DOTTED:
            dots += [line[0] for line in (*lines, *dashed)]
        axes.add_collection(LineCollection(lines, colors=colour, linewidths=0.9, label=label, zorder=2))
        axes.add_collection(LineCollection(dashed, colors=colour, linewidths=0.7, linestyles="--", zorder=2))
        if crosses:
            axes.plot(*zip(*crosses, strict=True), "x", color=colour, markersize=5, zorder=3)
        if dots:
            axes.plot(*zip(*dots, strict=True), ".", color=colour, markersize=3, zorder=3)
    axes.set_yticks(range(len(nodes)), list(nodes))
    latest = max((one.arrived_s or one.sent_s for one in drawn), default=window.end_s)
    over_time(axes).set(xlim=(window.start_s, max(window.end_s, latest)), ylim=(max(len(nodes), 1) - 0.5, -0.5))
    axes.grid(visible=False)
    axes.hlines(range(len(nodes)), *axes.get_xlim(), colors=GRID, linewidth=0.6, zorder=1)
    axes.axvline(window.end_s, color=INK, linewidth=0.5, linestyle=":")
    if kinds:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=5)
    return figure
