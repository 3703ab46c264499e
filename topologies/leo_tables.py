"""Tables of a satellite scenario: `[shell]`, `[isl]`, `[ground]`.

Invariant: whatever validates here can be built, apart from what needs geometry (coverage) or a file (element sets).
"""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from emulator import units
from emulator.network import Effects
from emulator.orbit.walker import SHELLS, Walker, parse
from emulator.tables import Table
from emulator.units import Length, Rate, Share
from topologies.stations import DEFAULT, SITES


def _queue(text: str) -> str:
    effects(text)
    return text


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("0 bit/s; wanted a rate above 0")
    return value


def _share(value: float) -> float:
    if value > 1:
        raise ValueError(f"{units.show(value, 'share')}; wanted a share of at most 100 %")
    return value


def _known(name: str) -> str:
    if name not in SITES:
        near = get_close_matches(name, SITES, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"{name!r}, no known station{hint}; wanted one of {', '.join(SITES)}, or [[ground.station]]")
    return name


def effects(queue: str) -> Effects:
    """Effects of a link end with a drop-tail queue such as "100 ms", "64 KiB" or "50 packets"."""
    value = units.parse(queue, "queue")
    unit = units.split(queue)[1]
    if unit == "packets":
        return Effects(queue_packets=value)
    return Effects(queue_s=value) if unit in ("ms", "s") else Effects(queue_bytes=value)


Queue = Annotated[str, AfterValidator(_queue)]
PositiveRate = Annotated[Rate, AfterValidator(_positive)]
Site = Annotated[str, AfterValidator(_known)]
Probability = Annotated[Share, AfterValidator(_share)]


class Shell(Table):
    """The satellites: a shell by name, by text, by keys (alone or on top of the name), or a file of element sets."""

    preset: Literal[tuple(SHELLS)] | None = None  # type: ignore[valid-type]
    """A known shell; "starlink-1" where nothing else is given."""
    walker: str | None = None
    """A shell as inclination:total/planes/phasing, such as "53.0:1584/72/17"; needs `altitude`."""
    planes: int | None = None
    """Orbital planes."""
    per_plane: int | None = None
    """Satellites in each plane."""
    inclination_deg: float | None = None
    """Inclination of the orbits."""
    altitude_m: Length | None = None
    """Height above the equator."""
    phasing: int | None = None
    """Walker phasing factor F, 0 to planes - 1."""
    raan_spread_deg: float | None = None
    """Arc over which the planes are spread: 360 is a Walker delta, 180 a Walker star."""
    tle: str | None = None
    """File of two- or three-line element sets; stands in for all of the above."""
    epoch: datetime | None = None
    """Instant (UTC) of scenario time 0: by default 2026-01-01T00:00:00Z, or the latest epoch of the element sets."""

    @property
    def shell(self) -> Walker:
        """The Walker shell that these keys describe. ValueError where they describe none."""
        keys = {
            "planes": self.planes, "per_plane": self.per_plane, "inclination_deg": self.inclination_deg,
            "altitude_m": self.altitude_m, "phasing": self.phasing, "raan_spread_deg": self.raan_spread_deg,
        }  # fmt: skip
        if self.walker is None:
            return SHELLS[self.preset or "starlink-1"].altered(**keys)
        if self.altitude_m is None:
            raise ValueError("`walker` without `altitude`; wanted an altitude such as '550 km' beside it")
        return parse(self.walker, self.altitude_m).altered(**keys)

    @model_validator(mode="after")
    def _makes_a_shell(self) -> Shell:
        if self.preset is not None and self.walker is not None:
            raise ValueError("both `preset` and `walker`; wanted one of them")
        if self.tle is None:
            _ = self.shell
        return self


class Isl(Table):
    """Links between satellites."""

    pattern: Literal["+grid", "raan", "none"] | None = None
    """"+grid" (default of a shell), "raan": neighbours by right ascension (default of element sets), or "none"."""
    rate_bps: PositiveRate = 1e9
    """Rate of each direction."""
    queue: Queue = "50 ms"
    """Bound of the queue of each end: a time, bytes, or packets."""
    loss: Probability = 0.0
    """Chance of loss per packet."""


class Station(Table):
    """A ground station at a place of your own."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)
    """Its name; the node is called gs-<name>."""
    lat_deg: float = Field(ge=-90, le=90)
    """Geodetic latitude, north positive."""
    lon_deg: float = Field(ge=-180, le=360)
    """Longitude, east positive."""
    altitude_m: Length = 0.0
    """Height above the ellipsoid."""


class Ground(Table):
    """Ground stations and their access links."""

    stations: tuple[Site, ...] | None = None
    """Stations at known places; by default twelve on six continents, or none where `[[ground.station]]` is used."""
    station: tuple[Station, ...] = ()
    """Stations at places of your own."""
    min_elevation_deg: float = Field(25.0, ge=0, lt=90)
    """Elevation mask: satellites lower than this are not used."""
    policy: Literal["nearest", "highest_elevation", "longest_pass"] = "highest_elevation"
    """Which of the visible satellites serves a station."""
    serving: Literal["mesh", "all"] = "mesh"
    """"mesh" prefers the satellites of the largest group that ISLs join, so that stations can reach each other; "all"
    takes any."""
    min_dwell_s: units.Duration = 15.0
    """A satellite that still stands above the mask serves at least this long."""
    rate_up_bps: PositiveRate = 50e6
    """Rate from a station to its satellite."""
    rate_down_bps: PositiveRate = 200e6
    """Rate from the satellite to the station."""
    queue: Queue = "100 ms"
    """Bound of the queue of each end: a time, bytes, or packets."""
    loss: Probability = 0.0
    """Chance of loss per packet."""

    @property
    def places(self) -> tuple[Station, ...]:
        """Every station, known places first."""
        names = self.stations
        if names is None:
            names = () if self.station else DEFAULT
        known = [Station.model_validate({"name": name, "lat_deg": SITES[name][0], "lon_deg": SITES[name][1],
                                         "altitude": f"{SITES[name][2]} m"}) for name in names]  # fmt: skip
        return (*known, *self.station)

    @model_validator(mode="after")
    def _stations_exist_once(self) -> Ground:
        names = [station.name for station in self.places]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"station {twice[0]!r} twice; wanted each name once")
        if not names:
            raise ValueError("no station; wanted at least one")
        return self


class Config(Table):
    """Tables of `topologies.leo`."""

    shell: Shell = Field(default_factory=lambda: Shell.model_validate({}))
    """The satellites."""
    isl: Isl = Field(default_factory=lambda: Isl.model_validate({}))
    """Links between satellites."""
    ground: Ground = Field(default_factory=lambda: Ground.model_validate({}))
    """Ground stations."""

    @model_validator(mode="after")
    def _pattern_fits(self) -> Config:
        if self.shell.tle is not None and self.isl.pattern == "+grid":
            raise ValueError(
                "`isl.pattern` '+grid' with `shell.tle`; wanted 'raan' or 'none', element sets have no slots"
            )
        return self
