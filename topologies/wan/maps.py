"""Wide-area maps: sites and the round trips between them, known ones by name and any other from a CSV file.

Invariant: a map has a measured round trip for both directions of every pair of its sites, all above 0.

`five-regions` are the regions of AWS in which Narwhal, Bullshark and Lemonshark were measured. Its round trips are the
means of pings between virtual machines in these regions on 5 June 2020, published with the framework of Atlas and Tempo
(V. Enes et al., EuroSys 2020 and 2021): github.com/vitorenesduarte/fantoch, `latency_aws/` (files eu-north-1.dat,
us-east-1.dat and 2020_06_05/{ap-northeast-1,ap-southeast-2,us-west-1}.dat; each line is min/mean/max/deviation in ms).
Both directions of a pair agree there to 0.01 ms, and the deviation is below 2 ms everywhere. Measurements
of one's own go into a CSV file.

A CSV file has the site names in its header and a row a site, in milliseconds, as the grid of cloudping.co is laid out:

    from,     paris, tokyo, lima
    paris,        0,   210,  170
    tokyo,      212,     0,
    lima,          ,   190,    0

The cell in the row of A and the column of B is the round trip that A saw to B; half of it is the way from A to B. An
empty cell takes the other direction's. The diagonal, where it is above 0, is the round trip within a site. The first
column may be left out where the rows stand in the order of the header; a `#` begins a comment.

Measurements may also stand in a list, one a line, below a header that names its columns: `from`, `to`, `rtt` in ms and,
at will, `deviation` in ms. Several of one direction are one of their mean, and of all their deviation:

    from,  to,    rtt,   deviation
    paris, tokyo, 210.3, 1.2
    tokyo, paris, 212.0, 0.8
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf, isfinite, sqrt
from pathlib import Path

from emulator.model.errors import DataError, Unfit
from emulator.model.inputs import read_text

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
MOST_SITES = 200


@dataclass(frozen=True, slots=True)
class WanMap:
    """Sites by name, and `rtt_ms[a][b]`: the round trip that a saw to b. On the diagonal 0: not known."""

    sites: tuple[str, ...]
    rtt_ms: tuple[tuple[float, ...], ...]
    deviation_ms: tuple[tuple[float, ...], ...] = ()  # standard deviation of the round trips, where it was measured

    def part(self, sites: Sequence[str]) -> WanMap:
        """The map of some sites, in the order given. ValueError: one that is not there, or twice."""
        for at, site in enumerate(sites):
            if site not in self.sites:
                raise Unfit(f"site {site!r}", f"sites of {', '.join(self.sites)}")
            if site in sites[:at]:
                raise Unfit(f"site {site!r} twice", "each site once")
        places = [self.sites.index(site) for site in sites]
        rtt_ms, deviation_ms = (
            tuple(tuple(table[a][b] for b in places) for a in places) if table else ()
            for table in (self.rtt_ms, self.deviation_ms)
        )
        return WanMap(tuple(sites), rtt_ms, deviation_ms)

    def one_way_s(self, a: int, b: int) -> float:
        """The way from site a to site b: half of the round trip that a saw."""
        return self.rtt_ms[a][b] / 2e3

    def spread_s(self, a: int, b: int) -> float:
        """Standard deviation of the way from site a to site b, 0 where none was measured: both ways of a round trip
        spread alike and apart from each other, so each by 1/√2 of it."""
        return self.deviation_ms[a][b] / (1e3 * sqrt(2)) if self.deviation_ms else 0.0


def _mirrored(sites: tuple[str, ...], pairs_ms: Sequence[float]) -> WanMap:
    """A map that is the same in both directions, from the round trips of its pairs in order."""
    rtt_ms = [[0.0] * len(sites) for _ in sites]
    for (a, b), value in zip(combinations(range(len(sites)), 2), pairs_ms, strict=True):
        rtt_ms[a][b] = rtt_ms[b][a] = value
    return WanMap(sites, tuple(map(tuple, rtt_ms)))


MAPS = {
    "five-regions": _mirrored(
        ("us-east-1", "eu-north-1", "ap-southeast-2", "us-west-1", "ap-northeast-1"),
        (
            105.05, 198.03, 59.91, 152.42,  # us-east-1 (Virginia) to the others
            294.78, 162.93, 265.30,  # eu-north-1 (Stockholm)
            137.11, 104.08,  # ap-southeast-2 (Sydney)
            111.70,  # us-west-1 (California) and ap-northeast-1 (Tokyo)
        ),
    ),
}  # fmt: skip


def from_file(path: str | Path) -> WanMap:
    """The map in a CSV file. DataError: it cannot be read, or is not such a matrix."""
    path = Path(path)
    try:
        text = read_text(path, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file (byte {error.start}); expected a CSV matrix of round trips") from None
    except OSError as error:
        raise DataError(f"{path}: the matrix cannot be read: {error.strerror}") from None
    return csv(text, str(path))


def csv(text: str, where: str) -> WanMap:
    """The map of a CSV text; `where` names it in errors."""
    rows = [
        (number, [cell.strip().strip('"') for cell in line.split(",")])
        for number, line in enumerate((line.split("#")[0] for line in text.splitlines()), 1)
        if line.strip(" \t,")
    ]
    if len(rows) < 2 or (len(rows) < 3 and "rtt" not in [cell.lower() for cell in rows[0][1]]):
        raise DataError(
            f"{where}: {len(rows)} rows; expected a header of site names and a row a site, two sites at least, "
            "or a list below the header from,to,rtt"
        )
    (at, header), *body = rows
    if {"from", "to", "rtt"} <= {cell.lower() for cell in header}:
        return _listed([cell.lower() for cell in header], body, f"{where}:{at}", where)
    labelled = len(header) == len(body) + 1
    sites = tuple(header[1:] if labelled else header)
    _check_sites(sites, len(body), f"{where}:{at}")
    by_site: dict[str, list[float | None]] = {}
    for place, (number, cells) in enumerate(body):
        site = cells[0] if labelled else sites[place]
        if site not in sites or site in by_site:
            found = f"a second row of {site!r}" if site in by_site else f"a row of {site!r}"
            raise DataError(f"{where}:{number}: {found}; expected one row for each of {', '.join(sites)}")
        values = cells[1:] if labelled else cells
        if len(values) != len(sites):
            raise DataError(f"{where}:{number}: {len(values)} cells; expected {len(sites)}, one a site")
        by_site[site] = [
            _cell(cell, f"{where}:{number}: {site} to {to}") for cell, to in zip(values, sites, strict=True)
        ]
    return _completed(sites, [by_site[site] for site in sites], where)


def _listed(header: list[str], body: list[tuple[int, list[str]]], at: str, where: str) -> WanMap:
    """The map of a list of measurements, its sites in the order in which they first stand there."""
    known = ("from", "to", "rtt", "deviation")
    if unknown := [name for name in header if name not in known or header.count(name) > 1]:
        raise DataError(f"{at}: column {unknown[0]!r}; expected each of {', '.join(known)} once")
    measured: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for number, cells in body:
        if len(cells) != len(header):
            raise DataError(f"{where}:{number}: {len(cells)} cells; expected {len(header)}, as in the header")
        row = dict(zip(header, cells, strict=True))
        pair = row["from"], row["to"]
        values = [_cell(row.get(name, ""), f"{where}:{number}: {name}") for name in ("rtt", "deviation")]
        if not values[0]:
            raise DataError(f"{where}:{number}: found {row['rtt']!r}; expected a round trip above 0 ms")
        measured.setdefault(pair, []).append((values[0], values[1] or 0.0))
        if len(measured) > MOST_SITES**2:
            raise DataError(f"{where}:{number}: more than {MOST_SITES**2:,} pairs; expected {MOST_SITES} sites at most")
    sites = tuple(dict.fromkeys(site for pair in measured for site in pair))
    _check_sites(sites, len(sites), at)
    cells_ms: list[list[float | None]] = [[None] * len(sites) for _ in sites]
    spread_ms: list[list[float | None]] = [[None] * len(sites) for _ in sites]
    place = {site: number for number, site in enumerate(sites)}
    for (a, b), found in measured.items():
        mean_ms = sum(rtt_ms for rtt_ms, _ in found) / len(found)
        variance = sum((rtt_ms - mean_ms) ** 2 + deviation_ms**2 for rtt_ms, deviation_ms in found) / len(found)
        cells_ms[place[a]][place[b]], spread_ms[place[a]][place[b]] = mean_ms, sqrt(variance)
    deviation_ms = [
        [spread_ms[b][a] or 0.0 if (own := spread_ms[a][b]) is None else own for b in place.values()]
        for a in place.values()
    ]
    return replace(_completed(sites, cells_ms, where), deviation_ms=tuple(map(tuple, deviation_ms)))


def _check_sites(sites: tuple[str, ...], rows: int, where: str) -> None:
    for at, site in enumerate(sites):
        if not _NAME.fullmatch(site):
            raise DataError(f"{where}: site {site!r}; expected a name of letters, digits, '.', '_' and '-'")
        if site in sites[:at]:
            raise DataError(f"{where}: site {site!r} twice; expected each site once")
    if rows != len(sites):
        raise DataError(f"{where}: {rows} rows for {len(sites)} sites; expected a row a site")
    if len(sites) > MOST_SITES:
        raise DataError(f"{where}: {len(sites)} sites; expected {MOST_SITES} at most")


def _cell(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -inf
    if not isfinite(value) or value < 0:
        raise DataError(f"{where}: found {text!r}; expected a round trip in milliseconds, 0 or more")
    return value


def _completed(sites: tuple[str, ...], cells: list[list[float | None]], where: str) -> WanMap:
    """Each direction from the other, where one was left empty."""
    rtt_ms = [[0.0] * len(sites) for _ in sites]
    for a in range(len(sites)):
        rtt_ms[a][a] = cells[a][a] or 0.0
        for b in range(len(sites)):
            value = cells[a][b] if cells[a][b] is not None else cells[b][a]
            if a != b:
                if not value:
                    found = "no round trip" if value is None else "a round trip of 0 ms"
                    raise DataError(f"{where}: {found} between {sites[a]} and {sites[b]}; expected one above 0")
                rtt_ms[a][b] = value
    return WanMap(sites, tuple(map(tuple, rtt_ms)))
