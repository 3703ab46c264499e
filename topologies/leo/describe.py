"""Describes a satellite topology at one instant, and its slots, as plain values for `skyloom plan` and its JSON."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from emulator.model.network import LinkSpec
from emulator.orbit.elements import Constellation
from emulator.orbit.frames import SPEED_OF_LIGHT_M_S
from emulator.orbit.visibility import distance
from emulator.schedule.reader import step_at
from topologies.leo.access import Access, GatewayNetwork
from topologies.leo.config import Config, Station
from topologies.leo.selection import Instant
from topologies.leo.timeline import LeoTimeline

POLICY = {"starlink": "slots", "celestial": "nearest", "starrynet": "nearest", "opensn": "nearest"}
SLOT_STEPS = 900  # of a long run, the steps whose slots are listed


class DescribedTopology(Protocol):
    """What of a satellite topology a description is made of."""

    constellation: Constellation
    config: Config
    places: tuple[Station, ...]
    timeline: LeoTimeline
    sites: GatewayNetwork | None
    access: Access
    antennas: int
    links: list[LinkSpec]
    duration_s: float


def describe(topo: DescribedTopology, t_s: float) -> dict[str, Any]:
    """Shell, ISLs, and per station its access links, the nearest serving satellite and the number of visible ones.

    Geometry is that of `t_s`; satellites serve that were selected at the start of the step that `t_s` lies in.
    """
    timeline = topo.timeline
    names = topo.constellation.names
    instant = next(timeline.instants(step_at(t_s, timeline.step_s), 1))
    held = instant.held
    positions = timeline.propagator.ecef(np.array([t_s]))[0]
    sight = timeline.sight(t_s, positions)
    grid = timeline.grid
    isl_ms = distance(positions[grid.a], positions[grid.b]) / SPEED_OF_LIGHT_M_S * 1e3
    seen = timeline.isls_up(instant)
    stations = []
    for index, place in enumerate(topo.places):
        access: list[dict[str, Any]] = []
        for antenna in range(index * topo.antennas, (index + 1) * topo.antennas):
            serving = int(held.satellite[antenna])
            if serving >= 0:
                along = positions[serving] - timeline.stations.position[index]
                range_m = float(np.linalg.norm(along))
                access.append({
                    "link": topo.links[len(grid) + antenna].name,
                    "serving": names[serving],
                    "since_s": float(held.since_s[antenna]),
                    "elevation_deg": float(np.degrees(np.arcsin(along @ timeline.stations.up[index] / range_m))),
                    "range_km": range_m / 1e3,
                    "delay_ms": range_m / SPEED_OF_LIGHT_M_S * 1e3,
                })  # fmt: skip
        stations.append({
            "name": f"gs-{place.name}", "lat_deg": place.lat_deg, "lon_deg": place.lon_deg, "serving": None,
            "visible": int(np.count_nonzero(sight.visible[index])), "access": access,
            **(min(access, key=lambda link: float(link["range_km"])) if access else {}),
        })  # fmt: skip
    up_ms = isl_ms[seen]
    return {
        "shell": {
            "label": topo.constellation.label,
            "satellites": len(names),
            "epoch": topo.constellation.epoch.text(),
            "skipped_element_sets": topo.constellation.skipped,
            "not_placed": int(np.count_nonzero(np.isnan(positions[:, 0]))),
        },
        "isl": {
            "links": len(grid),
            "up": int(np.count_nonzero(seen)),
            "delay_ms": {
                "min": float(up_ms.min()), "median": float(np.median(up_ms)), "max": float(up_ms.max()),
            } if len(up_ms) else None,
        },
        "ground": {
            "stations": len(topo.places),
            "min_elevation_deg": topo.config.ground.min_elevation_deg,
            "antennas": topo.antennas,
            "all_in_view": topo.config.ground.antennas == "all",
            "policy": POLICY.get(topo.config.ground.terminal, topo.config.ground.policy),
            "min_dwell_s": topo.config.ground.min_dwell_s,
            "terminal": topo.config.ground.terminal,
            "gateways": [f"gw-{site.name}" for site in topo.sites.gateways] if topo.sites else [],
        },
        "stations": stations,
        **({"slots": slots(topo)} if topo.config.ground.terminal == "starlink" else {}),
    }  # fmt: skip


def slots(topo: DescribedTopology) -> list[dict[str, Any]]:
    """Per slot (from the first step on, up to SLOT_STEPS) and access link: satellite, where it stands, gateway."""
    timeline, grid = topo.timeline, topo.access.slots
    steps = min(SLOT_STEPS, max(1, round(topo.duration_s / timeline.step_s)))
    found: list[dict[str, Any]] = []
    last = None
    for instant in timeline.instants(0, steps):
        t_s = instant.step * timeline.step_s
        if grid.number(t_s) != last:
            last = grid.number(t_s)
            found += [_slot(topo, instant, t_s, antenna) for antenna in range(len(instant.held.satellite))]
    return found


def _slot(topo: DescribedTopology, instant: Instant, t_s: float, antenna: int) -> dict[str, Any]:
    sites, stations = topo.timeline.gateways, topo.timeline.stations
    station = antenna // topo.antennas
    serving = int(instant.held.satellite[antenna])
    facts: dict[str, Any] = {
        "t_s": t_s, "utc": topo.access.slots.utc(t_s).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "station": f"gs-{topo.places[station].name}", "link": topo.links[len(topo.timeline.grid) + antenna].name,
        "serving": None, "gateway": None,
    }  # fmt: skip
    if serving < 0:
        return facts
    along = instant.start[serving] - stations.position[station]
    metres = float(np.linalg.norm(along))
    facts |= {
        "serving": topo.constellation.names[serving],
        "elevation_deg": float(np.degrees(np.arcsin(along @ stations.up[station] / metres))),
        "range_km": metres / 1e3,
    }
    if instant.assignment is not None and sites is not None and topo.sites is not None:
        gateway = int(instant.assignment.gateway[antenna])
        if gateway >= 0:
            facts["gateway"] = f"gw-{topo.sites.gateways[gateway].name}"
            facts["feeder_km"] = float(distance(instant.start[serving], sites.position[gateway])) / 1e3
    return facts
