"""Figures of a run of `frr`: how soon OSPF's routes were the oracle's, what was lost meanwhile, what a router costs.

Invariant: it reads the run folder only. Routes are compared with those of the fewest hops (`oracle.py`), because all
costs are equal; of several shortest paths any is right.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING, Any

from scenarios.frr.convergence import RouteChange, Settled, settle
from scenarios.frr.oracle import CarrierChange, epochs

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.load import Run

SETTLE_S = 10.0  # an epoch that was shorter may end before OSPF could follow, and is not judged
AFTER_S = 0.5  # probes that were sent this long after the routes were right still count as lost by the change
ACCESS = {"172.16": "satellite", "172.17": "ground station"}  # the first half of access addresses, by role


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict; those that the run did not come to are left out."""
    from emulator.scenario import load
    from emulator.scenario.build import build_network

    scenario = load(run.path / "scenario.toml")
    return summary_of(run, build_network(scenario), scenario.duration_s)


def summary_of(run: Run, network: Network, duration_s: float) -> dict[str, Any]:
    """The same for a network that was built before, and the duration of play as the scenario has it."""
    end_s = min(duration_s, _last_s(run))  # beyond it daemons end, and take their routes with them
    settled = settle(epochs(network, end_s, _carriers(run, network)), route_changes(run, network))
    lost = _lost_s(run)
    overruns = sum(1 for _ in _events(run, "routes-overrun"))
    summary: dict[str, Any] = {"routers": len(network.live), "route_overruns": overruns}
    begun = next((place for place, each in enumerate(settled) if each.after_s is not None), None)
    if begun is None:
        return summary | {"routes_wrong": settled[-1].wrong if settled else 0} | usage(run)
    summary["start_s"] = round(settled[begun].epoch.begin_s + (settled[begun].after_s or 0.0), 3)
    changes = [_told(each, lost) for each in settled[begun + 1 :]]
    for kind in ("handover", "down", "up"):
        times = [change["settled_s"] for change in changes if kind in change["cause"].split() and change["settled_s"]]
        if times:
            summary[f"{kind}_s"] = {"count": len(times), "p50": round(median(times), 3), "max": max(times)}
    judged = [each for each in settled[begun:] if each.epoch.end_s - each.epoch.begin_s >= SETTLE_S]
    summary["routes_wrong"] = sum(each.wrong for each in judged)
    summary["changes"] = changes
    return summary | usage(run)


def _told(settled: Settled, lost: list[float]) -> dict[str, Any]:
    begin_s, after_s = settled.epoch.begin_s, settled.after_s
    until_s = settled.epoch.end_s if after_s is None else begin_s + after_s + AFTER_S
    return {
        "at_s": round(begin_s, 3),
        "cause": ", ".join(settled.epoch.causes),
        "settled_s": None if after_s is None else round(after_s, 3),
        "wrong": settled.wrong,
        "probes_lost": sum(begin_s - AFTER_S <= t_s < until_s for t_s in lost),
    }


def route_changes(run: Run, network: Network) -> dict[int, list[RouteChange]]:
    """What each live node's kernel told of routes to nodes' own addresses, by node."""
    number = {node.name: place for place, node in enumerate(network.nodes)}
    owner, own = owners(network), {node.ipv4: place for place, node in enumerate(network.nodes)}
    changes: dict[int, list[RouteChange]] = {node: [] for node in network.live}
    for node, data in _events(run, "routes"):
        for prefix, hops in data["changed"].items():
            if (goal := own.get(prefix)) is not None:
                gateways = frozenset(owner[hop] for hop in hops.split() if hop in owner)
                changes[number[node]].append(RouteChange(data["at_s"], goal, gateways))
    return {node: sorted(told, key=lambda change: change.t_s) for node, told in changes.items()}


def owners(network: Network) -> dict[str, int]:
    """The node of each address: its own, and the one that the scenario gives to its access interface."""
    found = {node.ipv4: place for place, node in enumerate(network.nodes)}
    for prefix, role in ACCESS.items():
        of_role = [place for place in network.live if network.nodes[place].role == role]
        found |= {f"{prefix}.{index}.1": place for index, place in enumerate(of_role)}
    return found


def usage(run: Run) -> dict[str, Any]:
    """Mean memory of a daemon in MB and its processor time in seconds, at the last time that each was looked at."""
    import polars as pl

    last = run.samples.filter(pl.col("name").is_in(["pss_bytes", "cpu_s"])).group_by("node", "name", "key").last()
    mean = {
        (name, key): value
        for name, key, value in last.group_by("name", "key").agg(pl.col("value").mean()).sort("name", "key").iter_rows()
    }
    figures = {
        "memory_mb": {key: round(value / 1e6, 2) for (name, key), value in mean.items() if name == "pss_bytes"},
        "cpu_s": {key: round(value, 2) for (name, key), value in mean.items() if name == "cpu_s"},
    }
    return {name: values for name, values in figures.items() if values}


def _carriers(run: Run, network: Network) -> Iterator[CarrierChange]:
    number = {link.name: place for place, link in enumerate(network.links) if not link.moving}
    for row in run.own_events.iter_rows(named=True):
        if row["kind"] == "carrier":
            data = json.loads(row["data"])
            if data["link"] in number:
                yield CarrierChange(max(0.0, row["t_s"]), number[data["link"]], data["up"])


def _events(run: Run, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Node and data of the events of a kind."""
    for row in run.events.iter_rows(named=True):
        if row["kind"] == kind:
            yield row["node"], json.loads(row["data"])


def _lost_s(run: Run) -> list[float]:
    """When the probes were sent that did not come back."""
    import polars as pl

    return run.samples.filter(pl.col("name") == "probe_lost")["t_s"].to_list()


def _last_s(run: Run) -> float:
    """When the last event was, in whole seconds."""
    last = run.events["t_s"].max()
    return float(int(last)) if isinstance(last, float) else 0.0
