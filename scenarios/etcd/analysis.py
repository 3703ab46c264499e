"""Figures of a run of `etcd`: puts against the map, the election, writes that were lost, reads of a minority.

Invariant: it reads the run folder only. A put at the leader takes one round trip to the farthest of the nearest members
that make a quorum with it: with five members the second nearest, which is the median of all five (its own is 0).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.record.load import Run
    from emulator.report.drawing import Drawing


def summarise(run: Run) -> dict[str, Any]:
    """Figures for `summary` of the verdict; those that the run did not come to are left out."""
    summary: dict[str, Any] = {}
    puts = leader_puts(run)
    if puts:
        summary["puts"] = puts
        summary["put_excess_ms"] = round(max(put["put_ms"] - 1.1 * put["quorum_ms"] for put in puts.values()), 3)
        summary["put_early_ms"] = round(max(put["quorum_ms"] - put["put_ms"] for put in puts.values()), 3)
    election_s = election(run)
    if election_s is not None:
        summary["election_s"] = round(election_s, 3)
    acknowledged = {data["key"]: t_s for t_s, _, data in _events(run, "acknowledged")}
    audits = [data for _, _, data in _events(run, "audit")]
    summary["acknowledged_writes"] = len(acknowledged)
    if audits:
        found = {key for audit in audits for key in audit["keys"]}
        audited = {key for key, t_s in acknowledged.items() if t_s < audits[0]["began_s"]}
        summary["audited_writes"], summary["lost_writes"] = len(audited), len(audited - found)
    cut = partition(run)
    if cut is not None:
        summary["minority_tries"], summary["minority_reads"], summary["majority_reads"] = reads(run, *cut)
    return summary


def figures(run: Run) -> list[Drawing]:
    """Puts over time at each node that led, with what a quorum costs there."""
    import polars as pl

    from emulator.report import drawing

    puts = leader_puts(run)
    if not puts:
        return []
    figure, axes = drawing.new()
    for number, (node, put) in enumerate(puts.items()):
        own = run.samples.filter((pl.col("name") == "put_s") & (pl.col("node") == node))
        colour = drawing.PALETTE[number % len(drawing.PALETTE)]
        axes.plot(own["t_s"], own["value"] * 1e3, ".", color=colour, markersize=3, label=f"{node} leads")
        axes.axhline(put["quorum_ms"], color=colour, linewidth=0.8, linestyle="--")
    drawing.over_time(axes).set_ylabel("put at the leader in ms")
    axes.set_ylim(0, None)
    axes.legend(loc="lower right")
    caption = "Each point is an acknowledged put. Dashed: the round trip to the second nearest member, by the map."
    return [drawing.Drawing("puts", "Puts at the leader", caption, figure)]


def quorum_ms(rtt_ms: Sequence[float]) -> float:
    """The round trip that a put costs at a leader: the median of those to all members, its own (0) among them."""
    return median(rtt_ms)


def leader_puts(run: Run) -> dict[str, dict[str, float]]:
    """Median put and quorum round trip of each node that led, in ms."""
    import polars as pl

    delays_s = _delays_s(run)
    puts = run.samples.filter(pl.col("name") == "put_s").group_by("node").agg(pl.col("value").median(), pl.len())
    found = {}
    for node, put_s, count in sorted(puts.iter_rows()):
        trips_ms = [1e3 * (delays_s[node][other] + delays_s[other][node]) for other in delays_s]
        found[node] = {"put_ms": round(put_s * 1e3, 3), "quorum_ms": round(quorum_ms(trips_ms), 3), "puts": count}
    return found


def election(run: Run) -> float | None:
    """Time from the death of the leader to the first member that knew a new one; None where nobody was killed."""
    for killed_s, _, data in _events(run, "killed"):
        later = [t_s for t_s, _, told in _events(run, "leader") if t_s > killed_s and told["term"] > data["term"]]
        return min(later) - killed_s if later else None
    return None


def partition(run: Run) -> tuple[float, float, frozenset[str]] | None:
    """When the cluster was split, until when, and the members of its smaller part; None where it was not."""
    begin_s: float | None = None
    minority: frozenset[str] = frozenset()
    for t_s, _, action in _events(run, "action"):
        if action.get("do") == "partition":
            begin_s, minority = t_s, frozenset(sorted(action["groups"], key=len)[0])
        elif action.get("do") == "heal" and begin_s is not None:
            return begin_s, t_s, minority
    return None


def reads(run: Run, begin_s: float, end_s: float, minority: frozenset[str]) -> tuple[int, int, int]:
    """Linearizable reads that began and ended during the partition: those that the minority was asked for, those that
    it answered, and those that the others answered."""
    tried = answered = elsewhere = 0
    for t_s, node, data in _events(run, "read"):
        if data["began_s"] > begin_s and t_s < end_s:
            tried += node in minority
            answered += node in minority and data["ok"]
            elsewhere += node not in minority and data["ok"]
    return tried, answered, elsewhere


def _delays_s(run: Run) -> dict[str, dict[str, float]]:
    """The way from each host to each other, in seconds, as the map of the scenario says."""
    from topologies.wan import Config, map_of

    table = Config.model_validate({"wan": run.document["wan"]}).wan
    map = map_of(table, str(run.document.get("directory", ".")))
    names = [f"{table.prefix}{number}" for number in range(table.hosts)]
    site = {name: number % len(map.sites) for number, name in enumerate(names)}
    local_s = [map.one_way_s(here, here) or table.local_s for here in range(len(map.sites))]

    def way_s(a: str, b: str) -> float:
        return 0.0 if a == b else map.one_way_s(site[a], site[b]) or local_s[site[a]]

    return {a: {b: way_s(a, b) for b in names} for a in names}


def _events(run: Run, kind: str) -> Iterator[tuple[float, str, Mapping[str, Any]]]:
    """Scenario time, node and data of each event of a kind, in the order of time."""
    import polars as pl

    rows = run.events.filter(pl.col("kind") == kind).select("t_s", "node", "data")
    for t_s, node, data in rows.iter_rows():
        yield t_s, node, json.loads(data)
