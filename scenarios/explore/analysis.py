"""What an exploration did, from its record: where the agent was, what it saw, and how long edges really stayed.

Invariant: T is measured from the log of links that the relay keeps (`carrier` events), not from what anybody asked of
them; the hosts' own events only say when each step was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodes.explorer.interval import Snapshot
from scenarios.explore.recipe import BY_INTERVAL

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run
    from emulator.report.drawing import Drawing

from scenarios.explore.observed import observe


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
