"""Walker shells: from the text form `53.0:1584/72/17`, from keys, or by name, to SGP4 records.

Invariant: satellite (plane p, slot s), both from 0, has number p·per_plane + s, right ascension p·spread/planes, and
argument of latitude s·360°/per_plane + p·phasing·360°/total at the epoch (J. G. Walker 1984: i:t/p/f, f in 0…p-1).
Orbits are circular; the altitude is that of the mean semi-major axis above the equator, and SGP4 (WGS72) adds the
oblateness: precession of the planes and some ±3 km of height. Drag is left out (B* = 0).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import acos, cos, degrees, pi, radians, sqrt

from emulator.model.errors import Unfit
from emulator.orbit.elements import SGP4_DAY_ZERO_JD, Constellation, Epoch

WGS72_MU_KM3_S2 = 398600.8
WGS72_RADIUS_KM = 6378.135
WGS72_J2 = 0.001082616

_TEXT = re.compile(r"\s*(\d+(?:\.\d*)?)\s*:\s*(\d+)\s*/\s*(\d+)\s*/\s*(\d+)\s*")

_CODE = re.compile(
    r"([DS]):(\d{1,6}(?:\.\d{1,9})?):(\d{1,3}(?:\.\d{1,9})?):(\d{1,6})/(\d{1,6})/(\d{1,6})(?::(\d{1,3}(?:\.\d{1,9})?))?",
    re.ASCII,
)
MOST_SATELLITES = 100_000
MOST_SHELLS = 50


@dataclass(frozen=True, slots=True)
class Walker:
    """A shell of equal circular orbits. `raan_spread_deg` 360 is a Walker delta, 180 a Walker star."""

    planes: int
    per_plane: int
    inclination_deg: float
    altitude_m: float
    phasing: int = 0
    raan_spread_deg: float = 360.0
    first_anomaly_deg: float = 0.0  # of the first satellite of the first plane, from the ascending node

    def __post_init__(self) -> None:
        """Raises ValueError where the numbers make no shell, saying what is allowed."""
        if self.planes < 1 or self.per_plane < 1:
            raise Unfit(f"{self.planes} planes × {self.per_plane} satellites", "at least 1 of each")
        if self.total > MOST_SATELLITES:
            raise Unfit(f"{self.total} satellites", f"at most {MOST_SATELLITES:,}")
        if not 0 <= self.inclination_deg <= 180:
            raise Unfit(f"inclination {self.inclination_deg}°", "0 to 180")
        if not 160e3 <= self.altitude_m <= 36_000e3:
            raise Unfit(f"altitude {self.altitude_m / 1e3:g} km", "160 km to 36,000 km")
        if not 0 <= self.phasing < self.planes:
            raise Unfit(f"phasing {self.phasing}", f"0 to {self.planes - 1} (one less than the planes)")
        if not 0 < self.raan_spread_deg <= 360:
            raise Unfit(f"raan_spread {self.raan_spread_deg}°", "up to 360 (delta), 180 for a star")
        if not 0 <= self.first_anomaly_deg <= 360:
            raise Unfit(f"mean anomaly {self.first_anomaly_deg}°", "0 to 360")

    @property
    def total(self) -> int:
        return self.planes * self.per_plane

    @property
    def closed(self) -> bool:
        """Whether the last plane is a neighbour of the first (delta); in a star they fly against each other."""
        return self.raan_spread_deg == 360.0

    @property
    def text(self) -> str:
        return f"{self.inclination_deg:g}°:{self.total}/{self.planes}/{self.phasing} at {self.altitude_m / 1e3:g} km"

    def altered(self, **changes: float | int | None) -> Walker:
        """This shell with the keys that are not None replaced."""
        return replace(self, **{key: value for key, value in changes.items() if value is not None})  # type: ignore[arg-type]


SHELLS: dict[str, Walker] = {
    # Starlink's first generation, FCC 21-48 (modification of April 2021). Phasing is not public: 17 is how shell 1 is
    # usually written (53.0:1584/72/17), 11 and 1 likewise keep crossing orbits apart.
    "starlink-1": Walker(72, 22, 53.0, 550e3, 17),
    "starlink-2": Walker(72, 22, 53.2, 540e3, 17),
    "starlink-3": Walker(36, 20, 70.0, 570e3, 11),
    "starlink-4": Walker(6, 58, 97.6, 560e3, 1),
    "starlink-5": Walker(4, 43, 97.6, 560e3, 1),
    # OneWeb's first generation as flown: 12 near-polar planes of 49, neighbours half a slot apart.
    "oneweb": Walker(12, 49, 87.9, 1200e3, 6, 180.0),
    # Kuiper, FCC 20-102.
    "kuiper-1": Walker(34, 34, 51.9, 630e3, 1),
    "kuiper-2": Walker(36, 36, 42.0, 610e3, 1),
    "kuiper-3": Walker(28, 28, 33.0, 590e3, 1),
    # Iridium: co-rotating planes 31.6° apart, which leaves 22° at the seam; neighbours half a slot apart.
    "iridium": Walker(6, 11, 86.4, 780e3, 3, 6 * 31.6),
}


def parse(text: str, altitude_m: float) -> Walker:
    """Shell of a text such as `53.0:1584/72/17` (inclination:total/planes/phasing). ValueError says what is wrong."""
    match = _TEXT.fullmatch(text)
    if not match:
        raise Unfit(f"{text!r} is not a shell", "inclination:total/planes/phasing such as '53.0:1584/72/17'")
    total, planes = int(match[2]), int(match[3])
    if planes < 1 or total % planes:
        raise ValueError(f"{text!r}: {total} satellites do not fill {planes} planes equally")
    return Walker(planes, total // planes, float(match[1]), altitude_m, int(match[4]))


def parse_code(text: str) -> tuple[Walker, ...]:
    """Shells of a constellation code such as `D:550:53:1584/72/39+S:780:86.4:66/6/1`: delta or star, altitude in km,
    inclination, satellites/planes/phasing and, at will, the mean anomaly of the first satellite (Internet-Draft
    draft-piraux-space-constellation-code). ValueError says what is wrong."""
    shells = []
    for part in text.split("+")[: MOST_SHELLS + 1]:
        match = _CODE.fullmatch(part)
        if not match:
            expected = "D or S, altitude in km, inclination and satellites/planes/phasing: 'D:550:53:1584/72/39'"
            raise Unfit(f"{part[:60]!r} is not a constellation code", expected)
        kind, altitude, inclination, total, planes, phasing, anomaly = match.groups()
        if not int(planes) or int(total) % int(planes):
            raise Unfit(f"{part[:60]!r}: {total} satellites", f"as many in each of {planes} planes")
        shells.append(
            Walker(
                int(planes), int(total) // int(planes), float(inclination), float(altitude) * 1e3, int(phasing),
                360.0 if kind == "D" else 180.0, float(anomaly or 0),
            )
        )  # fmt: skip
    if len(shells) > MOST_SHELLS or sum(shell.total for shell in shells) > MOST_SATELLITES:
        raise Unfit(
            f"{len(shells)} shells of {sum(shell.total for shell in shells)} satellites",
            f"at most {MOST_SHELLS} shells and {MOST_SATELLITES:,} satellites",
        )
    return tuple(shells)


def mean_motion_rad_min(altitude_m: float, inclination_deg: float) -> float:
    """SGP4's (Kozai) mean motion of a circular orbit whose mean semi-major axis lies `altitude_m` above the equator.

    SGP4 takes J2 out of the mean motion before it derives the axis; this goes the same way backwards.
    """
    axis = 1 + altitude_m / 1e3 / WGS72_RADIUS_KM  # in Earth radii
    brouwer = sqrt(WGS72_MU_KM3_S2 / (axis * WGS72_RADIUS_KM) ** 3) * 60
    d1 = 0.75 * WGS72_J2 * (3 * cos(radians(inclination_deg)) ** 2 - 1)
    kozai = brouwer
    for _ in range(4):
        first = axis * (brouwer / kozai) ** (2 / 3)
        delta = d1 / first**2
        second = first * (1 - delta**2 - delta * (1 / 3 + 134 * delta**2 / 81))
        kozai = brouwer * (1 + d1 / second**2)
    return kozai


def record(
    epoch: Epoch, mean_motion: float, inclination_deg: float, raan_deg: float, anomaly_deg: float, number: int = 0,
    eccentricity: float = 0.0,
) -> object:  # fmt: skip
    """One SGP4 record (WGS72, no drag, perigee at the node). Mean motion in rad/min, as SGP4 takes it (Kozai)."""
    from sgp4.api import WGS72, Satrec

    satellite = Satrec()
    days = epoch.jd - SGP4_DAY_ZERO_JD + epoch.fraction
    satellite.sgp4init(
        WGS72, "i", number, days, 0.0, 0.0, 0.0, eccentricity, 0.0, radians(inclination_deg),
        radians(anomaly_deg % 360.0), mean_motion, radians(raan_deg % 360.0),
    )  # fmt: skip
    return satellite


def constellation(shell: Walker, epoch: Epoch) -> Constellation:
    """The satellites of a shell, named `sat-<plane><slot>` from 1: sat-0312 is the 12th of the 3rd plane."""
    motion = mean_motion_rad_min(shell.altitude_m, shell.inclination_deg)
    width_p, width_s = (max(2, len(str(count))) for count in (shell.planes, shell.per_plane))
    names, records = [], []
    for plane in range(shell.planes):
        raan = plane * shell.raan_spread_deg / shell.planes
        for slot in range(shell.per_plane):
            anomaly = shell.first_anomaly_deg + slot * 360 / shell.per_plane + plane * shell.phasing * 360 / shell.total
            names.append(f"sat-{plane + 1:0{width_p}}{slot + 1:0{width_s}}")
            records.append(record(epoch, motion, shell.inclination_deg, raan, anomaly, len(names)))
    return Constellation(shell.text, tuple(names), tuple(records), epoch)


def constellation_of(shells: Sequence[Walker], epoch: Epoch) -> Constellation:
    """The satellites of several shells, one after the other; of more than one they are named sat-<shell>-0312."""
    parts = [constellation(shell, epoch) for shell in shells]
    if len(parts) == 1:
        return parts[0]
    names = (name.replace("sat-", f"sat-{number}-") for number, part in enumerate(parts, 1) for name in part.names)
    records = tuple(record for part in parts for record in part.records)
    return Constellation(" + ".join(part.label for part in parts), tuple(names), records, epoch)


def coverage_deg(altitude_m: float, min_elevation_deg: float) -> float:
    """Half-angle, seen from the Earth's centre, of the cap in which a satellite stands above the elevation mask."""
    mask = radians(min_elevation_deg)
    axis = WGS72_RADIUS_KM / (WGS72_RADIUS_KM + altitude_m / 1e3)
    return degrees(acos(min(1.0, axis * cos(mask))) - mask) if mask < pi / 2 else 0.0
