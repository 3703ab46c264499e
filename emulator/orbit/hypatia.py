"""State folders of Hypatia (satgenpy): `tles.txt`, `isls.txt` and `ground_stations.txt`.

Invariant: satellites are numbered in the order of tles.txt, from 0, and the links of isls.txt join these numbers; each
satellite has at most four. What does not fit is a DataError with file and line. Source of the formats: satgenpy's
README (github.com/snkas/hypatia). Forwarding state and interfaces are not read: routes are computed here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emulator.model.errors import DataError
from emulator.model.inputs import read_text
from emulator.orbit import tle
from emulator.orbit.element_sets import BadSet
from emulator.orbit.elements import Constellation, Epoch
from emulator.orbit.grid import Grid

TLES, ISLS, STATIONS = "tles.txt", "isls.txt", "ground_stations.txt"
MOST_LINKS = 4  # of a satellite
_WORD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Place:
    """A ground station: a name for its node, and where it stands."""

    name: str
    lat_deg: float
    lon_deg: float
    altitude_m: float


@dataclass(frozen=True, slots=True)
class State:
    """What a folder holds."""

    constellation: Constellation
    grid: Grid
    stations: tuple[Place, ...]


def is_state(path: Path) -> bool:
    """Whether a path is such a folder."""
    return (path / TLES).is_file()


def read(folder: Path, epoch: Epoch | None = None) -> State:
    """The satellites, links and ground stations of a folder; a file that is not there but tles.txt counts as empty."""
    constellation = _satellites(folder, epoch)
    return State(constellation, _links(folder / ISLS, len(constellation)), _stations(folder / STATIONS))


def _lines(file: Path) -> list[tuple[int, str]]:
    """The lines that are not empty, by number."""
    try:
        text = read_text(file)
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: byte {error.start} is not UTF-8; expected a text file") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); expected a file of Hypatia's") from None
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _satellites(folder: Path, epoch: Epoch | None) -> Constellation:
    file = folder / TLES
    lines = _lines(file)
    first = re.fullmatch(r"(\d{1,6})\s+(\d{1,6})", lines[0][1], re.ASCII) if lines else None
    if not first:
        raise DataError(f"{file}:1: expected the number of orbits and of satellites in each, such as '34 34'")
    names: dict[str, int] = {}
    records = []
    text = "\n" + read_text(file).split("\n", 1)[-1]  # the lines keep their numbers
    for item in tle.parse(text):
        if isinstance(item, BadSet):
            raise DataError(f"{file}:{item.line}  {item.reason}")
        if item.identity in names:
            raise DataError(f"{file}:{item.line}  catalogue number {item.identity} again; expected each once")
        names[item.identity] = item.line
        records.append(item.record)
    expected = int(first[1]) * int(first[2])
    if len(records) != expected or not records:
        raise DataError(f"{file}: {len(records)} satellites; expected {first[1]} × {first[2]} by its first line")
    latest = epoch or max(Epoch.of_julian(record.jdsatepoch, record.jdsatepochF) for record in records)
    return Constellation(folder.name, tuple(f"sat-{name}" for name in names), tuple(records), latest)


def _links(file: Path, satellites: int) -> Grid:
    rows: list[tuple[int, int, int, int]] = []
    used = np.zeros(satellites, dtype=np.int32)
    seen: set[tuple[int, int]] = set()
    for number, line in _lines(file):
        match = re.fullmatch(r"(\d{1,9})\s+(\d{1,9})", line, re.ASCII)
        if not match or max(int(match[1]), int(match[2])) >= satellites:
            raise DataError(f"{file}:{number}: {line[:40]!r}; expected two satellites, 0 to {satellites - 1}")
        a, b = sorted((int(match[1]), int(match[2])))
        if a == b or (a, b) in seen:
            found = "a satellite linked to itself" if a == b else f"the link {a} {b} again"
            raise DataError(f"{file}:{number}: {found}; expected each pair once")
        for end in (a, b):
            if used[end] == MOST_LINKS:
                raise DataError(f"{file}:{number}: a fifth link of satellite {end}; expected {MOST_LINKS} at most")
        seen.add((a, b))
        rows.append((a, b, int(used[a]), int(used[b])))
        used[[a, b]] += 1
    return Grid.of([np.array(rows, dtype=np.int32)] if rows else [])


def _stations(file: Path) -> tuple[Place, ...]:
    found: dict[str, Place] = {}
    for number, line in _lines(file):
        cells = line.split(",")
        if len(cells) not in (5, 8):
            raise DataError(
                f"{file}:{number}: {len(cells)} cells; expected id,name,latitude,longitude,elevation[,x,y,z]"
            )
        lat, lon, altitude = (_number(cell, f"{file}:{number}") for cell in cells[2:5])
        if not -90 <= lat <= 90 or not -180 <= lon <= 360 or not -1e3 <= altitude <= 1e5:
            raise DataError(
                f"{file}:{number}: {','.join(cells[2:5])}; expected a latitude, a longitude and a height in m"
            )
        plain = _WORD.sub("-", cells[1].lower()).strip("-")[:30] or "station"
        name = plain if plain not in found else f"{plain}-{number}"
        if name in found:
            raise DataError(f"{file}:{number}: station {name!r} twice; expected names that differ")
        found[name] = Place(name, lat, lon, max(altitude, 0.0))
    return tuple(found.values())


def _number(text: str, where: str) -> float:
    if not re.fullmatch(r"\s*[+-]?\d{1,9}(\.\d{0,20})?\s*", text, re.ASCII):
        raise DataError(f"{where}: {text[:30]!r}; expected a number")
    return float(text)
