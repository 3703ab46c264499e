"""What terminals of `leo_access` saw, read from run folders: round trips, losses, flows, in the terms of measurements.

Invariant: the run folder says all: which terminal stands for which hour and rain (scenario.toml), what its probes and
flows did (samples, events). Times are UTC of the scenario, not of the machine: slots are bound to them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from emulator.model.errors import DataError
from emulator.model.network import Floats
from scenarios.leo_access.estimators import RUN_PACKETS, by_slot, run_means

if TYPE_CHECKING:
    import polars

    from emulator.record.load import Run

BENT_PIPE, END_TO_END = "bent-pipe", "end-to-end"  # names of the programs that probe
PHASE_S = 12.0  # of slots
RUNS = {BENT_PIPE: (10, 1.0), END_TO_END: (RUN_PACKETS, 0.02)}
"""Packets of a run, and how far apart: WetLinks has its bent pipe from traceroutes (mtr sends ten, a second apart), its
end-to-end round trips from runs of 250 pings in 5 s."""
DOWN, UP = "down", "up"


@dataclass(frozen=True, slots=True)
class Series:
    """Probes of one terminal in the order of sending; `rtt_s` is NaN where one was lost."""

    hour: float
    t_s: Floats  # UTC
    rtt_s: Floats


@dataclass(frozen=True, slots=True)
class Flow:
    """What one terminal got in its turn, all streams together."""

    direction: str
    hour: float
    rain_mm_h: float
    in_rain: bool  # one of the terminals that stand for classes of rain
    bps: float


@dataclass(frozen=True, slots=True)
class Emulated:
    """All that runs showed. `series`: by name of the probing program."""

    series: dict[str, list[Series]]
    flows: list[Flow]

    def pooled(self, program: str) -> list[tuple[Floats, Floats]]:
        """Times and round trips of each terminal, as the estimators take them."""
        return [(one.t_s, one.rtt_s) for one in self.series.get(program, [])]

    def singles_s(self, program: str) -> list[Floats]:
        """Answered round trips, those of one slot of one terminal together."""
        return [group for one in self.series.get(program, []) for group in by_slot(one.t_s, one.rtt_s, PHASE_S)[1]]

    def means_s(self, program: str) -> list[Floats]:
        """Mean round trips of runs of pings, as WetLinks has them; those of a slot together."""
        means = []
        for one in self.series.get(program, []):
            begin_s, own = run_means(one.t_s, one.rtt_s, *RUNS[program])
            means += by_slot(begin_s, own, PHASE_S)[1]
        return means

    def bps(self, direction: str, hour: float | None = None, rain_mm_h: float | None = None) -> Floats:
        """Throughput of flows in dry hours, or of those in one class of rain."""
        return np.array(
            [
                flow.bps
                for flow in self.flows
                if flow.direction == direction
                and (flow.in_rain and flow.rain_mm_h == rain_mm_h if rain_mm_h is not None else not flow.in_rain)
                and (hour is None or flow.hour == hour)
            ]
        )


def pooled(groups: list[Floats]) -> Floats:
    """All values of some groups."""
    return np.concatenate(groups) if groups else np.zeros(0)


def read(run: Run) -> Emulated:
    """One run. DataError where it is none of `leo_access`."""
    document = run.document
    stations = {f"gs-{each['name']}": each for each in document.get("ground", {}).get("station", [])}
    epoch = str(document.get("shell", {}).get("epoch", ""))
    try:
        begin_s = datetime.fromisoformat(epoch).timestamp()
    except ValueError:
        raise DataError(f"{run.path}: shell.epoch is {epoch!r}; expected a run of the scenario leo_access") from None
    return Emulated(_series(run, stations, begin_s), _flows(run.events, stations))


def together(parts: Iterable[Emulated]) -> Emulated:
    """Several runs as one. Series of other runs stay series of their own."""
    parts = list(parts)
    programs = {name for part in parts for name in part.series}
    series = {name: [one for part in parts for one in part.series.get(name, [])] for name in sorted(programs)}
    return Emulated(series, [flow for part in parts for flow in part.flows])


def _series(run: Run, stations: dict[str, Any], begin_s: float) -> dict[str, list[Series]]:
    import polars

    probes = run.samples.filter(polars.col("name").is_in(["rtt_s", "probe_lost"]))
    probes = probes.with_columns(
        polars.when(polars.col("name") == "rtt_s").then(polars.col("value")).otherwise(float("nan")).alias("rtt_s")
    )
    found: dict[str, list[Series]] = {}
    for (program, node), rows in probes.sort("t_s").partition_by("program", "node", as_dict=True).items():
        station = stations.get(str(node))
        if station is not None:
            one = Series(float(station["hour"]), rows["t_s"].to_numpy() + begin_s, rows["rtt_s"].to_numpy())
            found.setdefault(str(program), []).append(one)
    return found


def _flows(events: polars.DataFrame, stations: dict[str, Any]) -> list[Flow]:
    """Streams of one terminal and direction added up, from the events of their receivers."""
    import polars

    total: dict[tuple[str, str], float] = {}
    for row in events.filter(polars.col("kind") == "flow").iter_rows(named=True):
        data = json.loads(row["data"])
        terminal = data["peer"] if row["program"] == UP else row["node"]
        if terminal in stations and row["program"] in (UP, DOWN):
            total[row["program"], terminal] = total.get((row["program"], terminal), 0.0) + float(data["mean_bps"])
    return [
        Flow(
            direction,
            float(stations[terminal]["hour"]),
            float(stations[terminal]["rain_mm_h"]),
            terminal.startswith("gs-r"),
            bps,
        )
        for (direction, terminal), bps in sorted(total.items())
    ]
