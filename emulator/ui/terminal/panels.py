"""The panels 2 to 7, the detail of a node or link, the list of faults and the help: a snapshot as a state wants it.

Invariant: pure, and never more lines than were granted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgpack

from emulator.observe.snapshot import Snapshot
from emulator.report.text import DIM, HEAD, Signs
from emulator.ui.terminal import rows as rows_
from emulator.ui.terminal import tables
from emulator.ui.terminal.keymap import keys_of
from emulator.ui.terminal.lines import SELECTED, Column, Line, drawn, fit, line, table, title
from emulator.ui.terminal.state import State, offered, position, rows_of
from emulator.ui.widgets import draw, draw_all, gantt, world

EVENTS_BELOW = 4  # rows under the tables of nodes and links, where there is room
ROOMY = 16
AWAITED = "waiting for the run to answer"
BEFORE_S, AFTER_S = 60.0, 120.0  # of the contacts around the present


def nodes(snapshot: Snapshot, state: State, width: int, rows: int, signs: Signs) -> list[Line]:
    """A line a live node; below them the hosts and trunks of a run on several."""
    counted = snapshot.get("node_count", len(snapshot.get("node_rows", [])))
    several = bool(snapshot.get("machines"))
    below = _hosts(snapshot, width, rows // 2) if several else _events(snapshot)
    return _chosen("Nodes", counted, tables.nodes(signs, several), snapshot, state, width, rows, below)


def _hosts(snapshot: Snapshot, width: int, rows: int) -> list[Line]:
    machines, trunks = snapshot.get("machines", []), snapshot.get("trunks", [])
    room = min(len(machines) + 2, rows - rows // 2)
    lines = tables.titled("Hosts, lateness in ms", tables.MACHINES, machines, width, room)
    return [*lines, *tables.titled("Trunks between hosts", tables.TRUNKS, trunks, width, rows - room)]


def _events(snapshot: Snapshot) -> list[Line]:
    return tables.tail("Events", tables.snapshot_events(snapshot), EVENTS_BELOW)


def links(snapshot: Snapshot, state: State, width: int, rows: int, signs: Signs) -> list[Line]:
    """A line a link end."""
    counted = snapshot.get("link_count", len(snapshot.get("links", [])))
    return _chosen("Links", counted, tables.links(signs, width), snapshot, state, width, rows, _events(snapshot))


def _chosen(
    words: str, counted: int, columns: Sequence[Column], snapshot: Snapshot, state: State, width: int, rows: int,
    below: list[Line],
) -> list[Line]:  # fmt: skip
    """A table with a selected row, scrolled to it, and where there is room `below` at the bottom."""
    found = rows_of(state, snapshot)
    below = below if rows >= ROOMY else []
    room = max(0, rows - 2 - max(len(below), EVENTS_BELOW if below else 0))
    at = position(state, found)
    first = max(0, min(at - room // 2, len(found) - room))
    shown = found[first : first + room]
    note = f"{first + 1}-{first + len(shown)} of {counted:,}" if shown else _nothing(state, counted)
    lines = [
        title(words + _filtered(state), width, note),
        *table(columns, shown, width, at - first, state.sort),
    ]
    if below:
        lines += [[] for _ in range(rows - len(below) - len(lines))] + below
    return lines[:rows]


def _nothing(state: State, counted: int) -> str:
    return "none fits the filter" if state.filter else "none yet" if not counted else f"0 of {counted:,}"


def _filtered(state: State) -> str:
    return f" with “{state.filter}”" if state.filter else ""


def protocol(snapshot: Snapshot, state: State, width: int, rows: int, signs: Signs) -> list[Line]:
    """What a protocol package shows of itself."""
    panels = snapshot.get("panels", [])
    if not panels:
        return _empty("Protocol", "no program of this run brings a panel", width, rows)
    number = state.protocol % len(panels)
    note = f"{number + 1} of {len(panels)}: 4 or left and right for the next" if len(panels) > 1 else ""
    head = title(panels[number].get("title", ""), width, note)
    return [head, *drawn(draw_all(panels[number], width, rows - 1), width, rows - 1)][:rows]


def contacts(snapshot: Snapshot, state: State, width: int, rows: int, signs: Signs) -> list[Line]:
    """Who serves whom, before and after now."""
    found = rows_.contacts(snapshot, state.filter)
    if not found and _awaited(snapshot, state):
        return _empty("Contacts", AWAITED, width, rows)
    if not found:
        none = f"none with “{state.filter}”" if state.filter else "this run has no links that move"
        return _empty("Contacts", none, width, rows)
    first = min(state.scroll, max(0, len(found) - max(1, rows - 4)))
    t_s = snapshot.get("t_s", 0.0)
    from_s = max(0.0, t_s - BEFORE_S)
    until_s = max(from_s + 1.0, min(snapshot.get("duration_s", t_s + AFTER_S), from_s + BEFORE_S + AFTER_S))
    note = f"{first + 1}-{len(found)} of {len(found)}" if first else f"{len(found)}"
    picture = gantt(found[first:], t_s, from_s, until_s, width, rows - 1, signs)
    return [title("Contacts" + _filtered(state), width, note), *drawn(picture, width, rows - 1)][:rows]


def world_map(snapshot: Snapshot, state: State, width: int, rows: int, signs: Signs) -> list[Line]:
    """Where everything is."""
    if "map" not in snapshot and _awaited(snapshot, state):
        return _empty("Map", AWAITED, width, rows)
    if "map" not in snapshot:
        return _empty("Map", "the nodes of this run have no places on the Earth", width, rows)
    shown = snapshot["map"]
    note = (
        f"{len(shown.get('places', ()))} stations, {len(shown.get('satellites', ())) // 2:,} satellites, "
        f"{len(shown.get('paths', ()))} paths in use"
    )
    picture = _map_picture(msgpack.packb(shown), width, rows - 1, signs)
    return [title("Map", width, note), *picture][:rows]


@lru_cache(maxsize=2)
def _map_picture(packed: bytes, width: int, rows: int, signs: Signs) -> tuple[Line, ...]:
    """The map of what is packed: by far the dearest picture, and the same one for all snapshots of a second."""
    return tuple(drawn(world(msgpack.unpackb(packed), width, rows, signs), width, rows))


def events(snapshot: Snapshot, state: State, width: int, rows: int, signs: Signs) -> list[Line]:
    """The newest at the bottom; scrolled back, earlier ones."""
    found = rows_.events(snapshot, state.filter)
    if not found:
        return _empty("Events", "none with this filter" if state.filter else "none yet", width, rows)
    last = len(found) - min(state.scroll, len(found) - 1)
    shown = [tables.event(row) for row in found[max(0, last - rows + 1) : last]]
    note = f"{len(found) - last} newer below" if last < len(found) else "newest at the bottom"
    return [title("Events" + _filtered(state), width, note), *shown][:rows]


def detail(snapshot: Snapshot, state: State, width: int, rows: int, signs: Signs) -> list[Line]:
    """Everything about one node or link end."""
    head = title(
        f"{state.panel.capitalize()} › {state.detail}", width, "Esc back" if state.finished else "Esc back   f fault"
    )
    found = snapshot.get("detail", {})
    if found.get("name") != state.detail:
        return [head, line((AWAITED, DIM))][:rows]
    facts = found.get("facts", [])
    widest = max((len(name) for name, _ in facts), default=0)
    lines = [head, *(line((fit(name, widest), DIM), "  ", words) for name, words in facts)]
    told = [tables.event(row) for row in found.get("events", [])]
    room = rows - len(lines)
    kept = min(len(told) + 2, max(4, room // 3)) if told else 0  # with a blank line and a title
    for widget in found.get("widgets", []):
        left = rows - kept - len(lines) - 1
        if left >= 3:
            lines += [[], *drawn(draw(widget, width, left), width, left)]
    if told:
        lines += [[], *tables.tail("Events", told, max(0, rows - len(lines) - 1))]
    return lines[:rows]


def fault_list(state: State, width: int, rows: int) -> list[Line]:
    """What can be done to the target; the chosen line stands out."""
    kind, name = state.aim or ("node", "")
    lines = [title(f"Do what to the {kind} {name}?", width, "up, down   Enter do it   Esc leave it"), []]
    for number, choice in enumerate(offered(state)):
        here = number == state.choice
        words = fit(f"{'›' if here else ' '} {choice.words}", 22)
        lines.append(line((words, SELECTED if here else HEAD), "  ", (choice.meaning, "" if here else DIM)))
    lines += [[], line(("the event log tells what came of it", DIM))]
    return lines[:rows]


def help_page(state: State, width: int, rows: int) -> list[Line]:
    """The keys of this view, and what the signs mean."""
    lines = [title(f"Keys of {state.panel}", width, "any key goes back")]
    lines += [line((fit(f"  {key}", 16), HEAD), meaning) for key, meaning in keys_of(state)]
    return lines[:rows]


def _awaited(snapshot: Snapshot, state: State) -> bool:
    """Whether the snapshot was made for another panel: what it lacks may still come."""
    return snapshot.get("view", {}).get("panel", state.panel) != state.panel


def _empty(words: str, why: str, width: int, rows: int) -> list[Line]:
    return [title(words, width), line((why, DIM))][:rows]


DRAWN = {
    "nodes": nodes, "links": links, "protocol": protocol, "contacts": contacts, "map": world_map, "events": events,
}  # fmt: skip
