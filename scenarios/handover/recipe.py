"""Recipe of the scenario `handover`: one terminal, one TCP flow down to it through several slots.

Invariant: with one seed, `access = "starlink"` and `"random"` have the same satellites, delays and rates at every
instant, and the same average loss; only when packets are lost differs. What `"random"` loses, and the rate of
`"ideal"`, are averages of the model over the very time that is played.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from pydantic import Field

from emulator.model.tables import ParameterError, RecipeOptions, Table
from emulator.model.units import Duration, Rate, Share, show
from scenarios.leo_access.recipe import site_of

EPOCH_S = 1_698_796_812  # 2023-11-01T00:00:12Z, the begin of a slot
SEED_STEP_S = 5_460
SLOT_S = 15
GRAIN_S = 0.001  # at which the model is averaged
START_S = 1.0


class Parameters(Table):
    """What can be set of the scenario `handover`."""

    access: Literal["starlink", "random", "ideal"] = "starlink"
    """The access model; the same with its losses spread evenly; or geometry alone at the same average rate."""
    congestion: str = "cubic"
    """Congestion control of the flow: "cubic", "bbr", or another that the kernel has."""
    slots: int = Field(4, ge=1, le=100)
    """Slots of 15 s that are played."""
    bursts: float = Field(1.0, ge=0, le=2)
    """Mean number of bursts of losses a slot. It is above the fitted one, so that a short run has some."""
    outage: Share = 0.5
    """Chance that a handover interrupts the link; above the fitted one, too."""
    peak_bps: Rate = 372e6
    """Rate of an idle beam; the fitted one."""
    hour: int = Field(20, ge=0, le=23)
    """Local hour of the day."""
    site: str = "52.27,8.05"
    """Latitude and longitude of the terminal."""
    server_delay_s: Duration = 0.0145
    """From the point of presence to the server, one way."""


class Averages(NamedTuple):
    """Of the way down over the time that is played."""

    loss: float
    rate_bps: float


def compose(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    """The scenario's data. ParameterError for a site that is none."""
    composed = _with_model(parameters, options)
    if parameters.access == "starlink":
        return composed
    averages = average(composed, options, parameters.slots)
    if parameters.access == "random":
        spread = {"outage": _share(0.0), "bursts": 0.0, "blips": 0.0, "loss": _share(averages.loss)}
        return {**composed, "terminal": {**composed["terminal"], **spread}}
    rates = {"rate_down": f"{averages.rate_bps!r} bit/s", "rate_up": f"{averages.rate_bps / 4!r} bit/s"}
    return {
        **{key: value for key, value in composed.items() if key != "terminal"},
        "ground": {**composed["ground"], "terminal": "ideal", **rates},
    }


def average(composed: dict[str, Any], options: RecipeOptions, slots: int) -> Averages:
    """What the composed model does to a steady stream down: the share that it loses, outages too, and the mean rate."""
    import numpy as np

    from emulator.model.network import BuildOptions
    from topologies.leo import Config, build
    from topologies.leo.terminal_model.model import DOWN

    tables = {key: composed[key] for key in ("shell", "isl", "ground", "terminal", "gateways")}
    topo = build(Config.model_validate(tables), BuildOptions(seed=options.seed, directory=options.directory))
    model = topo.access.model
    assert model is not None
    lost, rate = [], []
    for slot in range(slots):
        t_s = slot * SLOT_S + np.arange(GRAIN_S / 2, SLOT_S, GRAIN_S)
        values = model.at(DOWN, model.slots.number(float(t_s[0])), t_s[None, :])
        lost.append(1 - np.mean((1 - values.loss) * values.up))
        rate.append(np.mean(values.rate_bps))
    return Averages(float(np.mean(lost)), float(np.mean(rate)))


def _share(value: float) -> str:
    return f"{100 * value!r} %"


def _with_model(parameters: Parameters, options: RecipeOptions) -> dict[str, Any]:
    lat_deg, lon_deg = site_of(parameters.site)
    if parameters.peak_bps in (0, float("inf")):
        raise ParameterError("peak", show(parameters.peak_bps, "rate"), "a rate above 0 with an end")
    epoch = datetime.fromtimestamp(EPOCH_S + SEED_STEP_S * options.seed, UTC)
    station = {"name": "dish", "lat_deg": lat_deg, "lon_deg": lon_deg, "hour": parameters.hour}
    nodes = ["gs-dish", "server"]
    return {
        "duration": f"{parameters.slots * SLOT_S} s",
        "topology": "topologies.leo",
        "analysis": "scenarios.handover.analysis",
        "shell": {"preset": "starlink-1", "epoch": epoch.strftime("%Y-%m-%dT%H:%M:%SZ")},
        "isl": {"pattern": "none"},
        "ground": {"station": [station], "terminal": "starlink", "serving": "all", "queue": "100 ms"},
        "terminal": {
            "peak_down": f"{parameters.peak_bps!r} bit/s",
            "outage": _share(parameters.outage),
            "bursts": parameters.bursts,
            "burst_at_edge": _share(1.0),
        },
        "gateways": {"sites": "near", "server_delay": f"{parameters.server_delay_s!r} s"},
        "program": [
            {
                "name": "flow",
                "nodes": nodes,
                "run": "nodes.traffic.bulk:Bulk",
                "start": f"{START_S!r} s",
                "config": {
                    "flows": ["server -> gs-dish"],
                    "congestion": parameters.congestion,
                    "interval": "100 ms",
                },
            },
            {
                "name": "probe",
                "nodes": nodes,
                "run": "nodes.traffic.probe:Probe",
                "config": {"peers": ["server"], "interval": "50 ms"},
            },
        ],
    }
