"""What an exploration did, from its record: where the agent was, what it saw, and how long edges really stayed.

Invariant: T is measured from the log of links that the relay keeps (`carrier` events), not from what anybody asked of
them; the hosts' own events only say when each step was.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nodes.explorer.interval import Edge, Snapshot, edge, largest_finite
from nodes.explorer.schedules import Footprint

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run

PROGRAM = "nodes.explorer.process:Host"


@dataclass(slots=True)
class Step:
    """A step of the agent, as its host saw it."""

    step: int
    t_s: float
    node: int
    to: int  # where it was at the end of the step
    doors: list[int]
    moves: int
    waits: int
    replans: int
    sweeps: int


@dataclass(slots=True)
class Observed:
    """A run, step by step."""

    footprint: Footprint
    start: int
    steps: list[Step] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)  # of each step, by the log of links
    ordered: dict[int, Snapshot] = field(default_factory=dict)  # by the conductor, where there was one
    failed: int = 0  # moves
    carried: int = 0
    in_slot: int = 0  # of the carried: in the step's own time

    @property
    def path(self) -> list[int]:
        return [self.start, *(step.to for step in self.steps)]

    @property
    def measured(self) -> int:
        """Largest T of the links' log, over the steps played."""
        return largest_finite(self.footprint.nodes, self.snapshots)


def observe(run: Run) -> Observed:
    """Read the events of a run."""
    config = next(program["config"] for program in run.document["program"] if program.get("run") == PROGRAM)
    footprint = Footprint.of(config["nodes"], [(a, b) for a, b in config["edges"]])
    seen = Observed(footprint, config.get("start", 0))
    failed = {data["step"] for _, data in _events(run.events, "carry-failed")}
    seen.failed = len(failed)
    arrivals = [data["in_slot"] for _, data in _events(run.events, "carried")]
    seen.carried, seen.in_slot = len(arrivals), sum(arrivals)
    for t_s, data in _events(run.events, "explore"):
        stays = data["move"] < 0 or data["step"] in failed
        counts = (data["moves"], data["waits"], data["replans"], data["sweeps"])
        to = data["node"] if stays else data["move"]
        seen.steps.append(Step(data["step"], t_s, data["node"], to, data["doors"], *counts))
    seen.steps.sort(key=lambda step: step.step)
    seen.ordered = {
        data["step"]: frozenset(edge(a, b) for a, b in data["present"]) for _, data in _events(run.events, "edges")
    }
    seen.snapshots = _snapshots(run.events, footprint, [step.t_s for step in seen.steps])
    return seen


def _events(events: polars.DataFrame, kind: str) -> list[tuple[float, dict[str, Any]]]:
    import polars

    rows = events.filter(polars.col("kind") == kind).select("t_s", "data").iter_rows()
    return [(t_s, json.loads(data)) for t_s, data in rows]


def _snapshots(events: polars.DataFrame, footprint: Footprint, times_s: list[float]) -> list[Snapshot]:
    """The edges whose links were up at each of these times, which rise. All are up until the log says otherwise."""
    changes = [(t_s, _edge_of(data["link"]), data["up"]) for t_s, data in _events(events, "carrier")]
    present, snapshots = set(footprint.edges), []
    at = 0
    for time_s in times_s:
        while at < len(changes) and changes[at][0] <= time_s:
            _, link, up = changes[at]
            present.add(link) if up else present.discard(link)
            at += 1
        snapshots.append(frozenset(present))
    return snapshots


def _edge_of(link: str) -> Edge:
    """ "n3:n4" is the link between the nodes 3 and 4."""
    a, _, b = link.partition(":")
    return edge(int(a.removeprefix("n")), int(b.removeprefix("n")))
