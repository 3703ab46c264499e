"""The panels of the live screen: pure functions from a snapshot and a size to something that rich draws.

Invariant: a panel is given its rows of the terminal and never takes more; what does not fit is counted, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from emulator.record.snapshot import PHASES, EventRow, FlowRow, HandoverRow, LinkRow, Phase, ProbeRow, Snapshot
from emulator.show import text
from emulator.show.text import Signs

WIDE = 110  # columns from which panels stand side by side
Panel = Callable[[Snapshot, int], RenderableType]
Row = TypeVar("Row", bound=Mapping[str, Any])
GOOD, BAD, WARN, DIM, HEAD = "green", "red", "yellow", "dim", "bold"


def screen(
    snapshot: Snapshot, width: int, height: int, signs: Signs, took_s: Mapping[Phase, float] | None = None
) -> RenderableType:
    """The whole frame, at most `height` rows. `took_s` is how long each finished phase took."""
    took_s = took_s or {}
    parts: list[RenderableType] = [header(snapshot, width, signs)]
    phase = snapshot.get("phase", "schedule")
    building = phase in PHASES[: PHASES.index("play")]
    parts.append(
        progress_of_all(snapshot, width, signs, took_s) if building else progress(snapshot, width, signs, took_s)
    )
    used = 1 + (len(PHASES) if building else 2)
    warned = warnings(snapshot, min(3, max(1, height // 8)), signs)
    rows = height - used - len(warned)
    parts += panels(snapshot, width, rows)
    return Group(*parts, *warned)


def header(snapshot: Snapshot, width: int, signs: Signs) -> RenderableType:
    """Which run this is, its time, and whether it keeps up."""
    left = Text.assemble(
        ("skyloom ", HEAD),
        (snapshot.get("scenario", ""), HEAD),
        (f"  run {snapshot['run_id']}" if "run_id" in snapshot else "", DIM),
        (f"  seed {snapshot['seed']}" if "seed" in snapshot else "", DIM),
    )
    late, nodes = snapshot.get("lateness_ms"), snapshot.get("nodes")
    played = "t_s" in snapshot and snapshot.get("phase") in ("play", "analysis", "done")
    words = [  # what stands nearest to the edge matters most and is kept longest
        (signs.warn, WARN) if snapshot.get("warnings") else (signs.good, GOOD),
        (f"{text.clock(snapshot['t_s'])}/{text.clock(snapshot.get('duration_s'))} ", HEAD) if played else ("", ""),
        (f"late p99 {text.milliseconds(late['p99'])} ms  ", "") if late else ("", ""),
        (f"{nodes.get('live', 0)} live + {nodes.get('transit', 0):,} transit  ", DIM) if nodes else ("", ""),
    ]
    right = Text()
    for word, style in words:
        if left.cell_len + right.cell_len + len(word) < width:
            right = Text(word, style) + right
    return beside(left, right)


def beside(left: RenderableType, right: RenderableType) -> Table:
    """Two things on one line, the second at the right edge."""
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True, overflow="crop", ratio=1)
    line.add_column(no_wrap=True, justify="right")
    line.add_row(left, right)
    return line


def progress_of_all(snapshot: Snapshot, width: int, signs: Signs, took_s: Mapping[Phase, float]) -> RenderableType:
    """A bar a phase, while the network is being built."""
    current = snapshot.get("phase", "schedule")
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, width=1)
    table.add_column(no_wrap=True, width=8)
    table.add_column(no_wrap=True, width=max(8, width // 3))
    table.add_column(no_wrap=True, overflow="ellipsis")
    for phase in PHASES:
        if phase == current:
            table.add_row(
                Text(signs.now, HEAD), Text(phase, HEAD), _bar(snapshot),
                counts(snapshot, took_s.get(phase)),
            )  # fmt: skip
        elif phase in took_s or PHASES.index(phase) < PHASES.index(current):
            table.add_row(Text(signs.good, GOOD), phase, ProgressBar(1, 1), Text(text.duration(took_s.get(phase)), DIM))
        else:
            table.add_row(Text(signs.later, DIM), Text(phase, DIM), ProgressBar(1, 0), "")
    return table


def progress(snapshot: Snapshot, width: int, signs: Signs, took_s: Mapping[Phase, float]) -> RenderableType:
    """Two lines: the phases by their signs, and the bar of the present one."""
    current = snapshot.get("phase", "schedule")
    chips = Text(no_wrap=True, overflow="ellipsis")
    for phase in PHASES:
        if phase == current:
            chips.append(f"{signs.now} {phase}   ", HEAD)
        elif current == "done" or PHASES.index(phase) < PHASES.index(current):
            chips.append(f"{signs.good} ", GOOD)
            chips.append(f"{phase} {text.duration(took_s[phase])}   " if phase in took_s else f"{phase}   ", DIM)
        else:
            chips.append(f"{signs.later} {phase}   ", DIM)
    words = counts(snapshot, took_s.get(current))
    bar = Table.grid(padding=(0, 1))
    bar.add_column(no_wrap=True, width=max(8, width - words.cell_len - 2))
    bar.add_column(no_wrap=True)
    bar.add_row(_bar(snapshot), words)
    return Group(chips, bar)


def _bar(snapshot: Snapshot) -> ProgressBar:
    done, total = _share(snapshot)
    return ProgressBar(total, done, pulse=total == 0, animation_time=snapshot.get("elapsed_s", 0.0))


def _share(snapshot: Snapshot) -> tuple[float, float]:
    if snapshot.get("phase") == "play" and "t_s" in snapshot:
        return max(0.0, snapshot["t_s"]), snapshot.get("duration_s", 0.0)
    return snapshot.get("done", 0.0), snapshot.get("total", 0.0)


def counts(snapshot: Snapshot, spent_s: float | None) -> Text:
    """ "412/1,584  1,210/s  1 s left", as far as it is known."""
    done, total = _share(snapshot)
    words = Text(no_wrap=True)
    if snapshot.get("phase") == "play":
        words.append(f"{text.duration(max(0.0, total - done))} left")
        return words
    if total:
        words.append(f"{done:,.0f}/{total:,.0f}  ")
    rate = snapshot.get("rate") or (done / spent_s if spent_s and done else 0.0)
    if rate > 0 and total:
        words.append(f"{text.number(rate)}/s  ", DIM)
        if total > done:
            words.append(f"{text.duration((total - done) / rate)} left  ")
    if snapshot.get("label"):
        words.append(snapshot["label"], DIM)
    return words


def panels(snapshot: Snapshot, width: int, rows: int) -> list[RenderableType]:
    """Probes, flows, links, handovers and events in the rows that are left, the empty ones left out."""
    found: list[tuple[Panel, int]] = []  # the panel, and how many rows it would like with title and column heads
    for panel, key in ((probes, "probes"), (flows, "flows"), (links, "links")):
        if snapshot.get(key):
            found.append((panel, len(snapshot[key]) + 2))  # type: ignore[literal-required]
    happened = min(6, len(snapshot.get("handover_tail", ()))), min(8, len(snapshot.get("events", ())))
    if snapshot.get("handovers") or happened[0]:
        found.append((handovers, happened[0] + 1))
    if happened[1]:
        found.append((events, happened[1] + 1))
    if not found or rows < 2:
        return []
    if width < WIDE or len(found) == 1:
        return [
            panel(snapshot, granted) for (panel, _), granted in zip(found, grant(found, rows), strict=True) if granted
        ]
    columns = found[::2], found[1::2]
    grid = Table.grid(expand=True, padding=(0, 2, 0, 0))
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(
        *(
            Group(
                *(
                    panel(snapshot, granted)
                    for (panel, _), granted in zip(side, grant(side, rows), strict=True)
                    if granted
                )
            )
            for side in columns
        )
    )
    return [grid]


def grant(found: Sequence[tuple[Any, int]], rows: int) -> list[int]:
    """Share `rows` out: nobody gets more than it wants, what one leaves goes to the others, and the first, which
    matters most, grows twice as fast. Under 2 is 0."""
    granted = [0] * len(found)
    turns = [0, *range(len(found))]
    left = rows
    while left > 0 and any(count < wanted for count, (_, wanted) in zip(granted, found, strict=True)):
        for index in turns:
            if left > 0 and granted[index] < found[index][1]:
                granted[index] += 1
                left -= 1
    return [count if count >= 2 else 0 for count in granted]


def _table(
    title: str, rows: Sequence[Row], height: int, columns: Sequence[tuple[str, int]]
) -> tuple[Table, Sequence[Row]]:
    """An empty table with its heads (a width of 0 shares what is left), and those of the rows that fit."""
    shown = rows[: max(0, height - 2)]
    if len(shown) < len(rows):
        title += f" ({len(shown)} of {len(rows)})"
    table = Table(
        title=escape(title), title_justify="left", title_style=HEAD, box=None, expand=True, padding=(0, 1, 0, 0),
        header_style=DIM, show_edge=False,
    )  # fmt: skip
    for name, width in columns:
        if width:
            table.add_column(name, justify="right", no_wrap=True, width=width)
        else:
            table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)
    return table, shown


def probes(snapshot: Snapshot, height: int) -> RenderableType:
    """Round trips: what the schedule asks against what was seen."""
    rows: list[ProbeRow] = snapshot["probes"]
    table, shown = _table(
        "Probes, round trip", rows, height, [("pair", 0), ("asked ms", 8), ("seen ms", 8), ("error", 7), ("lost", 7)]
    )
    for row in shown:
        lost = row.get("lost", 0)
        table.add_row(
            Text(row.get("pair", "")),
            text.milliseconds(row.get("asked_ms")),
            text.milliseconds(row.get("seen_ms")),
            text.signed(row.get("error_ms")),
            Text(f"{lost}/{row.get('sent', 0)}", WARN if lost else DIM),
        )
    return table


def flows(snapshot: Snapshot, height: int) -> RenderableType:
    """Transfers: now, on average, in all."""
    rows: list[FlowRow] = snapshot["flows"]
    table, shown = _table("Flows", rows, height, [("pair", 0), ("now", 12), ("mean", 12), ("bytes", 8)])
    for row in shown:
        table.add_row(
            Text(row.get("pair", "")),
            text.rate(row.get("now_bps")),
            text.rate(row.get("mean_bps")),
            text.size(row.get("bytes")),
        )
    return table


def links(snapshot: Snapshot, height: int) -> RenderableType:
    """Link ends: the delay asked, how late packets were, what they carried and dropped."""
    rows: list[LinkRow] = snapshot["links"]
    table, shown = _table(
        "Links", rows, height, [("end", 0), ("asked ms", 8), ("late ms", 7), ("rate", 12), ("drops", 6)]
    )
    for row in shown:
        drops = row.get("drops", 0)
        table.add_row(
            Text(row.get("end", "")),
            text.milliseconds(row.get("asked_ms")),
            text.milliseconds(row.get("late_ms")),
            text.rate(row.get("rate_bps")),
            Text(f"{drops:,}", WARN if drops else DIM),
        )
    return table


def _lines(title: str, rows: Sequence[Row], height: int, line: Callable[[Row], Text]) -> RenderableType:
    shown = rows[-max(0, height - 1) :] if height > 1 else ()
    texts = [line(row) for row in shown]
    for one in texts:
        one.no_wrap, one.overflow = True, "ellipsis"
    return Group(Text(title, HEAD, no_wrap=True, overflow="ellipsis"), *texts)


def handovers(snapshot: Snapshot, height: int) -> RenderableType:
    """How many, and the last few."""

    def line(row: HandoverRow) -> Text:
        before, after = row.get("before") or "nobody", row.get("after") or "nobody"
        return Text.assemble((f"{text.clock(row.get('t_s'))} ", DIM), f"{row.get('link', '')}  {before} -> {after}")

    rows = snapshot.get("handover_tail", [])
    return _lines(f"Handovers {snapshot.get('handovers', len(rows)):,}", rows, height, line)


def events(snapshot: Snapshot, height: int) -> RenderableType:
    """The last few events."""

    def line(row: EventRow) -> Text:
        return Text.assemble(
            (f"{text.clock(row.get('t_s'))} ", DIM),
            f"{row.get('node', '')} {row.get('kind', '')} {row.get('text', '')}",
        )

    return _lines("Events", snapshot.get("events", []), height, line)


def warnings(snapshot: Snapshot, most: int, signs: Signs) -> list[RenderableType]:
    """The last warnings, a line each."""
    found = snapshot.get("warnings", [])
    shown = found[-most:]
    lines: list[RenderableType] = [
        Text(f"{signs.warn} {warning}", WARN, no_wrap=True, overflow="ellipsis") for warning in shown
    ]
    if len(found) > len(shown) and lines:
        last = found[-1]
        lines[-1] = Text(
            f"{signs.warn} {last} (and {len(found) - len(shown)} before)", WARN, no_wrap=True, overflow="ellipsis"
        )
    return lines
