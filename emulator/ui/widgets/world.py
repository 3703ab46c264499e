"""The world map: coastlines, satellites, ground stations and the ways that traffic takes, in braille.

Plate carrée (equirectangular): longitude to the right, latitude upwards, both to scale. Invariant: ways follow great
circles and leave the map at one side where they come in at the other, whichever way they cross 180°.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import acos, atan2, ceil, cos, degrees, floor, hypot, isfinite, radians, sin
from operator import add

from emulator.observe.snapshot import Place, WorldMap
from emulator.report.text import ASCII, UNICODE, Signs
from emulator.ui.widgets import land
from emulator.ui.widgets.canvas import Canvas
from emulator.ui.widgets.lines import DIM, Lines, clean

COAST, SATELLITE, PATH, STATION, NAME = range(1, 6)  # layers, the higher ones are seen
STYLES = ("bright_black", "cyan", "bold yellow", "bold green", "green")
ASCII_DOTS = ("", "o", "*", "", "")
STATION_SIGNS = {True: "@", False: "◆"}  # by whether only ASCII can be written
CROWD = 4  # at least so many characters for each satellite, else only some of them are drawn
LEGEND_FROM = 12  # rows
NARROWEST, WIDEST = 3.0, 5.0  # columns for each row; 4 is true to scale
ARC_DEG = 5.0  # straight pieces that a great circle is drawn in


def world(world_map: WorldMap, width: int, height: int, signs: Signs = UNICODE) -> Lines:
    """The map, at most `width` × `height` characters, with a legend below where there is room for one."""
    if width < 1 or height < 1:
        return Lines(max(0, width))
    legend = height >= LEGEND_FROM
    columns, rows = size(width, height - legend)
    plain = signs == ASCII
    canvas = coast(columns, rows).copy()
    satellites = world_map.get("satellites", [])
    every = max(1, ceil(len(satellites) // 2 * CROWD / (columns * rows)))
    swarm(canvas, satellites[:: 2 * every], satellites[1 :: 2 * every])
    for path in world_map.get("paths", []):
        for begin, end in pairwise(path):
            great_circle(canvas, begin, end)
    stations(canvas, world_map.get("places", []), STATION_SIGNS[plain])
    picture = Lines(columns, canvas.lines(STYLES, ASCII_DOTS if plain else None))
    if legend:
        words = [(f"{STATION_SIGNS[plain]} station  ", STYLES[STATION - 1])] if world_map.get("places") else []
        if satellites:
            crowd = f" (one in {every} shown)" if every > 1 else ""
            words.append((f"{'o' if plain else '⠂'} satellite{crowd}  ", STYLES[SATELLITE - 1]))
        if world_map.get("paths"):
            words.append((f"{'*' if plain else '⠒⠒'} way of traffic", STYLES[PATH - 1]))
        picture.add(*words or [("", DIM)])
    return picture


def size(width: int, height: int) -> tuple[int, int]:
    """Columns and rows of the map within the room there is: near enough to scale that continents look like theirs."""
    columns = max(1, min(width, floor(height * WIDEST)))
    return columns, max(1, min(height, ceil(columns / NARROWEST)))


@lru_cache(maxsize=8)
def coast(width: int, height: int) -> Canvas:
    """The coastlines alone. To be copied."""
    canvas = Canvas(width, height)
    cells = land.mask()
    column_of = [int((x + 0.5) / canvas.columns * land.COLUMNS) for x in range(canvas.columns)]
    dots = []
    for y in range(canvas.rows):
        first = int((y + 0.5) / canvas.rows * land.ROWS) * land.COLUMNS
        dots.append([cells[first + column] for column in column_of])
    found = []
    for y, here in enumerate(dots):
        above, below = dots[max(0, y - 1)], dots[min(canvas.rows - 1, y + 1)]
        for x, dry in enumerate(here):
            if dry and not (above[x] and below[x] and here[x - 1] and here[(x + 1) % canvas.columns]):
                found.append((x, y))
    canvas.dots(found, COAST)
    return canvas


def dot(canvas: Canvas, lat_deg: float, lon_deg: float) -> tuple[int, int]:
    """The dot of a place, wherever it is on the Earth."""
    x = int((lon_deg + 180.0) % 360.0 / 360.0 * canvas.columns) % canvas.columns
    return x, min(canvas.rows - 1, max(0, int((90.0 - lat_deg) / 180.0 * canvas.rows)))


def swarm(canvas: Canvas, lat_deg: Sequence[int], lon_deg: Sequence[int]) -> None:
    """A dot for each satellite, at whole degrees."""
    rows, columns = degrees_of(canvas.width, canvas.height)
    try:
        canvas.numbered(map(add, map(rows.__getitem__, lat_deg), map(columns.__getitem__, lon_deg)), SATELLITE)
    except KeyError:  # not whole, or more than a turn
        places = zip(lat_deg, lon_deg, strict=False)
        canvas.dots([dot(canvas, lat, lon) for lat, lon in places if isfinite(lat) and isfinite(lon)], SATELLITE)


@lru_cache(maxsize=8)
def degrees_of(width: int, height: int) -> tuple[dict[int, int], dict[int, int]]:
    """What latitudes and longitudes in whole degrees contribute to a dot's number."""
    canvas = Canvas(width, height)
    rows = {lat: canvas.of_row(dot(canvas, lat, 0)[1]) for lat in range(-90, 91)}
    return rows, {lon: canvas.of_column(dot(canvas, 0, lon)[0]) for lon in range(-180, 181)}


def great_circle(canvas: Canvas, begin: Sequence[float], end: Sequence[float]) -> None:
    """Draw the shortest way between two places (latitude, longitude)."""
    if not all(map(isfinite, (*begin, *end))):
        return
    piece: list[tuple[int, int]] = []
    half = canvas.columns / 2
    for lat, lon in along(begin, end):
        x, y = dot(canvas, lat, lon)
        if piece and abs(x - piece[-1][0]) > half:
            shift = canvas.columns if x < piece[-1][0] else -canvas.columns
            canvas.lines_between([*piece, (x + shift, y)], PATH, alone=True)
            piece = [(piece[-1][0] - shift, piece[-1][1])]
        piece.append((x, y))
    canvas.lines_between(piece, PATH, alone=True)


def along(begin: Sequence[float], end: Sequence[float]) -> list[tuple[float, float]]:
    """Places on the great circle between two, every ARC_DEG or so; the way between antipodes is over the pole."""
    here, there = _unit(*begin), _unit(*end)
    angle = acos(max(-1.0, min(1.0, here[0] * there[0] + here[1] * there[1] + here[2] * there[2])))
    if sin(angle) < 1e-6:
        over_the_pole = [(90.0, begin[1]), (90.0, end[1])] if angle > 1 else []
        return [(begin[0], begin[1]), *over_the_pole, (end[0], end[1])]
    pieces = max(1, ceil(degrees(angle) / ARC_DEG))
    found = []
    for piece in range(pieces + 1):
        share0, share1 = sin((1 - piece / pieces) * angle), sin(piece / pieces * angle)
        x, y, z = (share0 * a + share1 * b for a, b in zip(here, there, strict=True))
        found.append((degrees(atan2(z, hypot(x, y))), degrees(atan2(y, x))))
    return found


def _unit(lat_deg: float, lon_deg: float) -> tuple[float, float, float]:
    """The place as a vector from the centre of the Earth, of length 1."""
    lat, lon = radians(lat_deg), radians(lon_deg)
    return cos(lat) * cos(lon), cos(lat) * sin(lon), sin(lat)


def stations(canvas: Canvas, places: Iterable[Place], sign: str) -> None:
    """Mark the places, and name those whose names fit beside, above or below them without covering another."""
    marks = []
    for place in places:
        lat, lon = place.get("lat_deg", 0.0), place.get("lon_deg", 0.0)
        if isfinite(lat) and isfinite(lon):
            x, y = dot(canvas, lat, lon)
            marks.append((x // 2, y // 4, clean(place.get("node", ""))))
    for column, row, _ in marks:
        canvas.write(column, row, sign, STATION)
    prefix = _common([name for _, _, name in marks])
    for column, row, full in marks:
        name = full[prefix:]
        if not name or not name.isascii():
            continue
        length = len(name)
        middle = column - length // 2
        for at, line in ((column + 1, row), (column - length, row), (middle, row - 1), (middle, row + 1)):
            if canvas.empty(at, line, length):
                canvas.write(at, line, name, NAME)
                break


def _common(names: Sequence[str]) -> int:
    """Length of the beginning up to "-" that all names have ("gs-"), which the map need not repeat."""
    beginnings = {name.partition("-")[0] for name in names}
    return len(beginnings.pop()) + 1 if len(beginnings) == 1 and len(names) > 1 and "-" in names[0] else 0
