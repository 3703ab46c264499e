"""Reads what others measured over Starlink: box statistics, loss curves, ping traces, serving satellites.

Invariant: pure: a file in, plain values out. Whatever does not fit is a DataError with file and line; a last line that
was cut short while it was written (it has no line end) is left out.

Formats: statistics of WetLinks (Laniewski et al., TMA 2024) as CSV; ping traces of mmsys24 (Zhao et al., MMSys 2024:
time, sequence, round trip in ms, tabs between, -1 for lost); files of LEOViz (text of `ping -D`, CSV of serving
satellites); two- or three-line element sets are read by `emulator.orbit.element_files`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite, nan
from pathlib import Path

import numpy as np

from emulator.model.errors import DataError
from emulator.model.inputs import read_bytes
from emulator.model.network import Floats

BOX_COLUMNS = (
    "figure", "metric", "unit", "site", "group", "n", "whisker_low", "q1", "median", "q3", "whisker_high",
)  # fmt: skip
LOSS_COLUMNS = ("figure", "site", "packet_loss_pct", "ecdf")
SERVING_COLUMNS = ("Timestamp", "Elevation", "Azimuth", "Connected_Satellite")
_TRACE = re.compile(r"\d{9,11}(\.\d+)?\t\d+\t-?\d+(\.\d+)?")
_ECHO = re.compile(r"\[(\d+\.\d+)\] .*icmp_seq=(\d+) .*time=(\d+(?:\.\d+)?) ms( \(DUP!\))?")
_NO_ECHO = re.compile(r"\[\d+\.\d+\] (no answer yet for icmp_seq=\d+|From .*)")
_PING_WORDS = re.compile(r"(PING |--- |rtt |\d+ packets transmitted|pipe |ping: |$)")
_ELEMENTS = re.compile(r"1 [\dA-Z]{5}[UCS ]")


@dataclass(frozen=True, slots=True)
class Box:
    """A box of a box plot. `group`: "all", "hour=05", "rain_mm=0-1"; whiskers reach to the last value within 1.5
    interquartile ranges."""

    figure: str
    metric: str  # download_throughput, upload_throughput (Mbit/s), rtt_end_to_end, rtt_bent_pipe (ms)
    site: str
    group: str
    whisker_low: float
    q1: float
    median: float
    q3: float
    whisker_high: float


@dataclass(frozen=True, slots=True)
class LossCurve:
    """Distribution of packet loss over those runs of pings that lost any."""

    site: str
    loss: Floats  # shares, ascending
    share: Floats  # of the runs that lost at most that


@dataclass(frozen=True, slots=True)
class Trace:
    """Pings in the order of sending; `rtt_s` is NaN where one was lost."""

    path: Path
    t_s: Floats  # UTC
    rtt_s: Floats


@dataclass(frozen=True, slots=True)
class Serving:
    """Which satellite served, second by second."""

    path: Path
    t_s: Floats  # UTC
    satellite: tuple[str, ...]
    elevation_deg: Floats
    azimuth_deg: Floats


def boxes(path: Path) -> list[Box]:
    """Box statistics. DataError with file and line for what does not fit."""
    found = []
    for number, row in _rows(path, BOX_COLUMNS):
        q1, median, q3 = (_number(path, number, name, row[name]) for name in ("q1", "median", "q3"))
        low, high = (_number(path, number, name, row[name]) for name in ("whisker_low", "whisker_high"))
        if not low <= q1 <= median <= q3 <= high:
            raise DataError(
                f"{path}:{number}: a box of {low:g} {q1:g} {median:g} {q3:g} {high:g}; expected them to rise"
            )
        found.append(Box(row["figure"], row["metric"], row["site"], row["group"], low, q1, median, q3, high))
    return found


def loss_curve(path: Path) -> LossCurve:
    """A distribution of packet loss in percent. DataError with file and line for what does not fit."""
    site = ""
    points: list[tuple[float, float]] = []
    for number, row in _rows(path, LOSS_COLUMNS):
        site = row["site"]
        loss, share = (_number(path, number, name, row[name]) for name in ("packet_loss_pct", "ecdf"))
        if not (0 <= loss <= 100 and -1e-9 <= share <= 1 and (not points or (loss, share) >= points[-1])):
            raise DataError(f"{path}:{number}: {loss:g} %, share {share:g}; expected rising values of 0-100 % and 0-1")
        points.append((loss, share))
    loss_pct, shares = np.array(points).T if points else (np.zeros(0), np.zeros(0))
    return LossCurve(site, loss_pct / 100, np.maximum(shares, 0.0))


def mmsys_trace(path: Path) -> Trace:
    """Lines of time, sequence number and round trip in ms with tabs between. DataError with file and line."""
    t_s, rtt_ms = [], []
    for number, line in _lines(path):
        if not _TRACE.fullmatch(line):
            raise DataError(
                f"{path}:{number}: {line[:60]!r}; expected time, sequence and round trip in ms, tabs between"
            )
        time, _, rtt = line.split("\t")
        value = float(rtt)
        if value <= 0 and value != -1:
            raise DataError(f"{path}:{number}: a round trip of {rtt} ms; expected more than 0, or -1 for a lost one")
        t_s.append(float(time))
        rtt_ms.append(nan if value == -1 else value)
    return _trace(path, t_s, rtt_ms)


def ping_trace(path: Path) -> Trace:
    """Text of `ping -D` (stamps are those of the answers). Sequence numbers that never come back were lost."""
    echoes: dict[int, tuple[float, float]] = {}
    last = 0
    for number, line in _lines(path):
        if echo := _ECHO.fullmatch(line):
            stamp_s, sequence, rtt = float(echo[1]), int(echo[2]), float(echo[3])
            sequence += (last - sequence + 32768) // 65536 * 65536  # ping counts to 65,535 and begins again
            last = max(last, sequence)
            if not echo[4]:
                echoes.setdefault(sequence, (stamp_s - rtt / 1e3, rtt))
        elif not _NO_ECHO.fullmatch(line) and not _PING_WORDS.match(line):
            raise DataError(f"{path}:{number}: {line[:60]!r}; expected a line of `ping -D`")
    if not echoes:
        return _trace(path, [], [])
    sequences = np.arange(min(echoes), max(echoes) + 1)
    known = np.array(sorted(echoes))
    sent_s, answered_ms = np.array([echoes[sequence] for sequence in known.tolist()]).T
    rtt_ms = np.full(len(sequences), nan)
    rtt_ms[known - sequences[0]] = answered_ms
    return _trace(path, np.interp(sequences, known, sent_s), rtt_ms)


def serving(path: Path) -> Serving:
    """LEOViz's CSV of serving satellites. DataError with file and line for what does not fit."""
    t_s, names, elevation, azimuth = [], [], [], []
    for number, row in _rows(path, SERVING_COLUMNS):
        try:
            stamp = datetime.fromisoformat(row["Timestamp"])
        except ValueError:
            raise DataError(
                f"{path}:{number}: {row['Timestamp']!r}; expected a time as 2025-04-15 01:31:29+00:00"
            ) from None
        t_s.append((stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp())
        names.append(row["Connected_Satellite"].strip())
        elevation.append(_number(path, number, "Elevation", row["Elevation"]))
        azimuth.append(_number(path, number, "Azimuth", row["Azimuth"]))
    order = np.argsort(t_s, kind="stable")
    return Serving(
        path, np.array(t_s)[order], tuple(names[place] for place in order), np.array(elevation)[order],
        np.array(azimuth)[order],
    )  # fmt: skip


def kind(path: Path) -> str:
    """What a file holds, by its first lines: "boxes", "loss", "trace", "ping", "serving", "elements"; "" for others."""
    try:
        with path.open(encoding="utf-8") as file:
            head = [file.readline(400).rstrip("\r\n") for _ in range(3)]
    except (OSError, UnicodeDecodeError):
        return ""
    columns = set(head[0].split(","))
    for name, expected in (("boxes", BOX_COLUMNS), ("loss", LOSS_COLUMNS), ("serving", SERVING_COLUMNS)):
        if columns >= set(expected):
            return name
    tests: dict[str, Callable[[str], object]] = {
        "trace": _TRACE.fullmatch, "ping": _ECHO.fullmatch, "elements": _ELEMENTS.match,
    }  # fmt: skip
    return next((name for name, test in tests.items() if any(test(line) for line in head)), "")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends, but for a last one that was cut short."""
    try:
        text = read_bytes(path).decode("utf-8")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is no UTF-8; expected text") from None
    lines = text.split("\n")
    yield from ((number, line.rstrip("\r")) for number, line in enumerate(lines[:-1], 1))


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    lines = _lines(path)
    header = next(csv.reader([next(lines, (1, ""))[1]]), [])
    if missing := [name for name in columns if name not in header]:
        raise DataError(f"{path}:1: no column {', '.join(missing)}; expected {', '.join(columns)}")
    for number, line in lines:
        cells = next(csv.reader([line]), [])
        if len(cells) != len(header):
            raise DataError(f"{path}:{number}: {len(cells)} columns; expected {len(header)}")
        yield number, dict(zip(header, cells, strict=True))


def _number(path: Path, line: int, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not isfinite(value):
        raise DataError(f"{path}:{line}: {name} is {text!r}; expected a number")
    return value


def _trace(path: Path, t_s: list[float] | Floats, rtt_ms: list[float] | Floats) -> Trace:
    order = np.argsort(t_s, kind="stable")
    return Trace(path, np.asarray(t_s, dtype=float)[order], np.asarray(rtt_ms, dtype=float)[order] / 1e3)
