"""`skyloom algo tinterval FILE`: the largest T for which a graph whose edges come and go is T-interval connected."""

from __future__ import annotations

import json
from math import inf
from typing import Annotated, Any

import typer

from nodes.explorer import files
from nodes.explorer.interval import largest_finite, largest_periodic
from nodes.explorer.schedules import Schedule


def answer(schedule: Schedule) -> dict[str, Any]:
    """Figures of a schedule; `periodic_t` is None where any T holds when it repeats for ever."""
    steps = len(schedule.snapshots)
    period = schedule.period or steps
    periodic = largest_periodic(schedule.nodes, schedule.snapshots, period)
    return {
        "nodes": schedule.nodes,
        "edges": len(frozenset().union(*dict.fromkeys(schedule.snapshots))),
        "steps": steps,
        "finite_t": largest_finite(schedule.nodes, schedule.snapshots),
        "period": period,
        "periodic_t": None if periodic == inf else int(periodic),
    }


def tinterval(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON schedule: nodes and snapshots, or edges and events.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Largest T such that in every T consecutive steps the edges present throughout connect all nodes.

    0: some step by itself does not connect them. Once as the file stands (windows inside it only), once with its
    period repeated for ever (all of it, where the file names no period).
    """
    found = answer(files.read(file))
    if as_json:
        typer.echo(json.dumps(found))
        return
    repeated = "any T" if found["periodic_t"] is None else f"T = {found['periodic_t']}"
    typer.echo(f"{found['nodes']} nodes, {found['edges']} edges, {found['steps']} steps")
    typer.echo(f"as it stands                 T = {found['finite_t']}")
    typer.echo(f"last {found['period']} steps repeated".ljust(29) + repeated)


commands = {"": tinterval}
