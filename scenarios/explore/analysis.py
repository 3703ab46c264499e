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
from scenarios.explore.recipe import BY_INTERVAL

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing

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


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict."""
    seen = observe(run)
    last = seen.steps[-1] if seen.steps else None
    visited = set(seen.path)
    by_log = list(zip(seen.steps, seen.snapshots, strict=True))
    return {
        "covered": len(visited) == seen.footprint.nodes,
        "seen": len(visited),
        "nodes": seen.footprint.nodes,
        "steps": len(seen.steps),
        "moves": (last.moves if last else 0) - seen.failed,
        "waits": last.waits if last else 0,
        "replans": last.replans if last else 0,
        "sweeps": last.sweeps if last else 0,
        "carries_failed": seen.failed,
        "t_declared": _declared(run),
        "t_measured": seen.measured,
        "ports_agree": all(_around(log, step.node) == set(step.doors) for step, log in by_log),
        "orders_agree": all(seen.ordered.get(step.step, log) == log for step, log in by_log),
        "round_fidelity": seen.in_slot / seen.carried if seen.carried else 1.0,
    }


def _declared(run: Run) -> int:
    """The T that the schedule was made for; where it was made for none, what the offline engine found."""
    made_for = str(run.parameters.get("schedule", "")).partition(":")[0] in BY_INTERVAL
    return int(run.parameters["interval"] if made_for else run.document.get("prediction", {}).get("t_measured", 0))


def _around(present: Snapshot, node: int) -> set[int]:
    return {a + b - node for a, b in present if node in (a, b)}


def figures(run: Run) -> list[Drawing]:
    """Drawings of one run."""
    from scenarios.explore import drawings

    seen, schedule = observe(run), str(run.parameters.get("schedule", ""))
    made = [drawings.way(seen)]
    if schedule.startswith("blocks"):
        made.append(drawings.cover_times_offline(seen, run.parameters["visibility"], run.parameters["interval"]))
    if seen.footprint.is_ring:
        made.append(drawings.worst_rings())
    return made


def sweep_figures(table: polars.DataFrame) -> list[Drawing]:
    """Drawings of a sweep: over `interval` where that was swept."""
    from scenarios.explore import drawings

    if not {"interval", "seen", "steps", "covered"} <= set(table.columns):
        return []
    return [drawings.cover_times(table) if table["covered"].all() else drawings.seen_by_interval(table)]
