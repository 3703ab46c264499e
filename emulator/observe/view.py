"""What a screen looks at, as it tells the run.

Invariant: apart from the snapshot, since every process that speaks to the run knows it, and needs nothing else here.
"""

from __future__ import annotations

from typing import TypedDict


class View(TypedDict, total=False):
    """What the screen looks at, sent to the run: rows come filtered and in order, and only those that are shown.

    Absent keys are the defaults: no filter, the panel's own order, 40 rows.
    """

    panel: str  # "overview", "nodes", "links", "protocol", "contacts", "map", "events"
    filter: str  # part of a name, or a glob; of nodes, link ends, events
    sort: str  # name of a column of NodeRow or LinkRow; "-rate_bps" is descending
    rows: int  # how many there is room for
    detail: str  # name of the node or link end that is looked at
