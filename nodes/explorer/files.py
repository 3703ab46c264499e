"""Schedules as JSON files: which edges of a graph are present in which step.

    {"nodes": 4, "snapshots": [[[0, 1], [1, 2], [2, 3]], [[0, 1], [1, 3], [2, 3]]], "period": 2}
    {"nodes": 4, "edges": [[0, 1], [1, 2], [2, 3], [0, 3]], "steps": 6, "period": 0,
     "events": [{"step": 2, "edge": [0, 3], "present": false}, {"step": 4, "edge": [0, 3], "present": true}]}

Nodes are numbered from 0. In the first form a list of edges stands for each step. In the second all `edges` are present
at first, and an event holds from its step on; an edge that is first heard of in an event was absent before. `period`
(optional, 0) repeats the last so many steps for ever; with 0 the last step stays. Invariant: what is read is a
`Schedule` in which every edge joins two different nodes of the graph, or a ValueError that names the place in the file.
"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from emulator.model.errors import DataError, Unfit
from emulator.model.inputs import parse_json, read_text
from nodes.explorer.interval import Edge, Snapshot, edge
from nodes.explorer.schedules import Schedule

MOST_NODES = 100_000
MOST_STEPS = 1 << 20
MOST_EDGES = 2_000_000  # over all steps that differ from the one before


def read(path: str | Path) -> Schedule:
    """The schedule of a file. DataError with the file and the place in it where it is none."""
    try:
        return parse(parse_json(read_text(path)))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; expected a schedule file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is no UTF-8; expected a schedule as JSON") from None
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None


def write(schedule: Schedule) -> str:
    """JSON text of a schedule, in the form with snapshots."""
    snapshots = [sorted(map(list, snapshot)) for snapshot in schedule.snapshots]
    return json.dumps({"nodes": schedule.nodes, "snapshots": snapshots, "period": schedule.period})


def parse(document: object) -> Schedule:
    """The schedule of a decoded file. ValueError "<place>: <found>; expected <allowed>"."""
    table = _table(document, "$")
    allowed = (
        {"nodes", "snapshots", "period"} if "snapshots" in table else {"nodes", "edges", "steps", "events", "period"}
    )
    if unknown := sorted(set(table) - allowed):
        raise Unfit(f"$.{unknown[0]}: an unknown key", f"{', '.join(sorted(allowed))}")
    nodes = _integer(table, "nodes", "$", 1, MOST_NODES)
    if "snapshots" in table:
        snapshots = _snapshots(table, nodes)
    elif "edges" in table or "events" in table:
        snapshots = _played(table, nodes)
    else:
        raise Unfit("$: neither `snapshots` nor `edges`", "one of them")
    edges = sum(len(snapshot) for snapshot, _ in groupby(snapshots))
    if edges > MOST_EDGES:
        raise Unfit(f"$.snapshots: {edges} edges over the steps that differ", f"{MOST_EDGES} at most")
    period = _integer(table, "period", "$", 0, len(snapshots), default=0)
    return Schedule(nodes, tuple(snapshots), period)


def _snapshots(table: dict[str, Any], nodes: int) -> list[Snapshot]:
    steps = _list(table["snapshots"], "$.snapshots")
    if not 1 <= len(steps) <= MOST_STEPS:
        raise Unfit(f"$.snapshots: {len(steps)} steps", f"1 to {MOST_STEPS}")
    return [_edges(step, f"$.snapshots[{at}]", nodes) for at, step in enumerate(steps)]


def _played(table: dict[str, Any], nodes: int) -> list[Snapshot]:
    """Snapshots of a graph whose edges go off and on."""
    present = set(_edges(table.get("edges", []), "$.edges", nodes))
    steps = _integer(table, "steps", "$", 1, MOST_STEPS)
    events: dict[int, dict[Edge, bool]] = {}
    for at, event in enumerate(_list(table.get("events", []), "$.events")):
        place = f"$.events[{at}]"
        entry = _table(event, place)
        if set(entry) != {"step", "edge", "present"}:
            raise Unfit(f"{place}: keys {', '.join(sorted(entry)) or 'none'}", "step, edge, present")
        step = _integer(entry, "step", place, 0, steps - 1)
        pair = _edge(entry["edge"], f"{place}.edge", nodes)
        if not isinstance(entry["present"], bool):
            raise Unfit(f"{place}.present: {entry['present']!r}", "true or false")
        if pair in events.setdefault(step, {}):
            raise Unfit(f"{place}: edge {list(pair)} a second time in step {step}", "one event")
        events[step][pair] = entry["present"]
    snapshots: list[Snapshot] = []
    edges = 0
    for step in range(steps):
        if snapshots and step not in events:
            snapshots.append(snapshots[-1])
            continue
        for pair, there in events.get(step, {}).items():
            (present.add if there else present.discard)(pair)
        edges += len(present)
        if edges > MOST_EDGES:
            raise Unfit(f"$.events: more than {MOST_EDGES} edges over the steps with events", "fewer")
        snapshots.append(frozenset(present))
    return snapshots


def _edges(value: object, place: str, nodes: int) -> Snapshot:
    pairs = [_edge(pair, f"{place}[{at}]", nodes) for at, pair in enumerate(_list(value, place))]
    found: set[Edge] = set()
    for at, pair in enumerate(pairs):
        if pair in found:
            raise Unfit(f"{place}[{at}]: edge {list(pair)} a second time", "each edge once")
        found.add(pair)
    return frozenset(found)


def _edge(value: object, place: str, nodes: int) -> Edge:
    if not (isinstance(value, list) and len(value) == 2 and all(type(node) is int for node in value)):
        raise Unfit(f"{place}: {_short(value)}", "an edge such as [0, 1]")
    a, b = value
    if a == b or not (0 <= a < nodes and 0 <= b < nodes):
        raise Unfit(f"{place}: {_short(value)}", f"two different nodes of 0 … {nodes - 1}")
    return edge(a, b)


def _integer(table: dict[str, Any], key: str, place: str, least: int, most: int, default: int | None = None) -> int:
    value = table.get(key, default)
    if type(value) is not int or not least <= value <= most:
        found = _short(value) if key in table else "missing"
        raise Unfit(f"{place}.{key}: {found}", f"a whole number, {least} to {most}")
    return value


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unfit(f"{place}: {_short(value)}", "a list")
    return value


def _table(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unfit(f"{place}: {_short(value)}", "an object with keys")
    return value


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
