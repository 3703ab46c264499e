"""A small topology and a node program for the tests of the scenario room; named by scenarios as "scenario_fakes"."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from emulator.model.builder import NetworkBuilder
from emulator.model.errors import Unfit
from emulator.model.tables import Table
from emulator.model.units import Duration, Length, Rate, Share, Size
from emulator.sdk.node import Node

GOOD = """\
name = "small"
description = "two stations"
duration = "60 s"
seed = 7
topology = "scenario_fakes"

[shell]
altitude = "550 km"

[ground]
min_elevation_deg = 30

[[ground.station]]
name = "tokyo"
latitude_deg = 35.6

[[ground.station]]
name = "paris"
latitude_deg = 48.9

[[program]]
name = "probe"
nodes = ["gs-*"]
run = "scenario_fakes:Probe"
config = { to = ["gs-paris"], interval = "20 ms" }

[[program]]
name = "server"
nodes = ["gs-paris"]
command = ["iperf3", "-s"]
environment = { LANG = "C" }

[[action]]
at = "10 s"
do = "link-down"
links = ["gs-tokyo:up"]
for = "3 s"

[[expect]]
figure = "summary.handovers"
at_least = 1
"""


def write(folder: Path, text: str, name: str = "small.toml") -> Path:
    """The text as a file of that folder."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


class Shell(Table):
    """The satellites."""

    altitude_m: Length
    """Height above the equator."""
    planes: int = 72
    """Orbital planes."""
    walker: str | None = None
    elements: str | None = None


class Station(Table):
    name: str
    latitude_deg: float


class Ground(Table):
    min_elevation_deg: float = 25.0
    access: Literal["nearest", "highest"] = "nearest"
    stations: tuple[Station, ...] = Field((), alias="station")

    @model_validator(mode="after")
    def _mask(self) -> Ground:
        if self.min_elevation_deg > 90:
            raise ValueError(f"a mask of {self.min_elevation_deg}°; expected at most 90°")
        return self


class Config(Table):
    """Tables of the fake topology."""

    shell: Shell
    """The satellites."""
    ground: Ground = Ground()
    """The stations."""


def build(config: Config, options: Any) -> NetworkBuilder:
    if config.shell.planes == 13:
        raise ZeroDivisionError("thirteen planes")
    builder = NetworkBuilder(options)
    for station in config.ground.stations:
        builder.add_node(f"gs-{station.name}", live=True)
    return builder


class Probe(Node):
    @dataclass(frozen=True, slots=True)
    class Backoff:
        first_s: Duration = 0.1
        factor: float = 2.0

    @dataclass(frozen=True, slots=True)
    class Config:
        to: tuple[str, ...] = ()
        interval_s: Duration = 0.05
        rate_bps: Rate = float("inf")
        size_bytes: Size = 64.0
        loss: Share = 0.0
        count: int = 10
        tags: dict[str, int] = field(default_factory=dict)
        rates_bps: tuple[Rate, ...] = ()

        def __post_init__(self) -> None:
            if self.count == 13:
                raise Unfit("a count of 13", "any other")


class NotANode:
    """Something a scenario may name by mistake."""


# A recipe over this topology. Each number of agents past 12 is a mistake of its own.
RECIPE = '''\
from emulator.model.errors import DataError, Unfit
from emulator.model.tables import ParameterError, Table
from emulator.model.units import Duration
from pydantic import Field

class Look(Table):
    at: int = 3
    """What to look at."""

class Parameters(Table):
    agents: int = Field(64, ge=1)
    """How many agents there are."""
    shell: str = "low"
    """Name of an altitude; a parameter may have the name of a table of the topology."""
    timeout_s: Duration = 0.1
    split: tuple[int, ...] = (1, 2)
    look: Look = Look()
    note: str | None = None

def compose(parameters, options):
    agents = parameters.agents
    if agents == 13:
        raise ParameterError("agents", "13 agents", "another number of agents")
    if agents == 14:
        raise Unfit("14 of them", "no more than 13")
    if agents == 15:
        raise DataError("file.edges:3 is no edge")
    if agents == 21:
        Look.model_validate({"at": "x"})
    if agents == 16:
        raise KeyError("sixteen")
    config = {"count": agents, "interval": f"{parameters.timeout_s!r} s", "tags": {"look": parameters.look.at}}
    if agents == 17:
        config["tags"] = {1}
    data = {
        "topology": "scenario_fakes",
        "description": ".",
        "shell": {"altitude": {"low": "550 km", "high": "1200 km"}[parameters.shell]},
        "ground": {"station": [{"name": f"s{i}", "latitude_deg": i} for i in range(2)]},
        "program": [{"name": "agents", "nodes": ["gs-*"], "run": "scenario_fakes:Probe", "config": config}],
        "expect": ({"figure": "summary.win", "equals": True},),
        "rounds": {"max_rounds": 100},
        "ends": "programs",
        "prediction": {"win": True, "seed": options.seed, "seconds": options.duration_s, "mean": 4.1},
    }
    if agents == 18:
        del data["topology"]
    if agents == 19:
        data["seed"] = 3
    return [data] if agents == 20 else data
'''
FILE = """\
recipe = "RECIPE"
agents = 64
seed = 7
duration = "30 s"
[[program]]
name = "mine"
nodes = ["gs-s0"]
command = ["true"]
"""
