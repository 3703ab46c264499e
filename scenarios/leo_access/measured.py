"""What a data folder holds about a site: the files that are understood, and which of them speak of that site.

Invariant: nothing is taken silently: what is left out (another site's statistics, files of other kinds) is in `notes`.
A trace tells of the slots wherever it was taken, of round trips only at its own site.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import cos, hypot, radians
from pathlib import Path

from emulator.model.errors import DataError
from scenarios.leo_access import importers
from scenarios.leo_access.importers import Box, LossCurve, Serving, Trace

KNOWN_SITES = {  # of published data, by the words of their files
    "osnabrueck": (52.28, 8.02), "osnabrück": (52.28, 8.02), "enschede": (52.24, 6.85),
    "no-isl-ping-gw-seattle-230911": (48.46, -123.31), "victoria": (48.46, -123.31), "louvain": (50.67, 4.61),
}  # fmt: skip
NEAR_KM = 100.0  # data from so far away still speak of a site
KM_A_DEGREE = 111.2


@dataclass
class Measured:
    """Measurements for one site."""

    boxes: list[Box] = field(default_factory=list)
    loss: LossCurve | None = None
    traces: list[Trace] = field(default_factory=list)  # of this site
    slots: list[Trace] = field(default_factory=list)  # of any site
    serving: list[Serving] = field(default_factory=list)
    elements: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    def box(self, metric: str, group: str = "all") -> Box | None:
        return next((box for box in self.boxes if (box.metric, box.group) == (metric, group)), None)

    @property
    def satellites(self) -> Path | None:
        """Element sets of the constellation: a file named after it rather than another."""
        return min(self.elements, key=lambda path: ("starlink" not in path.name.lower(), path.name), default=None)

    def hours(self, lon_deg: float) -> list[int]:
        """Local hours (by the longitude) in which the site's traces were taken; all of them where there are none."""
        hours: set[int] = set()
        for trace in self.traces:
            for t_s in (float(trace.t_s[0]), float(trace.t_s[len(trace.t_s) // 2]), float(trace.t_s[-1])):
                hours.add((datetime.fromtimestamp(t_s, UTC).hour + round(lon_deg / 15)) % 24)
        return sorted(hours) or list(range(24))

    def gap_s(self) -> float | None:
        """One way from the end of the bent pipe to the server: half of the difference of the median round trips."""
        near, far = self.box("rtt_bent_pipe"), self.box("rtt_end_to_end")
        return max(0.0, (far.median - near.median) / 2e3) if near and far else None


def read_folder(folder: Path, lat_deg: float, lon_deg: float) -> Measured:
    """All that a folder, and the folders in it, tell about a site. DataError where that is nothing."""
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder; expected one with measurements (docs/leo-access.md says of what kind)"
        )
    found = Measured()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        _take(found, path, folder, lat_deg, lon_deg)
    if found.others:
        found.notes.append(f"files of kinds that are not known here: {', '.join(map(str, found.others))}")
    if not (found.boxes or found.loss or found.slots or found.serving):
        notes = "".join(f"\n  {note}" for note in found.notes)
        raise DataError(
            f"{folder}: nothing about {lat_deg:g}, {lon_deg:g}; expected box statistics, pings, serving{notes}"
        )
    return found


def _take(found: Measured, path: Path, folder: Path, lat_deg: float, lon_deg: float) -> None:
    kind, name = importers.kind(path), path.relative_to(folder)
    match kind:
        case "boxes":
            boxes = importers.boxes(path)
            for site in dict.fromkeys(box.site for box in boxes):
                if _is_here(site, lat_deg, lon_deg):
                    found.boxes += [box for box in boxes if box.site == site]
                else:
                    found.notes.append(f"{name}: statistics of {site}, another site")
        case "loss":
            curve = importers.loss_curve(path)
            if _is_here(curve.site, lat_deg, lon_deg):
                found.loss = curve
            else:
                found.notes.append(f"{name}: losses at {curve.site}, another site")
        case "trace" | "ping":
            trace = importers.mmsys_trace(path) if kind == "trace" else importers.ping_trace(path)
            if not len(trace.t_s):
                found.notes.append(f"{name}: no pings in it")
                return
            found.slots.append(trace)
            if _is_here(path.name, lat_deg, lon_deg):
                found.traces.append(trace)
            else:
                found.notes.append(f"{name}: pings at another site, used for the signature of slots only")
        case "serving":
            found.serving.append(importers.serving(path))
        case "elements":
            found.elements.append(path)
        case _:
            found.others.append(name)


def _is_here(words: str, lat_deg: float, lon_deg: float) -> bool:
    """Whether a site that is named in `words` is the one asked about; one without a known name is taken to be."""
    for word, (known_lat, known_lon) in KNOWN_SITES.items():
        if word in words.lower():
            east = (lon_deg - known_lon + 180) % 360 - 180
            return hypot(lat_deg - known_lat, east * cos(radians(lat_deg))) * KM_A_DEGREE <= NEAR_KM
    return True
