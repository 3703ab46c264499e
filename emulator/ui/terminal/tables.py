"""The tables of the screen: what a row of a snapshot looks like, column by column.

Invariant: a cell says "-" for what is absent, never 0, and nothing by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emulator.observe.snapshot import Snapshot
from emulator.report import text
from emulator.report.text import BAD, DIM, GOOD, WARN, Signs
from emulator.ui.terminal.lines import Cell, Column, Line, line, table, title
from emulator.ui.widgets import sparkline

Row = Mapping[str, Any]
HISTORY, SHORT_HISTORY = 10, 8  # columns of a sparkline


def _plain(key: str) -> Callable[[Row], Cell]:
    return lambda row: str(row.get(key, "")) or "-"


def _number(key: str, write: Callable[[float | None], str]) -> Callable[[Row], Cell]:
    return lambda row: write(row.get(key))


def _node_state(signs: Signs) -> Callable[[Row], Cell]:
    said = {
        "up": (f"{signs.good} up", GOOD),
        "ended": (f"{signs.later} ended", DIM),
        "failed": (f"{signs.bad} failed", BAD),
    }
    return lambda row: said.get(row.get("state", ""), "-")


def _percent(row: Row) -> Cell:
    return f"{row['cpu'] * 100:.0f} %" if "cpu" in row else "-"


def _programs(row: Row) -> Cell:
    return ", ".join(row.get("programs", ())) or "-", DIM


def nodes(signs: Signs, several_hosts: bool = False) -> list[Column]:
    """Of live nodes; those of several hosts have no figures of their own of processor and memory, their hosts have."""
    used = [
        Column("cpu", 6, _percent, "cpu", True),
        Column("memory", 9, _number("memory_bytes", text.size), "memory_bytes", True),
    ]
    return [
        Column("node", 0, _plain("node"), "node"),
        Column("role", 14, _plain("role"), "role"),
        Column("state", 8, _node_state(signs)),
        *([Column("host", 12, _plain("host"), "host")] if several_hosts else used),
        Column("sent", 12, _number("sent_bps", text.rate), "sent_bps", True),
        Column("received", 12, _number("received_bps", text.rate), "received_bps", True),
        Column("programs", 0, _programs, from_width=100),
    ]


def _end(signs: Signs) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        name = row.get("end", "")
        return name if row.get("up", True) else (f"{signs.bad} {name} down", BAD)

    return cell


def _drops(row: Row) -> Cell:
    if "drops" not in row:
        return "-"
    return f"{row['drops']:,}", WARN if row["drops"] else DIM


def _causes(row: Row) -> Cell:
    """Of the whole run, the most frequent first."""
    causes = row.get("causes", {})
    said = [f"{cause} {causes[cause]:,}" for cause in sorted(causes, key=lambda cause: (-causes[cause], cause))]
    return "  ".join(said) or "-", DIM


def _used(columns: int) -> Callable[[Row], Cell]:
    return lambda row: sparkline(row["history"], columns) if row.get("history") else "-"


def _share(row: Row) -> Cell:
    return f"{row['history'][-1]} %" if row.get("history") else "-"


def links(signs: Signs, width: int) -> list[Column]:
    """Of link ends, for a screen of that width."""
    return [
        Column("link end", 0, _end(signs), "end"),
        Column("far", 12, _plain("far"), from_width=100),
        Column("asked ms", 8, _number("asked_ms", text.milliseconds), "asked_ms", True),
        Column("seen ms", 8, _number("seen_ms", text.milliseconds), "seen_ms", True),
        Column("late ms", 8, _number("late_ms", text.milliseconds), from_width=110),
        Column("offered", 12, _number("asked_bps", text.rate), "asked_bps", True, from_width=130),
        Column("rate", 12, _number("rate_bps", text.rate), "rate_bps", True),
        Column("capacity", 12, _number("capacity_bps", text.rate), from_width=145),
        Column("used", HISTORY if width >= 100 else SHORT_HISTORY, _used(HISTORY if width >= 100 else SHORT_HISTORY)),
        Column("", 5, _share, from_width=100),
        Column("drops", 6, _drops, "drops", True),
        Column("by cause, whole run", 0, _causes) if width >= 110 else Column("by cause", 8, _first_cause),
    ]


def _first_cause(row: Row) -> Cell:
    causes = row.get("causes", {})
    return (max(causes, key=lambda cause: (causes[cause], cause)), DIM) if causes else "-"


def _lost(row: Row) -> Cell:
    lost = row.get("lost", 0)
    return f"{lost}/{row.get('sent', 0)}", WARN if lost else DIM


PROBES = [
    Column("pair", 0, _plain("pair")),
    Column("asked ms", 8, _number("asked_ms", text.milliseconds)),
    Column("seen ms", 8, _number("seen_ms", text.milliseconds)),
    Column("error", 7, _number("error_ms", text.signed)),
    Column("lost", 7, _lost),
]
FLOWS = [
    Column("pair", 0, _plain("pair")),
    Column("now", 12, _number("now_bps", text.rate)),
    Column("mean", 12, _number("mean_bps", text.rate)),
    Column("bytes", 8, _number("bytes", text.size)),
]


def _late(share: str) -> Callable[[Row], Cell]:
    return lambda row: text.milliseconds(row.get("lateness_ms", {}).get(share))


def _if_any(key: str) -> Callable[[Row], Cell]:
    return lambda row: (f"{row.get(key, 0):,}", WARN if row.get(key) else DIM)


MACHINES = [
    Column("host", 0, _plain("name")),
    Column("nodes", 6, lambda row: f"{row.get('nodes', 0):,}"),
    Column("late p99", 8, _late("p99")),
    Column("max ms", 7, _late("max")),
    Column("late rows", 9, _if_any("late_rows")),
    Column("memory", 8, _number("memory_bytes", text.size)),
]
TRUNKS = [
    Column("from → to", 0, _plain("pair")),
    Column("packets", 9, lambda row: f"{row.get('packets', 0):,}"),
    Column("p99 ms", 7, _number("latency_p99_ms", text.milliseconds)),
    Column("late", 6, _if_any("late")),
    Column("lost", 5, _if_any("lost")),
]
SHORT_NODES = [
    Column("node", 0, _plain("node")),
    Column("cpu", 6, _percent),
    Column("sent", 12, _number("sent_bps", text.rate)),
    Column("received", 12, _number("received_bps", text.rate)),
]
SHORT_LINKS = [
    Column("end", 0, _plain("end")),
    Column("asked ms", 8, _number("asked_ms", text.milliseconds)),
    Column("seen ms", 8, _number("seen_ms", text.milliseconds)),
    Column("rate", 12, _number("rate_bps", text.rate)),
    Column("drops", 6, _drops),
]


def titled(
    words: str, columns: Sequence[Column], rows: Sequence[Any], width: int, height: int, count: int = 0
) -> list[Line]:
    """A table below its title, as many rows as fit; the title counts what does not. `count`: where there are more than
    `rows`."""
    if height < 2:
        return []
    shown = rows[: max(0, height - 2)]
    if len(shown) < max(count, len(rows)):
        words += f" ({len(shown)} of {max(count, len(rows)):,})"
    return [title(words, width), *table(columns, shown, width)][:height]


def tail(words: str, lines: Sequence[Line], height: int) -> list[Line]:
    """A title and the last of the lines."""
    return [line((words, text.HEAD)), *lines[max(0, len(lines) - height + 1) :]][:height] if height > 1 else []


def event(row: Row) -> Line:
    """An event in one line."""
    failed = str(row.get("kind", "")).endswith(("failed", "error"))
    node, kind = row.get("node", ""), row.get("kind", "")
    return line((f"{text.clock(row.get('t_s'))} ", DIM), node, " " if node else "", (kind, BAD if failed else ""), " ",
                (row.get("text", ""), DIM))  # fmt: skip


def handover(row: Row) -> Line:
    """A handover in one line."""
    before, after = row.get("before") or "nobody", row.get("after") or "nobody"
    return line((f"{text.clock(row.get('t_s'))} ", DIM), f"{row.get('link', '')}  {before} → {after}")


def snapshot_events(snapshot: Snapshot) -> list[Line]:
    """The events of a snapshot, a line each, oldest first."""
    return [event(row) for row in snapshot.get("events", [])]
