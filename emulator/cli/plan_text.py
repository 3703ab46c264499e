"""A plan as text: a few tables for a person, from the same facts as the JSON."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MATRIX = 16  # end points up to which the delays are shown as a matrix
ROWS = 40  # rows of a table; more are in the JSON


def show(facts: dict[str, Any], route: str | None = None) -> None:
    """Print the plan on stdout. `route` is a glob of the end points whose paths are listed."""
    from emulator.report.text import Printing

    console = Printing(highlight=False, soft_wrap=False)
    _header(console, facts)
    if facts.get("stations"):
        console.print(_stations(facts))
    if facts.get("slots"):
        _slots(console, facts["slots"])
    if facts["routes"]:
        _routes(console, facts, route)
    if "handovers" in facts:
        _handovers(console, facts)
    if "cut" in facts:
        _over_hosts(console, facts)
    schedule = facts["schedule"]
    console.print(
        f"[bold]feasibility[/]  {facts['live_nodes']} live nodes, {facts['ports']} interfaces, "
        f"{facts['nodes'] - facts['live_nodes']} transit nodes, {facts['links']} links; schedule and routes "
        f"{schedule['row_s'] * 1e3:.1f} ms a step of {facts['step_s']:g} s, {schedule['share_of_core']:.0%} of a core"
    )
    for problem in facts["problems"]:
        console.print(f"! {problem}", style="yellow", markup=False)


def _table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    table.min_width = len(title)  # rich would break the title of a narrow table
    for column in columns:
        table.add_column(
            column, justify="right" if column in right else "left", no_wrap=column not in ("path", "end points")
        )
    return table


def _header(console: Console, facts: dict[str, Any]) -> None:
    from rich.markup import escape

    console.print(f"[bold cyan]{facts['scenario']}[/]  {escape(facts['description'])}")
    if "shell" in facts:
        shell, isl, ground = facts["shell"], facts["isl"], facts["ground"]
        delay = isl["delay_ms"]
        spread = f", {delay['min']:.2f} – {delay['max']:.2f} ms (median {delay['median']:.2f})" if delay else ""
        console.print(f"shell     {escape(shell['label'])}, {shell['satellites']} satellites, from {shell['epoch']}")
        console.print(f"ISLs      {isl['up']} of {isl['links']} up{spread}")
        choice = f"{ground['policy']}, dwell at least {ground['min_dwell_s']:g} s"
        if ground["all_in_view"]:
            choice = f"linked to all satellites in view, at most {ground['antennas']}"
        elif ground["antennas"] > 1:
            choice = f"{ground['antennas']} antennas each, {choice}"
        if ground["terminal"] != "ideal":
            antennas = f", {ground['antennas']} antennas each" if ground["antennas"] > 1 else ""
            choice = f"terminals as of {ground['terminal']}{antennas}"
        console.print(f"stations  {ground['stations']} above {ground['min_elevation_deg']:g}°, {choice}")
    console.print(f"run       {facts['duration_s']:g} s, routing {facts['routing']}, seed {facts['seed']}")


def _stations(facts: dict[str, Any]) -> Table:
    several = facts["ground"]["antennas"] > 1
    columns = ("station", "links", "nearest") if several else ("station", "satellite")
    table = _table(
        f"at {facts['at_s']:g} s", *columns, "elevation", "range", "delay", "sees",
        right=("links", "elevation", "range", "delay", "sees"),
    )  # fmt: skip
    for station in facts["stations"]:
        if station["serving"] is None:
            table.add_row(station["name"], *(["0"] if several else []), "[red]none[/]", "", "", "", "0")
            continue
        links = [str(len(station["access"]))] if several else []
        table.add_row(
            station["name"], *links, station["serving"],
            f"{station['elevation_deg']:.1f}°", f"{station['range_km']:.0f} km",
            f"{station['delay_ms']:.3f} ms", str(station["visible"]),
        )  # fmt: skip
    return table


def _slots(console: Console, slots: list[dict[str, Any]]) -> None:
    """What each slot assigns: many stations are in the JSON only."""
    table = _table(
        "slots", "from", "utc", "station", "satellite", "elevation", "range", "gateway", "feeder",
        right=("from", "elevation", "range", "feeder"),
    )  # fmt: skip
    for slot in slots[:ROWS]:
        where = ("", "")
        if slot["serving"] is not None:
            where = (f"{slot['elevation_deg']:.1f}°", f"{slot['range_km']:.0f} km")
        feeder = f"{slot['feeder_km']:.0f} km" if "feeder_km" in slot else ""
        table.add_row(
            f"{slot['t_s']:g} s", slot["utc"][11:19], _of_link(slot["link"]), slot["serving"] or "[red]none[/]", *where,
            slot["gateway"] or "", feeder,
        )  # fmt: skip
    console.print(table)
    if len(slots) > ROWS:
        console.print(f"[dim]{len(slots) - ROWS} more: --json[/]")


def _of_link(link: str) -> str:
    """The station of an access link, and the link's own name where the station has several."""
    return link.removesuffix(":up")


def _routes(console: Console, facts: dict[str, Any], route: str | None) -> None:
    names = list(dict.fromkeys(name for row in facts["routes"] for name in (row["from"], row["to"])))
    if route is None and len(names) <= MATRIX:
        console.print(_matrix(facts["routes"], names))
    pattern = route or names[0]
    rows = [row for row in facts["routes"] if fnmatch(row["from"], pattern) or fnmatch(row["to"], pattern)]
    table = _table(f"paths of {pattern}", "from", "to", "hops", "delay", "path", right=("hops", "delay"))
    for row in rows[:ROWS]:
        if row["delay_ms"] is None:
            table.add_row(row["from"], row["to"], "", "[red]no route[/]", "")
        else:
            way = " ".join(row["path"][1:-1])
            table.add_row(row["from"], row["to"], str(row["hops"]), f"{row['delay_ms']:.3f} ms", way)
    console.print(table)
    rest = len(facts["routes"]) - min(len(rows), ROWS)
    if rest:
        console.print(f"[dim]{rest} more pairs: --route GLOB, or --json[/]")


def _matrix(routes: list[dict[str, Any]], names: list[str]) -> Table:
    """One-way delays in ms, the lower triangle."""
    delays = {(row["to"], row["from"]): row["delay_ms"] for row in routes}
    short = [name.removeprefix("gs-") for name in names]
    heads = [name.replace("-", "")[:4] for name in short]
    table = _table("one-way delay, ms", "")
    table.padding = (0, 0, 0, 1)
    for head in heads[:-1]:
        table.add_column(head, justify="right", no_wrap=True)
    for place, name in enumerate(names[1:], 1):
        cells = []
        for other in names[:place]:
            delay = delays.get((name, other))
            cells.append("[red]–[/]" if delay is None else f"{delay:.0f}" if delay >= 99.95 else f"{delay:.1f}")
        table.add_row(short[place], *cells)
    return table


def _handovers(console: Console, facts: dict[str, Any]) -> None:
    rows = facts["handovers"]
    until = facts["handovers_until_s"]
    title = f"{len(rows)} handovers in {until:g} s"
    if not rows:
        console.print(f"[bold]{title}[/]")
        return
    table = _table(title, "at", "station", "from", "to", right=("at",))
    for row in rows[:ROWS]:
        none = "[red]none[/]" if ":" not in _of_link(row["link"]) else "none"  # beside others it is no gap
        table.add_row(f"{row['t_s']:g} s", _of_link(row["link"]), row["before"] or none, row["after"] or none)
    console.print(table)
    if len(rows) > ROWS:
        console.print(f"[dim]{len(rows) - ROWS} more: --json[/]")


def _over_hosts(console: Console, facts: dict[str, Any]) -> None:
    from emulator.report.text import size

    hosts, cut = facts["hosts"], facts["cut"]
    unequal = hosts[0]["cores"] is not None
    figures = (*(("cores",) if unequal else ()), "hops/s", "engine", "schedule", "programs", "memory")
    table = _table(
        f"on {len(hosts)} hosts, processor time in cores", "host", "nodes", "live", "end points", *figures,
        right=("host", "nodes", "live", *figures),
    )  # fmt: skip
    for host in hosts:
        names = host["end_points"]
        cpu = [f"{host['cpu'][part]:.3f}" for part in ("engine", "schedule", "programs")]
        table.add_row(
            str(host["host"]), f"{host['nodes']:,}", f"{host['live_nodes']:,}",
            " ".join(names[:1]) + (f" … ({len(names)})" if len(names) > 1 else ""),
            *((f"{host['cores']:g}",) if unequal else ()), f"{host['hops_per_s']:,.0f}", *cpu,
            size(host["memory_bytes"]),
        )  # fmt: skip
    console.print(table)
    expected = "those of an earlier run" if cut["measured"] else f"{cut['assumed']} (--from RUN: those of a run)"
    console.print(f"packets   {expected}", markup=False)
    crossing = [
        f"{cut['fixed_links_cut']:,} of {cut['fixed_links']:,} fixed links",
        f"{cut['hops_share']:.1%} of hops",
    ]
    if cut["moving_hops_share"] is not None:
        crossing.append(f"{cut['moving_hops_share']:.0%} of those over moving links")
    if cut["hops_per_packet"] is not None:
        crossing.append(
            f"a packet crosses {cut['crossings_per_packet']:.1f} times in {cut['hops_per_packet']:.1f} hops"
        )
    console.print(f"cut       {', '.join(crossing)}", markup=False)
    shortest = "nothing crosses"
    if cut["shortest_ms"] is not None:
        shortest = f"shortest across {cut['shortest_ms']:.2f} ms ({cut['shortest_link']})"
    console.print(f"delays    {shortest}; allowed {cut['min_cross_ms']:g} ms; {_kept_whole(cut)}", markup=False)
    console.print(
        f"trunks    {cut['trunks']}, the busiest carries {cut['busiest_trunk_share']:.0%} of crossings one way; "
        f"balance {cut['balance']:.2f} (fullest host / {'its share' if unequal else 'mean'})"
    )


def _kept_whole(cut: dict[str, Any]) -> str:
    """What cannot be cut, and why."""
    whole = cut["kept_whole"]
    if not whole:
        return "no link below it, nothing had to stay together"
    named = ", ".join(f"{each['nodes']} nodes with {each['first']}" for each in whole[:2])
    units = f"{len(whole):,} unit{'s' if len(whole) > 1 else ''}"
    return f"{cut['short_links']:,} links below it keep {units} whole: {named}{', …' if len(whole) > 2 else ''}"
