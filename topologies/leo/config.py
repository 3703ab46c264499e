"""Tables of a satellite scenario: `[shell]`, `[isl]`, `[ground]`, `[terminal]`, `[gateways]`.

Invariant: whatever validates here can be built, apart from what needs geometry (coverage) or a file (element sets).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from emulator.model import units
from emulator.model.errors import Unfit
from emulator.model.tables import Table
from emulator.model.units import Length
from emulator.orbit.walker import SHELLS, Walker, parse, parse_code
from topologies.leo.gateway_sites import GATEWAYS, POPS
from topologies.leo.stations import DEFAULT, SITES
from topologies.leo.terminal_model.tables import Terminal
from topologies.link_keys import PositiveRate, Probability, Queue


def _known(name: str) -> str:
    return one_of(name, SITES, "station", ", or [[ground.station]]")


def one_of(name: str, names: Collection[str], what: str, otherwise: str = "") -> str:
    """`name`, where it is one of `names`; ValueError with the nearest of them where not."""
    if name not in names:
        near = get_close_matches(name, names, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise Unfit(f"{name!r}, no known {what}{hint}", f"one of {', '.join(names)}{otherwise}")
    return name


MOST_ANTENNAS = 64  # of a station


Site = Annotated[str, AfterValidator(_known)]


class Shell(Table):
    """The satellites: a shell by name, by text, by keys (alone or on top of the name), or a file of element sets."""

    preset: Literal[tuple(SHELLS)] | None = None  # type: ignore[valid-type]
    """A known shell; "starlink-1" where nothing else is given."""
    walker: str | None = None
    """A shell as inclination:total/planes/phasing, such as "53.0:1584/72/17"; needs `altitude`."""
    code: str | None = None
    """One or more shells as a constellation code, such as "D:550:53:1584/72/39" or "S:780:86.4:66/6/1+D:…": delta or
    star, altitude in km, inclination, satellites/planes/phasing (draft-piraux-space-constellation-code)."""
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
    elements: str | None = None
    """File of element sets, two- or three-line or OMM (JSON, CSV, XML or KVN); stands in for all of the above. Or a
    folder of Hypatia's with tles.txt, isls.txt and ground_stations.txt: its links and, unless `ground` names stations,
    its stations are taken, too."""
    epoch: datetime | None = None
    """Instant (UTC) of scenario time 0: by default 2026-01-01T00:00:00Z, or the latest epoch of the element sets."""

    @property
    def shells(self) -> tuple[Walker, ...]:
        """The Walker shells that these keys describe. ValueError where they describe none."""
        keys = {
            "planes": self.planes, "per_plane": self.per_plane, "inclination_deg": self.inclination_deg,
            "altitude_m": self.altitude_m, "phasing": self.phasing, "raan_spread_deg": self.raan_spread_deg,
        }  # fmt: skip
        if self.code is not None:
            beside = [name for name, value in keys.items() if value is not None]
            if beside:
                raise Unfit(f"`code` and `{beside[0].removesuffix('_m')}`", "a code alone: it says all of a shell")
            return parse_code(self.code)
        if self.walker is None:
            return (SHELLS[self.preset or "starlink-1"].altered(**keys),)
        if self.altitude_m is None:
            raise Unfit("`walker` without `altitude`", "an altitude such as '550 km' beside it")
        return (parse(self.walker, self.altitude_m).altered(**keys),)

    @model_validator(mode="after")
    def _makes_a_shell(self) -> Shell:
        given = [f"`{name}`" for name in ("preset", "walker", "code") if getattr(self, name) is not None]
        if len(given) > 1:
            raise Unfit(f"both {' and '.join(given)}", "one of them")
        if self.elements is None:
            _ = self.shells
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
    ethernet: bool = False
    """Whether links carry Ethernet frames instead of IP packets, so that ARP, bridges and IS-IS work; the nodes at
    both ends need a namespace, see `materialise`."""
    carrier: bool = False
    """Whether the interfaces of a link show no carrier while it is down."""


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
    hour: float | None = Field(None, ge=0, lt=24)
    """Local hour of the day at which it stays, for `terminal = "starlink"`; by default the clock of its longitude."""
    rain_mm_h: float | None = Field(None, ge=0)
    """Rain at this station, mm/h, instead of `ground.rain_mm_h` and `ground.weather`."""
    load: float = Field(1.0, gt=0)
    """Factor on the odds of load of its beams, for `terminal = "starlink"`: 1 as in the data of the fit."""


class Ground(Table):
    """Ground stations and their access links."""

    stations: tuple[Site, ...] | None = None
    """Stations at known places; by default twelve on six continents, or none where `[[ground.station]]` is used."""
    station: tuple[Station, ...] = ()
    """Stations at places of your own."""
    min_elevation_deg: float = Field(25.0, ge=0, lt=90)
    """Elevation mask: satellites lower than this are not used."""
    max_range_m: Length | None = None
    """Satellites farther away than this are not used either. (Hypatia has this rule alone, and no mask.)"""
    terminal: Literal["ideal", "starlink", "celestial", "starrynet", "opensn"] = "ideal"
    """What access links are like. "ideal": geometry alone. "starlink": slots, grants, load, weather and losses by the
    model of `[terminal]`, which also chooses satellites and sets the rates. The others: the rules by which these
    emulators make delays and choose satellites, for comparison."""
    rain_mm_h: float = Field(0.0, ge=0)
    """Rain at every station, mm/h; lowers the rates of `terminal = "starlink"`."""
    weather: str | None = None
    """CSV file of rain over time, instead: columns `t` (seconds) or `utc`, `rain_mm_h`, and `station` if it tells
    stations apart. A value holds until the next."""
    antennas: Literal["all"] | Annotated[int, Field(ge=1, le=MOST_ANTENNAS)] = 1
    """Access links of a station at the same time, each to another satellite; routes choose among them. "all": one to
    every satellite in view, as many as that are at most in the run."""
    policy: Literal["nearest", "highest_elevation", "longest_pass"] = "highest_elevation"
    """Which of the visible satellites an antenna follows, where `terminal` is "ideal" and `antennas` a number."""
    serving: Literal["mesh", "all"] = "mesh"
    """"mesh" prefers the satellites of the largest group that ISLs join, so that stations can reach each other; "all"
    takes any."""
    min_dwell_s: units.Duration = 15.0
    """A satellite that still stands above the mask serves at least this long, where `terminal` is "ideal" and
    `antennas` a number."""
    rate_up_bps: PositiveRate = 50e6
    """Rate from a station to its satellite, unless `terminal` is "starlink"."""
    rate_down_bps: PositiveRate = 200e6
    """Rate from the satellite to the station, unless `terminal` is "starlink"."""
    queue: Queue = "100 ms"
    """Bound of the queue of each end: a time, bytes, or packets. With `terminal = "starlink"` a full queue drops from
    its front."""
    loss: Probability = 0.0
    """Chance of loss per packet, unless `terminal` is "starlink"."""
    ethernet: bool = False
    """Whether access links (and feeder links) carry Ethernet frames instead of IP packets, so that ARP and routing
    daemons work; satellites need a namespace, see `materialise`. All satellites have one hardware address there."""
    carrier: bool = False
    """Whether a station's interface shows no carrier while no satellite serves it; at a handover it goes and comes."""

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
            raise Unfit(f"station {twice[0]!r} twice", "each name once")
        if not names:
            raise Unfit("no station", "at least one")
        if self.weather is not None and self.rain_mm_h > 0:
            raise Unfit("both `weather` and `rain_mm_h`", "one of them")
        if self.antennas == "all" and self.terminal == "starlink":
            raise Unfit('`antennas` "all" with `terminal` "starlink", whose slots assign satellites', "1, or more")
        for key in ("ethernet", "carrier"):
            if getattr(self, key) and self.antennas != 1:
                raise Unfit(f"`{key}` with `antennas` {self.antennas}, which share an interface", "`antennas` 1")
        return self


class Gateways(Table):
    """Gateways and points of presence: traffic goes down again near where it went up, and on by fibre."""

    sites: Literal["near"] | tuple[str, ...] | None = None
    """Gateways by name, or "near": all within `reach` of a station. Without it there are none, unless `file` is
    given."""
    file: str | None = None
    """XML list of gateways (as StarPerf's Starlink.xml) to take the names from, instead of the shipped one."""
    reach_m: Length = 1000e3
    """Distance on the ground from a station to a "near" gateway."""
    pops: tuple[str, ...] | None = None
    """Points of presence by name; by default the nearest one of each gateway."""
    pops_file: str | None = None
    """XML list of points of presence to take the names from, instead of the shipped one."""
    min_elevation_deg: float = Field(25.0, ge=0, lt=90)
    """Elevation mask of the gateways' antennas."""
    antennas: int = Field(8, ge=1, le=64)
    """Antennas of each gateway, one satellite each."""
    spread_s: units.Duration = 0.001
    """How much longer one way a gateway's path may be to be drawn with 1/e of the odds of another."""
    rate_bps: PositiveRate = 10e9
    """Rate of a feeder link and of a fibre, each direction."""
    queue: Queue = "20 ms"
    """Bound of the queue of each end of feeder links and fibres."""
    fibre_detour: float = Field(1.5, ge=1)
    """Length of a fibre by the great circle."""
    fibre_speed: float = Field(0.6667, gt=0, le=1)
    """Speed of light in fibre by that in vacuum."""
    server_delay_s: units.Duration | None = None
    """A host "server" this far (one way) behind the first point of presence; without it there is none."""

    @property
    def expected(self) -> bool:
        return self.sites is not None or self.file is not None

    @model_validator(mode="after")
    def _sites_are_known(self) -> Gateways:
        if self.file is None and isinstance(self.sites, tuple):
            for name in self.sites:
                one_of(name, GATEWAYS, "gateway")
        if self.sites == ():
            raise Unfit("no gateway", 'names, "near", or no `sites` at all')
        if self.pops_file is None:
            for name in self.pops or ():
                one_of(name, POPS, "point of presence")
        if self.pops == ():
            raise Unfit("no point of presence", "names, or no `pops` at all")
        return self


class Config(Table):
    """Tables of `topologies.leo`."""

    shell: Shell = Field(default_factory=lambda: Shell.model_validate({}))
    """The satellites."""
    isl: Isl = Field(default_factory=lambda: Isl.model_validate({}))
    """Links between satellites."""
    ground: Ground = Field(default_factory=lambda: Ground.model_validate({}))
    """Ground stations."""
    terminal: Terminal = Field(default_factory=lambda: Terminal.model_validate({}))
    """Constants of `ground.terminal = "starlink"`."""
    gateways: Gateways = Field(default_factory=lambda: Gateways.model_validate({}))
    """Gateways and points of presence."""

    @model_validator(mode="after")
    def _pattern_fits(self) -> Config:
        if self.shell.elements is not None and self.isl.pattern == "+grid":
            raise Unfit("`isl.pattern` '+grid' with `shell.elements`", "'raan' or 'none', element sets have no slots")
        return self
