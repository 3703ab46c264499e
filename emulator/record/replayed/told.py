"""Decisions that runs tell in their events: rows of the schedule, handovers, carriers, actions, ends of programs.

Invariant: what one run did after the other had ended is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from emulator.record.replayed.finding import Finding, of_sequences

if TYPE_CHECKING:
    from emulator.record.load import Run

ACTIONS = ("action", "action-failed")
ENDS = ("program-ready", "program-not-ready", "program-ended", "exec-ended")


class Event(NamedTuple):
    """A row of events.parquet."""

    t_s: float
    node: str
    program: str
    kind: str
    data: dict[str, Any]


def told(first: Run, second: Run) -> list[Finding]:
    """What can be said of the events of two runs."""
    lasted_s = [run.verdict.duration_s if run.verdict else 0.0 for run in (first, second)]
    everything = [list(_events(run)) for run in (first, second)]
    events = [[event for event in run if event.t_s < min(lasted_s)] for run in everything]
    return [
        _rows(first, second),
        _scheduled("handovers", events, ("handover",), ("link", "before", "after")),
        _scheduled("carrier changes", events, ("carrier",), ("link", "up")),
        _actions(events),
        *_ends([_ends_of(everything[0], lasted_s[1]), _ends_of(everything[1], lasted_s[0])]),
    ]


def _rows(first: Run, second: Run) -> Finding:
    """The rows that the planners computed, by their digests at equal counts."""
    digests = [_digests(run) for run in (first, second)]
    common = sorted(digests[0].keys() & digests[1].keys())
    if not common:
        return Finding("schedule rows", "", 0, 0, "a run tells no digests of its rows: an older version played it")
    equal = [count for count in common if digests[0][count] == digests[1][count]]
    if len(equal) == len(common):
        return Finding("schedule rows", "", common[-1], common[-1])
    good = max(equal, default=0)
    bad = next(count for count in common if count not in equal)
    return Finding("schedule rows", "", common[-1], good, f"a row from number {good + 1} to {bad} differs")


def _digests(run: Run) -> dict[int, str]:
    """By the count of rows that each covers."""
    for event in _events(run):
        if event.kind == "machinery":
            digests = event.data.get("schedule_digests") or {}
            return {int(count): str(digest) for count, digest in digests.items()}
    return {}


def _scheduled(kind: str, events: list[list[Event]], kinds: tuple[str, ...], keys: tuple[str, ...]) -> Finding:
    """What the schedule alone decides, its time too. The order of one time is that of the names."""
    first, second = (
        sorted(
            (event.t_s, event.node, *(str(event.data.get(key)) for key in keys)) for event in run if event.kind in kinds
        )
        for run in events
    )
    return of_sequences(kind, "", first, second)


def _actions(events: list[list[Event]]) -> Finding:
    """What was done to the network, in order. Each is done some milliseconds after it is due, which is not judged."""
    first, second = ([event for event in run if event.kind in ACTIONS] for run in events)
    what = [[f"{event.kind} {json.dumps(event.data, sort_keys=True)}" for event in run] for run in (first, second)]
    apart_s = max((abs(one.t_s - other.t_s) for one, other in zip(first, second, strict=False)), default=0.0)
    note = f"done at most {1e3 * apart_s:.1f} ms apart (real time, not judged)" if first or second else ""
    return of_sequences("actions", "", what[0], what[1], note)


Ends = dict[
    str, list[tuple[str, bool]]
]  # by program and node: "program-ended 1" and whether the other run still went on


def _ends(found: list[Ends]) -> Iterator[Finding]:
    """How each program became ready and ended on its node, and each command."""
    judged = [_ends_at(name, found) for name in sorted(found[0].keys() | found[1].keys())]
    count = sum(finding.compared for finding in judged if not finding.differs)
    yield Finding("ends of programs", "", count, count)
    yield from (finding for finding in judged if finding.differs)


def _ends_at(name: str, found: list[Ends]) -> Finding:
    """What one run has more than the other counts only where the other still went on."""
    first, second = (run.get(name, []) for run in found)
    shared = min(len(first), len(second))
    sequences = [
        [what for place, (what, counts) in enumerate(ends) if place < shared or counts] for ends in (first, second)
    ]
    return of_sequences("ends of programs", name, sequences[0], sequences[1])


def _ends_of(events: list[Event], other_lasted_s: float) -> Ends:
    found: Ends = {}
    for event in events:
        if event.kind in ENDS:
            what = " ".join(map(str, event.data.get("command") or ())) or event.program
            name = f"{what} on {event.node or event.data.get('node')}"
            status = f" {event.data['status']}" if "status" in event.data else ""
            found.setdefault(name, []).append((event.kind + status, event.t_s < other_lasted_s))
    return found


def _events(run: Run) -> Iterator[Event]:
    """The events of the run itself and those that the runtime tells of programs."""
    import polars as pl

    kinds = ["machinery", "handover", "carrier", *ACTIONS, *ENDS]
    own = run.events.filter(pl.col("kind").is_in(kinds)).select("t_s", "node", "program", "kind", "data")
    for t_s, node, program, kind, data in own.iter_rows():
        try:
            fields = json.loads(data)
        except ValueError:
            continue
        if isinstance(fields, dict) and (kind in ENDS or program in ("", "skyloom")):
            yield Event(t_s, node, program, kind, fields)
