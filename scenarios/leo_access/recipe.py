"""Recipe of the scenario `leo_access`: one site, a terminal for each hour of the day and each class of rain.

Invariant: terminals stand at one place and differ in their names only, which are what the access model draws from, in
their hour and in their rain; so a minute of such a run samples a day. Probes and bulk flows have terminals of their
own, so that no probe waits behind a flow, and the flows take turns, so that the machine carries few at once.

Names: p05 probes, d05 downloads, u05 uploads at local hour 5; r3 downloads in rain of the fourth class; p05-1, p05-2 …
are further ones of the same kind.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from emulator.model.tables import ParameterError, RecipeOptions, Table
from emulator.model.units import Duration, show

ANALYSIS = "scenarios.leo_access.analysis"
EPOCH_S = 1_698_796_800  # 2023-11-01T00:00:00Z; seeds begin at other minutes of the day, and so see other satellites
SEED_STEP_S = 5_460  # 91 minutes: not in step with orbits, slots begin with steps
RAIN_MM_H = (0.0, 0.5, 1.5, 2.5, 3.5, 4.5, 7.0)  # one of each class of WetLinks' Fig 11
RAIN_HOUR = 10  # its median is that of the day
BENT_PIPE_INTERVAL = "97 ms"  # no multiple of grants and frames: probes meet them at any point
END_TO_END_INTERVAL = "20 ms"
PROBING = 24  # terminals that probe, at least
SETTLE_S = 1.0  # between probes and flows, and at the end


class Parameters(Table):
    """What can be set of the scenario `leo_access`."""

    site: str = "52.27,8.05"
    """Latitude and longitude of the terminals."""
    hours: str = "0-23"
    """Local hours of the day that have terminals: "0-23", "19", "6,18-20"."""
    terminals: int = Field(0, ge=0, le=24)
    """Terminals of each kind in each hour; by default as many as make 24 that probe."""
    terminal: Literal["starlink", "ideal", "celestial", "starrynet", "opensn"] = "starlink"
    """How access links behave (`ground.terminal`)."""
    gateways: str = "near"
    """"near", names of gateways with commas between, or an XML file of gateways."""
    pop: str = ""
    """The point of presence; by default the nearest one. The bent pipe is probed up to it."""
    server_delay_s: Duration = 0.0145
    """From the point of presence to the server, one way."""
    probing_s: Duration = 60.0
    """How long round trips are probed, before the flows; 0: not at all."""
    flow_s: Duration = Field(15.0)
    """How long each flow lasts; 0: none."""
    at_once: int = Field(4, ge=1, le=32)
    """Downloads at one time (and as many uploads)."""
    streams: int = Field(4, ge=1, le=32)
    """TCP connections of each flow."""
    congestion: str = "cubic"
    """Congestion control, as the measurements had; empty: the kernel's default, which may be BBR."""
    load: float = Field(1.0, gt=0)
    """Factor on the odds of load: a busier place, or a terminal with traffic beside the probes."""
    rain: bool = True
    """Whether there are terminals in rain."""


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """The scenario's data. ParameterError for a site or hours that cannot be."""
    lat_deg, lon_deg = site_of(parameters.site)
    hours = hours_of(parameters.hours)
    probing = bool(parameters.probing_s)
    names = _names(hours, parameters.terminals)
    download = [f"d{name}" for name in names] if parameters.flow_s else []
    upload = [f"u{name}" for name in names] if parameters.flow_s else []
    wet = [f"r{number}" for number in range(len(RAIN_MM_H))] if parameters.flow_s and parameters.rain else []
    probes = [f"p{name}" for name in names] if probing else []
    place = {"lat_deg": lat_deg, "lon_deg": lon_deg, "load": parameters.load}
    stations = [
        {"name": name, **place, "hour": int(name[1:3]), "rain_mm_h": 0.0} for name in probes + download + upload
    ]
    stations += [{"name": name, **place, "hour": RAIN_HOUR, "rain_mm_h": RAIN_MM_H[int(name[1:])]} for name in wet]
    if not stations:
        raise ParameterError("flow", "no probes and no flows", "`probing` or `flow` above 0 s")
    stagger_s = parameters.flow_s / parameters.at_once
    turns = max(len(download) + len(wet), len(upload))
    flows_s = turns * stagger_s + parameters.flow_s + SETTLE_S if turns else 0.0
    pop = _pop(parameters, lat_deg, lon_deg)
    programs = _probes(parameters, pop) if probing else []
    if parameters.flow_s:
        programs += [
            _flows(parameters, "down", [f"server -> gs-{name}" for name in _mixed(download + wet)], stagger_s),
            _flows(parameters, "up", [f"gs-{name} -> server" for name in _mixed(upload)], stagger_s),
        ]
    return {
        "duration": f"{(parameters.probing_s + flows_s + SETTLE_S):.3f} s",
        "topology": "topologies.leo",
        "analysis": ANALYSIS,
        "shell": {"preset": "starlink-1", "epoch": _epoch(options.seed)},
        "isl": {"pattern": "none"},
        "ground": {"station": stations, "terminal": parameters.terminal, "serving": "all"},
        "gateways": {
            **_gateways(parameters.gateways),
            "pops": [pop],
            "server_delay": f"{parameters.server_delay_s!r} s",
        },
        "program": programs,
    }


def site_of(text: str) -> tuple[float, float]:
    """Latitude and longitude of "52.27,8.05". ParameterError where it is none."""
    try:
        lat_deg, lon_deg = (float(part) for part in text.split(","))
    except ValueError:
        lat_deg = lon_deg = float("nan")
    if not (-90 <= lat_deg <= 90 and -180 <= lon_deg <= 180):
        raise ParameterError("site", repr(text), "latitude and longitude in degrees, such as 52.27,8.05")
    return lat_deg, lon_deg


def hours_of(text: str) -> list[int]:
    """Hours of "6,18-20", ascending. ParameterError where it is no such list."""
    hours: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            hours = set()
            break
        hours |= set(range(int(first), int(last if dash else first) + 1))
    if not hours or max(hours) > 23:
        raise ParameterError("hours", repr(text), "hours from 0 to 23, such as 0-23 or 6,18-20")
    return sorted(hours)


def _names(hours: list[int], terminals: int) -> list[str]:
    """Names of terminals without the letter of their kind."""
    each = terminals or -(-PROBING // len(hours))
    return [f"{hour:02}" + (f"-{number}" if number else "") for hour in hours for number in range(each)]


def _epoch(seed: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(EPOCH_S + 12 + SEED_STEP_S * seed, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _gateways(text: str) -> dict[str, Any]:
    if text == "near":
        return {"sites": "near"}
    if "/" in text or text.lower().endswith(".xml"):
        return {"sites": "near", "file": text}
    return {"sites": [name.strip() for name in text.split(",")]}


def _mixed(names: list[str]) -> list[str]:
    """Every fifth name, then the next ones: terminals that are active together are of unlike hours."""
    return [name for first in range(5) for name in names[first::5]]


def _pop(parameters: Parameters, lat_deg: float, lon_deg: float) -> str:
    """The asked point of presence, or the nearest one."""
    import numpy as np

    from topologies.leo.gateway_sites import POPS, great_circle_m

    if not parameters.pop:
        metres = great_circle_m(np.array([lat_deg]), np.array([lon_deg]), list(POPS.values()))
        return list(POPS)[int(metres.argmin())]
    if parameters.pop not in POPS:
        raise ParameterError("pop", repr(parameters.pop), f"one of {', '.join(POPS)}")
    return parameters.pop


def _probes(parameters: Parameters, pop: str) -> list[dict[str, Any]]:
    stop = show(parameters.probing_s, "duration")
    return [
        {
            "name": name,
            "nodes": ["gs-p*", target],
            "run": "nodes.traffic.probe:Probe",
            "stop": stop,
            "expect": "any",
            "config": {"peers": [target], "interval": interval, "port": port},
        }
        for name, target, interval, port in (
            ("bent-pipe", f"pop-{pop}", BENT_PIPE_INTERVAL, 4242),
            ("end-to-end", "server", END_TO_END_INTERVAL, 4243),
        )
    ]


def _flows(parameters: Parameters, name: str, flows: list[str], stagger_s: float) -> dict[str, Any]:
    nodes = sorted({node for flow in flows for node in flow.split(" -> ")})
    return {
        "name": name,
        "nodes": nodes,
        "run": "nodes.traffic.bulk:Bulk",
        "start": show(parameters.probing_s + SETTLE_S, "duration"),
        "config": {
            "flows": flows,
            "duration": f"{parameters.flow_s!r} s",
            "stagger": f"{stagger_s!r} s",
            "streams": parameters.streams,
            "congestion": parameters.congestion,
            "port": {"down": 5001, "up": 5002}[name],
        },
    }
