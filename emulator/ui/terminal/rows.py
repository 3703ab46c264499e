"""The rows of a snapshot that a filter and an order leave: the run's answer, put right at once.

Invariant: filtering and sorting what is filtered and sorted changes nothing, so a screen that has just been told of a
new filter shows the same rows as the run will send; `fits` is what both understand by a filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from emulator.observe.live_metrics import fits
from emulator.observe.snapshot import Snapshot

Row = TypeVar("Row", bound=Mapping[str, Any])


def chosen(rows: Sequence[Row], pattern: str, sort: str, *name_keys: str) -> list[Row]:
    """Rows of which one of the `name_keys` matches, sorted by the key `sort` ("-key": falling); absent values last."""
    found = [row for row in rows if not pattern or fits(pattern, *(str(row.get(key, "")) for key in name_keys))]
    if not sort:
        return found
    key = sort.lstrip("-")
    known = [row for row in found if row.get(key) is not None]
    known.sort(key=lambda row: _comparable(row[key]), reverse=sort[0] == "-")
    return known + [row for row in found if row.get(key) is None]


def _comparable(value: Any) -> Any:
    if isinstance(value, list):
        return value[-1] if value else -1  # a history: its newest
    return value


def nodes(snapshot: Snapshot, pattern: str, sort: str) -> list[Any]:
    """Of the panel of nodes."""
    return chosen(snapshot.get("node_rows", []), pattern, sort, "node", "role")


def links(snapshot: Snapshot, pattern: str, sort: str) -> list[Any]:
    """Of the panel of links."""
    return chosen(snapshot.get("links", []), pattern, sort, "end", "far")


def events(snapshot: Snapshot, pattern: str) -> list[Any]:
    """Of the panel of events, oldest first."""
    return chosen(snapshot.get("events", []), pattern, "", "node", "kind", "text")


def contacts(snapshot: Snapshot, pattern: str) -> list[Any]:
    """Of the panel of contacts."""
    return chosen(snapshot.get("contacts", []), pattern, "", "link", "node")
