"""Spans that are shaded behind plots over time: faults from begin to end, and handovers.

Invariant: everything comes from the events of the run; a fault that was not undone lasts until the run ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from emulator.model.verbs import VALUE_NAMES, VALUES, VERBS, Value
from emulator.report import text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from emulator.record.load import Run

HANDOVER = "#7a5fb0"
MOST_NAMED = 8  # faults whose names stand in the plot
MOST_LINES = 60  # handovers with a line; more would be a grey wall
MOST_SPANS = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """Something done to the network. An `end_s` equal to `start_s` is a moment."""

    start_s: float
    end_s: float
    verb: str  # as in the table of verbs
    what: str  # "v3", "gs-tokyo:up", "a | b"

    @property
    def label(self) -> str:
        return f"{self.verb} {self.what}".rstrip()


@dataclass(slots=True)
class _Open:
    start_s: float
    verb: str
    targets: tuple[str, ...]
    what: str
    keys: frozenset[str]  # of "set": which values


def faults(actions: Iterable[tuple[float, Mapping[str, Any]]], until_s: float) -> list[Fault]:
    """Faults by their begin, from the "action" events (time, data) in order; `until_s` is the end of the run."""
    running: list[_Open] = []
    found: list[Fault] = []

    def close(which: Sequence[_Open], t_s: float) -> None:
        for one in which:
            running.remove(one)
            found.append(Fault(one.start_s, max(t_s, one.start_s), one.verb, one.what))

    for t_s, action in actions:
        verb = str(action.get("do", ""))
        targets = _targets(action)
        row = VERBS.get(verb)
        if row and row.undoes:
            close([one for one in running if one.verb == row.undoes and _covers(targets, one.targets)], t_s)
            continue
        keys = frozenset(name for name in VALUE_NAMES if name in action)
        if row and row.undone_by == verb:  # values: taken back by others of the same verb, or by None
            same = [one for one in running if one.verb == verb and one.keys <= keys]
            close([one for one in same if _covers(targets, one.targets)], t_s)
            if all(action.get(name) is None for name in keys):
                continue  # back to the schedule
        elif row and "groups" in row.targets:
            close([one for one in running if one.verb == verb], t_s)  # a new one replaces it
        if row and row.lasts:
            running.append(_Open(t_s, verb, targets, _what(action, targets), keys))
        else:
            found.append(Fault(t_s, t_s, verb, _what(action, targets)))
    close(list(running), until_s)
    return sorted(found, key=lambda fault: (fault.start_s, fault.end_s, fault.label))


def of_run(run: Run) -> list[Fault]:
    """The faults of a run."""
    return faults(((t_s, data) for t_s, data in _events(run, "action")), end_s(run))


def handovers(run: Run) -> list[float]:
    """When moving links changed hands, in order."""
    import polars as pl

    return [float(t_s) for t_s in run.own_events.filter(pl.col("kind") == "handover")["t_s"]]


def end_s(run: Run) -> float:
    """Scenario time at which the run ended: as the verdict says, or of the last record."""
    if run.verdict and run.verdict.duration_s:
        return run.verdict.duration_s
    last = [table["t_s"].max() for table in (run.events, run.links)]
    return max((float(t_s) for t_s in last if isinstance(t_s, float | int)), default=0.0)


def shade(axes: Axes, spans: Sequence[Fault], moments: Sequence[float]) -> None:
    """Draw faults as shades (moments as dotted lines) and handovers as thin lines behind what the axes show."""
    limits = axes.get_xlim()
    heights = axes.get_ylim()
    inside = [one for one in spans if one.end_s >= limits[0] and one.start_s <= limits[1]][:MOST_SPANS]
    for one in inside:
        if one.end_s > one.start_s:
            axes.axvspan(one.start_s, one.end_s, color=VERBS[one.verb].colour, alpha=0.13, linewidth=0, zorder=0.4)
        else:
            axes.axvline(one.start_s, color="#555555", linewidth=0.8, linestyle=":", zorder=0.5)
    for t_s in thinned([t_s for t_s in moments if limits[0] <= t_s <= limits[1]], limits[1] - limits[0]):
        axes.axvline(t_s, color=HANDOVER, linewidth=0.7, alpha=0.5, zorder=0.3)
    for place, one in enumerate(inside if len(inside) <= MOST_NAMED else ()):
        axes.text(
            max(one.start_s, limits[0]), 0.99 - 0.055 * (place % 4), f" {_short(one.label)}", va="top", ha="left",
            fontsize=7.5, color="#555555", transform=axes.get_xaxis_transform(), clip_on=True, zorder=0.6,
        )  # fmt: skip
    axes.set_xlim(limits)
    axes.set_ylim(heights)


def words(spans: Sequence[Fault], moments: Sequence[float], limits: tuple[float, float]) -> str:
    """What the marks between two times mean, for a caption; empty where there are none."""
    sentences = []
    spans = [one for one in spans if one.end_s >= limits[0] and one.start_s <= limits[1]]
    moments = [t_s for t_s in moments if limits[0] <= t_s <= limits[1]]
    if spans:
        named = [f"{one.label} {_when(one)}" for one in spans[:MOST_NAMED]]
        more = len(spans) - MOST_NAMED
        sentences.append("Shaded: " + "; ".join(named) + (f"; {more:,} more" if more > 0 else "") + ".")
    if moments:
        some = ", some of them drawn" if len(thinned(moments, limits[1] - limits[0])) < len(moments) else ""
        sentences.append(f"Thin lines: handovers ({len(moments):,}{some}).")
    return " ".join(sentences)


def thinned(moments: Sequence[float], width_s: float) -> list[float]:
    """At most MOST_LINES of the moments; where there are more, none that is near to the one before."""
    if len(moments) <= MOST_LINES:
        return list(moments)
    kept: list[float] = []
    for t_s in moments:
        if not kept or t_s - kept[-1] > width_s / MOST_LINES:
            kept.append(t_s)
    return kept[:MOST_LINES]


def _events(run: Run, kind: str) -> Iterator[tuple[float, dict[str, Any]]]:
    import polars as pl

    for t_s, data in run.own_events.filter(pl.col("kind") == kind).select("t_s", "data").iter_rows():
        yield float(t_s), json.loads(data)


def _targets(action: Mapping[str, Any]) -> tuple[str, ...]:
    names = [str(name) for key in ("nodes", "links") for name in action.get(key) or ()]
    return tuple(names + ([f"program {action['program']}"] if action.get("program") else []))


def _what(action: Mapping[str, Any], targets: Sequence[str]) -> str:
    if action.get("groups"):
        return " | ".join(",".join(map(str, group)) for group in action["groups"])
    values = [_value(value, action[value.name]) for value in VALUES if action.get(value.name) is not None]
    return " ".join([", ".join(targets), *values]).strip()


def _value(value: Value, number: Any) -> str:
    """As a caption has it: with fewer digits than `Value.worded`, which is exact."""
    if value.kind == "rate":
        return text.rate(float(number))
    if value.kind == "duration":
        return f"{value.key} {text.milliseconds(1e3 * float(number))} ms"
    return value.worded(number)


def _covers(undo: Sequence[str], done: Sequence[str]) -> bool:
    """Whether an action on `undo` (globs; none: everything) takes back what was done to `done`."""
    return not undo or all(any(name == glob or fnmatchcase(name, glob) for glob in undo) for name in done)


def _when(one: Fault) -> str:
    if one.end_s == one.start_s:
        return f"at {one.start_s:.1f} s"
    return f"{one.start_s:.1f} to {one.end_s:.1f} s"


def _short(label: str) -> str:
    return label if len(label) <= 32 else label[:31] + "…"
