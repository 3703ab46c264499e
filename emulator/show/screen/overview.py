"""The first panel: a bit of everything, in as many columns as there is room for.

Invariant: a part is given its rows and never takes more; what does not fit is counted, not hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from emulator.record.snapshot import Snapshot
from emulator.show.screen import tables
from emulator.show.screen.lines import Line, columns, drawn, side_width, title
from emulator.show.text import Signs
from emulator.show.widgets import draw_all

TWO_SIDES, THREE_SIDES = 110, 180  # columns of the screen
HANDOVERS, EVENTS, PROTOCOL_ROWS = 6, 10, 12


class Part(NamedTuple):
    """A part of the overview: how many rows it would like, and how it draws itself in so many columns and rows."""

    wanted: int
    draw: Callable[[int, int], list[Line]]


def body(snapshot: Snapshot, width: int, rows: int, signs: Signs) -> list[Line]:
    """At most `rows` lines."""
    sides = 3 if width >= THREE_SIDES else 2 if width >= TWO_SIDES else 1
    found = parts(snapshot, signs)
    if not found or rows < 2:
        return []
    sides = min(sides, len(found))
    each = side_width(sides, width)
    return columns([_side(found[number::sides], each, rows) for number in range(sides)], width)


def _side(found: Sequence[Part], width: int, rows: int) -> list[Line]:
    lines: list[Line] = []
    for part, granted in zip(found, grant([part.wanted for part in found], rows), strict=True):
        if granted:
            lines += part.draw(width, granted)
    return lines


def parts(snapshot: Snapshot, signs: Signs) -> list[Part]:
    """What this run has to show, most important first."""
    found = [_protocol(panel) for panel in snapshot.get("panels", []) if panel.get("widgets")]
    if snapshot.get("probes"):
        found.append(_table("Probes, round trip", tables.PROBES, snapshot["probes"]))
    if snapshot.get("flows"):
        found.append(_table("Flows", tables.FLOWS, snapshot["flows"]))
    if snapshot.get("links"):
        found.append(_table("Links", tables.SHORT_LINKS, snapshot["links"]))
    if snapshot.get("node_rows"):
        found.append(_table("Nodes", tables.nodes(signs), snapshot["node_rows"]))
    told = [tables.handover(row) for row in snapshot.get("handover_tail", [])]
    if told or snapshot.get("handovers"):
        words = f"Handovers {snapshot.get('handovers', len(told)):,}"
        found.append(Part(min(HANDOVERS, len(told)) + 1, lambda width, rows: tables.tail(words, told, rows)))
    happened = tables.snapshot_events(snapshot)
    if happened:
        found.append(Part(min(EVENTS, len(happened)) + 1, lambda width, rows: tables.tail("Events", happened, rows)))
    return found


def _protocol(panel: Any) -> Part:
    def draw(width: int, rows: int) -> list[Line]:
        return [title(panel.get("title", ""), width), *drawn(draw_all(panel, width, rows - 1), width, rows - 1)]

    return Part(PROTOCOL_ROWS, draw)


def _table(words: str, shown: Sequence[Any], rows: Sequence[Any]) -> Part:
    return Part(len(rows) + 2, lambda width, height: tables.titled(words, shown, rows, width, height))


def grant(wanted: Sequence[int], rows: int) -> list[int]:
    """Share `rows` out: nobody gets more than it wants, what one leaves goes to the others, and the first, which
    matters most, grows twice as fast. Under 2 is 0."""
    granted = [0] * len(wanted)
    turns = [0, *range(len(wanted))]
    left = rows
    while left > 0 and any(count < most for count, most in zip(granted, wanted, strict=True)):
        for index in turns:
            if left > 0 and granted[index] < wanted[index]:
                granted[index] += 1
                left -= 1
    return [count if count >= 2 else 0 for count in granted]
