"""`skyloom plan`: delays, routes and handovers of a scenario, computed from its schedule, without root or a build.

Invariant: `--json` has everything that the text shows. Facts of every topology come from its network and timeline;
facts of one topology only (visibility) from its `describe(t_s)`, if it has one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emulator.model.printable import printable

if TYPE_CHECKING:
    from emulator.model.network import Handover, Network, ScheduleRow, Timeline
    from emulator.report.progress import Tell
    from emulator.scenario import Scenario

SCANNED_STEPS = 900  # of a long run, the steps that are searched for handovers
PROGRESS_STEPS = 10  # between two reports of progress


def plan(
    scenario: Annotated[str | None, typer.Argument(help="A bundled scenario's name (see `list`) or a file.")] = None,
    at: Annotated[
        str | None, typer.Option(help='The instant to show, such as "30s"; without it, the start and the whole run.')
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    duration: Annotated[str | None, typer.Option(help='How long the run would play, such as "60s".')] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key of the scenario.")
    ] = None,
    elements: Annotated[
        Path | None,
        typer.Option("--elements", "--tle", metavar="FILE", help="Element sets (TLE, OMM) instead of the shell."),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave malformed element sets out.")] = False,
    wan: Annotated[
        str | None,
        typer.Option(metavar="MAP", help="Spread a docker-compose file over a map: a known one or a CSV file."),
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="Where an image of a YAML file is; may be repeated.")
    ] = None,
    topo: Annotated[
        str | None, typer.Option(help="A Mininet topology file, FILE.py or FILE.py:NAME, instead of a scenario.")
    ] = None,
    route: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Show the paths from and to these end points.")
    ] = None,
    site: Annotated[
        str | None, typer.Option(metavar="LAT,LON", help="One Starlink terminal there instead of the stations.")
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="UTC", help="The instant of scenario time 0.")] = None,
    weather: Annotated[Path | None, typer.Option(metavar="CSV", help="Rain over time.")] = None,
    hosts: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=64, help="Show how the run is cut over so many hosts.")
    ] = None,
    measured: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN", help="With --hosts: take the packets of this run, not expected ones."),
    ] = None,
) -> None:
    """Show who sees whom, delays, routes, handovers and feasibility, without running anything."""
    from emulator.cli import sky
    from emulator.cli.chosen import choose
    from emulator.model.errors import UsageError

    if measured is not None and hosts is None:
        raise UsageError("--from without --hosts; expected a number of hosts, such as --hosts 4")

    items = [] if duration is None else [f'duration="{duration}"']
    items += sky.overrides(start, weather, site) + (overrides or [])
    chosen = choose(scenario, topo, items, elements, skip_bad, wan, image or ())
    from emulator.report.progress import StepProgress

    with StepProgress() as tell:
        facts = facts_of(chosen, None if at is None else _instant(at, chosen), tell, hosts, measured)
    if json:
        from json import dumps

        sys.stdout.write(printable(dumps(facts, indent=2, ensure_ascii=False)) + "\n")
        return
    from emulator.cli.plan_text import show

    show(facts, route)


def _instant(at: str, scenario: Scenario) -> float:
    from emulator.model.errors import UsageError
    from emulator.model.units import parse
    from emulator.model.units import show as with_unit

    try:
        t_s = parse(at, "duration")
    except ValueError as error:
        raise UsageError(f"--at {at}: {error}") from None
    if t_s > scenario.duration_s:
        raise UsageError(f"--at {at}: the run ends at {with_unit(scenario.duration_s, 'duration')}; see --duration")
    return t_s


def facts_of(
    scenario: Scenario, at_s: float | None, tell: Tell, hosts: int | None = None, measured: str | None = None
) -> dict[str, Any]:
    """The plan as plain values. Without `at_s`: the instant 0, and handovers over the run; with it, up to there. With
    `hosts` the cut over so many, by the packets of the run `measured` if there is one."""
    from emulator.scenario.build import build
    from emulator.schedule.reader import step_at

    tell("building the network", 0, 0)
    built = build(scenario)
    network, timeline = built.network, built.network.timeline
    assert timeline is not None
    t_s = at_s or 0.0
    step = min(step_at(t_s, timeline.step_s), _steps(scenario.duration_s, timeline) - 1)
    moves = _handovers(timeline, network, scenario.duration_s if at_s is None else t_s, tell)
    tell("routes", 0, 0)
    import scipy.sparse.csgraph  # noqa: F401  loaded here, so that the time below is that of a step alone

    began = time.process_time()
    row = next(iter(timeline.rows(step, 1)))
    row_s = time.process_time() - began
    share = min(1.0, (t_s - step * timeline.step_s) / timeline.step_s)
    ends = network.end_points
    routes = list(_routes(network, row, share, ends))
    facts = {
        "scenario": scenario.name,
        "description": scenario.description,
        "topology": scenario.topology,
        "at_s": t_s,
        "duration_s": scenario.duration_s,
        "step_s": timeline.step_s,
        "seed": scenario.seed,
        "routing": network.routing,
        "nodes": len(network.nodes),
        "live_nodes": len(network.live),
        "links": len(network.links),
        "ports": _ports(network),
        **built.describe(t_s),
        "routes": routes,
        **moves,
        "schedule": {"row_s": row_s, "share_of_core": row_s / timeline.step_s},
    }
    if hosts is not None:
        facts |= _over_hosts(scenario, network, hosts, measured, row_s / timeline.step_s, tell)
    facts["problems"] = list(_problems(facts))
    return facts


def _over_hosts(
    scenario: Scenario, network: Network, hosts: int, measured: str | None, schedule_cpu: float, tell: Tell
) -> dict[str, Any]:
    """How a run is cut over hosts: what `run --hosts` does with the same scenario."""
    from emulator.client.find import find
    from emulator.runtime.cluster.layout import lay_out
    from emulator.runtime.cluster.summary import summary
    from emulator.scenario.build import check

    check(scenario, network)
    run = None if measured is None else find(measured, Path("runs"))
    return summary(scenario, network, lay_out(scenario, network, hosts, run, tell), schedule_cpu)


def _steps(duration_s: float, timeline: Timeline) -> int:
    return max(1, int(-(-duration_s // timeline.step_s)))


def _ports(network: Network) -> int:
    """The number of interfaces in a run: one for each end at a live node, and a shared one where moving links may
    arrive or leave."""
    live = [node.live for node in network.nodes]
    shares = {link.a for link in network.links if link.moving and network.nodes[link.a].shared_uplink}
    ports = sum(live[node] for node in shares)
    for link in network.links:
        ports += (live[link.a] and not (link.moving and link.a in shares)) + (live[link.b] and not link.moving)
    if any(link.moving for link in network.links):
        ports += sum(node.live and node.shared_downlink for node in network.nodes)
    return ports


def _routes(network: Network, row: ScheduleRow, share: float, ends: list[int]) -> Iterator[dict[str, Any]]:
    """Each pair of end points: hops, nodes on the path, and delays in both directions at `share` of the step."""
    from emulator.schedule.routes import path, route_delay_s

    if network.routing == "none":
        return
    index = {node: place for place, node in enumerate(network.live)}
    places = [index[node] for node in ends]
    delays_s = route_delay_s(row, network.live, share, places, places)
    for one, a in enumerate(ends):
        for other, b in enumerate(ends[one + 1 :], one + 1):
            there, back = float(delays_s[one, other]), float(delays_s[other, one])
            used = path(row.next_end, row.peer, index[b], b, a) if isfinite(there) else []
            yield {
                "from": network.nodes[a].name,
                "to": network.nodes[b].name,
                "hops": len(used) or None,
                "delay_ms": there * 1e3 if isfinite(there) else None,
                "delay_back_ms": back * 1e3 if isfinite(back) else None,
                "path": [network.nodes[a].name, *(network.nodes[row.peer[end]].name for end in used)] if used else [],
            }


def _handovers(timeline: Any, network: Network, until_s: float, tell: Tell) -> dict[str, Any]:
    """Handovers from the start of the run on, and the spans without a satellite; empty if no link moves."""
    if not hasattr(timeline, "handovers"):
        return {}
    steps = min(SCANNED_STEPS, _steps(until_s, timeline) if until_s else 1)
    names, links = [node.name for node in network.nodes], network.links
    in_use = {links[link].a: 0 for link in timeline.serving(0)}
    for link, far in timeline.serving(0).items():
        in_use[links[link].a] += far >= 0
    found, gaps = [], []
    since = {node: 0.0 for node, count in in_use.items() if not count}
    for t_s, together in groupby(_moves(timeline, steps, tell), lambda move: move.t_s):
        moves = list(together)
        for move in moves:
            link = links[move.link]
            before, after = (names[node] if node >= 0 else None for node in (move.before, move.after))
            in_use[link.a] += (move.after >= 0) - (move.before >= 0)
            found.append({"t_s": t_s, "node": names[link.a], "link": link.name, "before": before, "after": after})
        for node in dict.fromkeys(links[move.link].a for move in moves):
            if not in_use[node]:
                since.setdefault(node, t_s)
            elif node in since:
                gaps.append({"node": names[node], "from_s": since.pop(node), "to_s": t_s})
    gaps += [{"node": names[node], "from_s": from_s, "to_s": None} for node, from_s in since.items()]
    return {"handovers": found, "uncovered": gaps, "handovers_until_s": steps * timeline.step_s}


def _moves(timeline: Any, steps: int, tell: Tell) -> Iterator[Handover]:
    """The handovers of the first steps."""
    for first in range(0, steps, PROGRESS_STEPS):
        tell("handovers: steps", first, steps)
        yield from timeline.handovers(first, min(PROGRESS_STEPS, steps - first))


def _problems(facts: dict[str, Any]) -> Iterator[str]:
    """Warnings for the user before a run."""
    for station in facts.get("stations", ()):
        if station["serving"] is None:
            yield f"{station['name']} sees no satellite at {facts['at_s']:g} s"
    for gap in facts.get("uncovered", ()):
        until = "the end" if gap["to_s"] is None else f"{gap['to_s']:g} s"
        yield f"{gap['node']} has no satellite from {gap['from_s']:g} s to {until}"
    broken = [route for route in facts["routes"] if route["delay_ms"] is None or route["delay_back_ms"] is None]
    if broken:
        first = ", ".join(f"{route['from']} – {route['to']}" for route in broken[:3])
        yield f"{len(broken)} of {len(facts['routes'])} pairs have no route at {facts['at_s']:g} s: {first}" + (
            ", …" if len(broken) > 3 else ""
        )
    share = facts["schedule"]["share_of_core"]
    if share > 0.5:
        yield (
            f"the schedule takes {share:.0%} of a core at steps of {facts['step_s']:g} s; "
            "take longer steps, or a longer routing_step"
        )
    skipped = facts.get("shell", {}).get("skipped_element_sets", 0)
    if skipped:
        yield f"{skipped} malformed element sets were left out"
    lost = facts.get("shell", {}).get("not_placed", 0)
    if lost:
        yield f"SGP4 cannot place {lost} satellites at this time (decayed, or elements too old); they carry nothing"
