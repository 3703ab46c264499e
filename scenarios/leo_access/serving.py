"""Which satellite serves: what the selection of `terminal = "starlink"` chooses, beside what was seen in the sky.

Invariant: no packets; the same selection that runs play is stepped slot by slot. Without a file of serving satellites
the published statistics of one place stand in, and the selection is then looked at from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from emulator.model.network import Bools, Floats
from scenarios.leo_access.estimators import SLOT_S
from scenarios.leo_access.importers import Serving
from scenarios.leo_access.scoring import Score

PUBLISHED_SITE = "50.67,4.61"
PUBLISHED_S = 7000.0
TERMINALS = 8  # with draws of their own, at one place
DEGREES, SECONDS, SHARE = 5.0, 1.5, 0.05  # tolerances


class Statistics(NamedTuple):
    """Of serving satellites, in seconds of service."""

    elevation_p5_deg: float
    elevation_p50_deg: float
    elevation_p95_deg: float
    dwell_s: float  # median
    northern: float  # share of the time in the northern half of the sky
    nearest: float  # share in which it was the nearest one


LOUVAIN = Statistics(42.0, 60.0, 77.0, 14.5, 0.63, 0.096)
"""Louvain, 7,000 s (clarkzjw/SatInView, by matching trajectories; dwells of 13 to 16 s: whole seconds of a slot)."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Satellites by slot (T) and terminal (S); -1 and NaN where none served."""

    names: list[str]
    begin_s: Floats  # T; UTC
    satellite: Any  # (T, S) numbers
    elevation_deg: Floats  # (T, S) in the middle of the slot
    northern: Bools  # (T, S)
    nearest: Bools  # (T, S)

    def statistics(self) -> Statistics:
        served = self.satellite >= 0
        dwells = np.concatenate([_dwells_s(column) for column in self.satellite.T])
        low, middle, high = np.nanpercentile(self.elevation_deg, [5, 50, 95])
        return Statistics(
            float(low),
            float(middle),
            float(high),
            float(np.median(dwells)),
            float(self.northern[served].mean()),
            float(self.nearest[served].mean()),
        )


def choose(
    site: str, seed: int, duration_s: float, start: datetime | None = None, elements: Path | None = None
) -> Choices:
    """What terminals at a site choose over some time. DataError, ScenarioError as from `load` and the topology."""
    from emulator.scenario import build_topology, load
    from topologies.leo import LeoTopology

    overrides = [
        f"site={site}", f"hours=0-{TERMINALS - 1}", "flow=0 s", "terminals=1", f"seed={seed}", "step=15 s",
        f"duration={duration_s:g} s",
    ]  # fmt: skip
    if start is not None:
        overrides.append(f"shell.epoch={_slot(start).strftime('%Y-%m-%dT%H:%M:%SZ')}")
    topology = build_topology(load("leo_access", overrides=overrides, elements=elements))
    assert isinstance(topology, LeoTopology)
    timeline, stations = topology.timeline, topology.timeline.stations
    north = np.array([0.0, 0.0, 1.0]) - stations.up[:, 2:] * stations.up
    rows = []
    for instant in timeline.instants(0, int(duration_s / SLOT_S)):
        middle = (instant.start + instant.end) / 2
        serving = instant.held.satellite
        along = middle[serving] - stations.position
        metres = np.linalg.norm(along, axis=1)
        sight = timeline.sight(instant.step * SLOT_S, instant.start)
        ranges = np.where(sight.visible, sight.range_m, inf)
        nearest = sight.satellite[np.arange(len(serving)), ranges.argmin(axis=1)]
        elevation = np.degrees(np.arcsin(np.einsum("ij,ij->i", along, stations.up) / metres))
        rows.append((serving, np.where(serving >= 0, elevation, np.nan), (along * north).sum(axis=1) > 0, nearest))
    serving, elevation, northern, nearest = (np.array(column) for column in zip(*rows, strict=True))
    begin_s = topology.constellation.epoch.datetime().timestamp() + np.arange(len(rows), dtype=np.float64) * SLOT_S
    return Choices(
        list(topology.constellation.names), begin_s, serving, elevation, northern & (serving >= 0), nearest == serving
    )


def of_file(seen: Serving) -> Statistics:
    """The same statistics of a file of serving satellites; whether one was the nearest it does not say."""
    changed = np.array([a != b for a, b in zip(seen.satellite[1:], seen.satellite[:-1], strict=True)], dtype=bool)
    edges = np.concatenate([[0], np.flatnonzero(changed) + 1, [len(seen.t_s)]])
    dwells = [seen.t_s[stop - 1] - seen.t_s[start] + 1.0 for start, stop in pairwise(edges)]
    inner = dwells[1:-1] or dwells  # the first and the last were cut
    low, middle, high = np.percentile(seen.elevation_deg, [5, 50, 95])
    return Statistics(
        float(low),
        float(middle),
        float(high),
        float(np.median(inner)),
        float(np.mean(np.cos(np.radians(seen.azimuth_deg)) > 0)),
        float("nan"),
    )


def equal_share(seen: Serving, ours: Choices) -> tuple[float, int]:
    """Share of slots in which a terminal of ours uses the satellite of the file, and the number of slots."""
    theirs: dict[int, str] = {}
    for t_s, name in zip(seen.t_s, seen.satellite, strict=True):
        theirs.setdefault(int((t_s - ours.begin_s[0]) // SLOT_S), _plain(name))
    equal = [
        float(np.mean([number >= 0 and _plain(ours.names[number]) == name for number in ours.satellite[slot]]))
        for slot, name in theirs.items()
        if 0 <= slot < len(ours.satellite)
    ]
    return (float(np.mean(equal)) if equal else float("nan")), len(equal)


def published(seed: int = 1) -> list[Score]:
    """The selection against the published statistics, from where those were taken."""
    return _scores("serving satellite (Louvain)", LOUVAIN, choose(PUBLISHED_SITE, seed, PUBLISHED_S))


def against(seen: Serving, site: str, elements: Path | None, seed: int = 1) -> list[Score]:
    """The selection against one file of serving satellites."""
    start = datetime.fromtimestamp(float(seen.t_s[0]), UTC)
    ours = choose(site, seed, float(seen.t_s[-1] - seen.t_s[0]) + 2 * SLOT_S, start, elements)
    share, slots = equal_share(seen, ours)
    group = f"serving satellite ({seen.path.name})"
    return [*_scores(group, of_file(seen), ours), Score(group, "equal choices", "", float("nan"), share, inf, slots,
                                                        relative=False)]  # fmt: skip


def _scores(group: str, there: Statistics, ours: Choices) -> list[Score]:
    here, n = ours.statistics(), int((ours.satellite >= 0).sum())
    units = {"elevation": ("°", DEGREES), "dwell": ("s", SECONDS)}
    found = []
    for name in Statistics._fields:
        unit, tolerance = units.get(name.split("_")[0], ("", SHARE))
        label = name.removesuffix("_deg").removesuffix("_s").replace("_", " ")
        expected = getattr(there, name)
        tolerance = tolerance if expected == expected else inf
        found.append(Score(group, label, unit, expected, getattr(here, name), tolerance, n, relative=False))
    return found


def _dwells_s(column: Any) -> Floats:
    """Lengths of the stays with one satellite; the first and the last, which were cut, are left out."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(column)) + 1, [len(column)]])
    dwells = np.diff(edges) * SLOT_S
    return dwells[1:-1] if len(dwells) > 2 else dwells


def _slot(start: datetime) -> datetime:
    """The begin of the slot that an instant lies in."""
    since = (start.timestamp() - 12.0) // SLOT_S * SLOT_S + 12.0
    return datetime.fromtimestamp(since, UTC)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.upper() if letter.isalnum())
