"""The first panel: a bit of everything, in as many columns as there is room for.

Invariant: a part is given its rows and never takes more; a table counts the rows that do not fit, and a part that would
be left with next to nothing is left to its own panel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from emulator.observe.snapshot import ContactRow, Snapshot
from emulator.report.text import Signs
from emulator.ui.terminal import tables
from emulator.ui.terminal.lines import Line, columns, drawn, side_width, title
from emulator.ui.widgets import draw_all, gantt

TWO_SIDES, THREE_SIDES = 110, 180  # columns of the screen
HANDOVERS, EVENTS, PROTOCOL_ROWS = 6, 10, 14
LEAST_OF_TABLE, LEAST_OF_PICTURE = 5, 7
CONTACTS_S = 60.0  # before and after now


class Part(NamedTuple):
    """A part of the overview, and how it draws itself in so many columns and rows."""

    rank: int  # 0 is the last to be left out
    least: int  # rows, below which it is not worth its room
    preferred: int  # rows with which it is complete
    draw: Callable[[int, int], list[Line]]


def body(snapshot: Snapshot, width: int, rows: int, signs: Signs) -> list[Line]:
    """At most `rows` lines."""
    found = parts(snapshot, signs)
    sides = max(1, min(3 if width >= THREE_SIDES else 2 if width >= TWO_SIDES else 1, len(found)))
    each = side_width(sides, width)
    return columns([_side(found[number::sides], each, rows) for number in range(sides)], width)


def _side(found: Sequence[Part], width: int, rows: int) -> list[Line]:
    lines: list[Line] = []
    for part, granted in zip(found, grant(found, rows), strict=True):
        if granted:
            lines += part.draw(width, granted)
    return lines


def grant(found: Sequence[Part], rows: int) -> list[int]:
    """Share `rows` out: everybody gets its least, by rank as far as that goes, and then all grow alike."""
    granted = [0] * len(found)
    left = rows
    for number in sorted(range(len(found)), key=lambda number: found[number].rank):
        least = min(found[number].least, found[number].preferred)
        if least <= left:
            granted[number] = least
            left -= least
    growing = True
    while left > 0 and growing:
        growing = False
        for number, part in enumerate(found):
            if left > 0 and 0 < granted[number] < part.preferred:
                granted[number] += 1
                left -= 1
                growing = True
    return granted


def parts(snapshot: Snapshot, signs: Signs) -> list[Part]:
    """What this run has to show, from top to bottom."""
    found = [_protocol(panel, number) for number, panel in enumerate(snapshot.get("panels", [])) if panel["widgets"]]
    if snapshot.get("machines"):
        found.append(_table(1, "Hosts, lateness in ms", tables.MACHINES, snapshot["machines"]))
    if snapshot.get("trunks"):
        found.append(_table(4, "Trunks between hosts", tables.TRUNKS, snapshot["trunks"]))
    if snapshot.get("links"):
        found.append(_table(1, "Links", tables.SHORT_LINKS, snapshot["links"], snapshot.get("link_count", 0)))
    if snapshot.get("probes"):
        found.append(_table(2, "Probes, round trip", tables.PROBES, snapshot["probes"]))
    if snapshot.get("node_rows"):
        found.append(_table(3, "Nodes", tables.SHORT_NODES, snapshot["node_rows"], snapshot.get("node_count", 0)))
    if snapshot.get("flows"):
        found.append(_table(5, "Flows", tables.FLOWS, snapshot["flows"]))
    if snapshot.get("contacts"):
        found.append(_contacts(snapshot, snapshot["contacts"], signs))
    told = [tables.handover(row) for row in snapshot.get("handover_tail", [])]
    if told or snapshot.get("handovers"):
        words = f"Handovers {snapshot.get('handovers', len(told)):,}"
        preferred = min(HANDOVERS, len(told)) + 1
        found.append(Part(7, 2, preferred, lambda width, rows: tables.tail(words, told, rows)))
    happened = tables.snapshot_events(snapshot)
    if happened:
        preferred = min(EVENTS, len(happened)) + 1
        found.append(Part(0, 2, preferred, lambda width, rows: tables.tail("Events", happened, rows)))
    return found


def _protocol(panel: Any, number: int) -> Part:
    def draw(width: int, rows: int) -> list[Line]:
        return [title(panel.get("title", ""), width), *drawn(draw_all(panel, width, rows - 1), width, rows - 1)]

    return Part(0 if number == 0 else 6, LEAST_OF_PICTURE, PROTOCOL_ROWS, draw)


def _table(rank: int, words: str, shown: Sequence[Any], rows: Sequence[Any], count: int = 0) -> Part:
    def draw(width: int, height: int) -> list[Line]:
        return tables.titled(words, shown, rows, width, height, count)

    return Part(rank, LEAST_OF_TABLE, len(rows) + 2, draw)


def _contacts(snapshot: Snapshot, found: list[ContactRow], signs: Signs) -> Part:
    t_s = snapshot.get("t_s", 0.0)
    from_s = max(0.0, t_s - CONTACTS_S)

    def draw(width: int, rows: int) -> list[Line]:
        picture = gantt(found, t_s, from_s, from_s + 2 * CONTACTS_S, width, rows - 1, signs)
        return [title("Contacts", width), *drawn(picture, width, rows - 1)]

    return Part(4, LEAST_OF_PICTURE, len(found) + 2, draw)
