"""A snapshot of a running run, made from what the runtime holds at this moment, for whoever looks at what they look at.

Invariant: a snapshot fits into one control message however large the run is: the view says which rows are wanted, and
what is still too much is left out, the least interesting first.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Protocol

import msgpack

from emulator.observe import details
from emulator.observe.live_metrics import Board, fits
from emulator.observe.snapshot import LinkRow, NodeRow, Snapshot
from emulator.observe.usage import Usage
from emulator.observe.view import View
from emulator.record.links import LinkInterval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from emulator.model.network import Network
    from emulator.observe.schedule_view import Outlook
    from emulator.scenario import Program
    from emulator.schedule.reader import EndValues

WARNINGS, WARNING_LENGTH = 10, 300  # in a snapshot
ROWS = 40  # of nodes and links where the view names no number
MOST_ROWS = 60
LEFT_OUT = ("map", "contacts", "panels", "events", "probes", "flows", "links", "node_rows")  # in this order
SORTED_BY = {  # columns of LinkRow by the fields of LinkInterval
    "asked_ms": "asked_delay_ms",
    "seen_ms": "delivered_delay_ms",
    "late_ms": "late_ms",
    "asked_bps": "asked_bps",
    "rate_bps": "delivered_bps",
    "drops": "drops",
}


class HasPid(Protocol):
    """A process, by the id that /proc knows it by; 0: not yet."""

    @property
    def pid(self) -> int: ...


class JobState(Protocol):
    """How one program fares on one node: a job of a live run, or what events tell of a finished one."""

    @property
    def node(self) -> str: ...
    @property
    def program(self) -> Program: ...
    @property
    def process(self) -> HasPid | None: ...
    @property
    def alive(self) -> bool: ...
    @property
    def unasked(self) -> str: ...  # its first end that nobody asked for, in words
    @property
    def statuses(self) -> Sequence[int]: ...  # of ends that nobody asked for


class JobStates(Protocol):
    """All jobs of a run."""

    @property
    def all(self) -> Sequence[JobState]: ...


class LiveProcesses(Protocol):
    """The processes of a run that have not ended."""

    def alive(self) -> Sequence[HasPid]: ...


class Measurements(Protocol):
    """What was measured so far: `emulator.runtime.supervisor.collector.Collector`, or the tables of a finished run."""

    @property
    def board(self) -> Board: ...
    @property
    def end_names(self) -> Sequence[str]: ...
    @property
    def numbers(self) -> Mapping[str, int]: ...  # link ends by name
    @property
    def history_bps(self) -> Mapping[str, Iterable[float]]: ...  # delivered in the last intervals, by end
    def lateness_ms(self) -> dict[str, float]: ...  # p50, p99, max
    def late_by(self) -> str: ...  # what most of the lateness came from; "": unknown, or nothing was late
    def drops_so_far(self) -> dict[str, int]: ...  # by cause
    def drops_of(self, end: str) -> dict[str, int]: ...
    def intervals(self) -> dict[str, LinkInterval]: ...  # the last one of each end that did something, by name


def counts(network: Network) -> dict[str, int]:
    """How many nodes live where."""
    live = len(network.live)
    return {"live": live, "transit": len(network.nodes) - live}


class Scene:
    """The rows of one run's snapshots."""

    def __init__(
        self,
        network: Network,
        outlook: Outlook,
        jobs: JobStates,
        processes: LiveProcesses,
        collector: Measurements,
    ) -> None:
        self.network = network
        self.outlook = outlook
        self.board = collector.board
        self.given: Callable[[], Mapping[int, Mapping[str, Any]]] = dict  # as `Faults.given`
        self.history_bps = collector.history_bps
        self.nodes = {node.name: number for number, node in enumerate(network.nodes)}
        self.ends = collector.numbers
        self._processes = processes
        self._collector = collector
        self._usage = Usage()
        self._jobs: dict[str, list[JobState]] = defaultdict(list)
        for job in jobs.all:
            self._jobs[job.node].append(job)
        self._sends: dict[int, list[str]] = defaultdict(list)  # names of a live node's ends, and of those towards it
        self._receives: dict[int, list[str]] = defaultdict(list)
        for number, link in enumerate(network.links):
            there, back = collector.end_names[2 * number], collector.end_names[2 * number + 1]
            self._sends[link.a].append(there)
            self._receives[link.a].append(back)
            if not link.moving:
                self._sends[link.b].append(back)
                self._receives[link.b].append(there)

    def fill(self, snapshot: Snapshot, view: View, now_s: float) -> Snapshot:
        """Add what has been measured so far, as `view` wants it. `now_s`: scenario time."""
        collector = self._collector
        late = collector.lateness_ms()
        snapshot["view"] = view
        snapshot["lateness_ms"] = {"p50": late["p50"], "p99": late["p99"], "max": late["max"]}
        if cause := collector.late_by():
            snapshot["late_by"] = cause
        snapshot["drops"] = collector.drops_so_far()
        collector.board.fill(snapshot, view)
        alive = self._processes.alive()
        self._usage.read([process.pid for process in alive if process.pid], now_s)
        snapshot["nodes"] = {**counts(self.network), "processes": len(alive)}  # type: ignore[typeddict-item]
        self._links(snapshot, view, now_s)
        self._nodes(snapshot, view)
        for key in ("contacts", "map", "detail"):  # of an earlier view
            snapshot.pop(key, None)  # type: ignore[misc]
        panel = view.get("panel", "overview")
        if panel in ("overview", "contacts"):
            snapshot["contacts"] = self.outlook.contacts(now_s, self._wanted_contacts(view))
        if panel == "map" and (world := self.outlook.world(now_s, collector.board.pairs())) is not None:
            snapshot["map"] = world
        if view.get("detail"):
            snapshot["detail"] = details.of(self, view["detail"], now_s)
        return snapshot

    def asked(self, end: int, now_s: float) -> EndValues:
        """What an end is asked to do now: its schedule, or what an action has given it instead."""
        asked, given = self.outlook.asked(end, now_s), self.given().get(end, {})
        asked = asked._replace(**{name: value for name, value in given.items() if name in asked._fields})
        return asked if asked.up else asked._replace(peer=-1)

    def ends_of(self, number: int) -> list[str]:
        """Names of the link ends by which a node sends; of a transit node those that do not move."""
        return self._sends.get(number, [])

    def _wanted_contacts(self, view: View) -> list[int] | None:
        """Moving links whose fixed end fits the filter; None: all."""
        wanted = view.get("filter", "") if view.get("panel") == "contacts" else ""
        if not wanted:
            return None
        nodes = self.network.nodes
        links = enumerate(self.network.links)
        return [number for number, link in links if link.moving and fits(wanted, nodes[link.a].name)]

    # -- links ---------------------------------------------------------------------------------------------------------

    def _links(self, snapshot: Snapshot, view: View, now_s: float) -> None:
        """Ends that did something in the last interval, and with a filter all that it names."""
        wanted = view.get("filter", "") if view.get("panel") == "links" else ""
        found = self._collector.intervals()
        names = [name for name in self.ends if fits(wanted, name)] if wanted else list(found)
        snapshot["link_count"] = len(names)
        names.sort(key=lambda name: _link_order(found.get(name)))
        _sort(names, view, "links", lambda name, column: _column(found.get(name), name, column))
        snapshot["links"] = [self.link_row(name, now_s) for name in names[: _room(view)]]

    def link_row(self, name: str, now_s: float) -> LinkRow:
        """One end by its name."""
        collector, end = self._collector, self.ends[name]
        interval = collector.intervals().get(name)
        asked = self.asked(end, now_s)
        row: LinkRow = {"end": name, "far": self._far(asked.peer), "up": asked.up, "asked_ms": asked.delay_s * 1e3}
        if asked.rate_bps != float("inf"):
            row["capacity_bps"] = asked.rate_bps
        row["rate_bps"], row["asked_bps"], row["drops"] = 0.0, 0.0, 0
        if interval is not None:
            row["rate_bps"], row["asked_bps"] = interval.delivered_bps, interval.asked_bps
            row["drops"] = interval.drops
            if interval.asked_delay_ms is not None:
                row["asked_ms"] = interval.asked_delay_ms
            if interval.delivered_delay_ms is not None:
                row["seen_ms"] = interval.delivered_delay_ms
            if interval.late_ms is not None:
                row["late_ms"] = interval.late_ms
        if 0 < asked.rate_bps < float("inf"):
            history = collector.history_bps.get(name, ())
            row["history"] = [min(100, round(100 * bps / asked.rate_bps)) for bps in history]
        causes = collector.drops_of(name)
        if causes:
            row["causes"] = causes
        return row

    def _far(self, node: int) -> str:
        return self.network.nodes[node].name if node >= 0 else ""

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _nodes(self, snapshot: Snapshot, view: View) -> None:
        """Live nodes; all figures of all of them only where they are sorted by one."""
        wanted = view.get("filter", "") if view.get("panel") == "nodes" else ""
        nodes = self.network.nodes
        live = [number for number in self.network.live if not wanted or fits(wanted, nodes[number].name)]
        snapshot["node_count"] = len(live)
        column = view.get("sort", "").removeprefix("-") if view.get("panel") == "nodes" else ""
        if column:
            rows = [self.node_row(number) for number in live]
            rows.sort(key=lambda row: _comparable(row.get(column)), reverse=view["sort"].startswith("-"))
            snapshot["node_rows"] = rows[: _room(view)]
        else:
            snapshot["node_rows"] = [self.node_row(number) for number in live[: _room(view)]]

    def node_row(self, number: int) -> NodeRow:
        """One live node by its number."""
        node = self.network.nodes[number]
        jobs, found = self._jobs.get(node.name, []), self._collector.intervals()
        used = [use for job in jobs if job.process is not None and (use := self._usage.of(job.process.pid)) is not None]
        return {
            "node": node.name,
            "role": node.role,
            "state": _state(jobs),
            "programs": [job.program.name for job in jobs],
            "cpu": sum(use.cpu for use in used),
            "memory_bytes": sum(use.memory_bytes for use in used),
            "sent_bps": _rate(found, self._sends.get(number, ())),
            "received_bps": _rate(found, self._receives.get(number, ())),
        }


def fitted(snapshot: Snapshot, most_bytes: int) -> dict[str, Any]:
    """The snapshot as it is sent: without what is too much for a message of so many bytes."""
    sent: dict[str, Any] = dict(snapshot)
    for key in LEFT_OUT:
        if len(msgpack.packb(sent)) < most_bytes - 200:
            break
        sent.pop(key, None)
    return sent


def _rate(found: dict[str, LinkInterval], ends: Iterable[str]) -> float:
    return sum(found[end].delivered_bps for end in ends if end in found)


def _state(jobs: list[JobState]) -> Any:
    if any(job.unasked and not job.alive and any(job.statuses) for job in jobs):
        return "failed"
    return "ended" if jobs and not any(job.alive for job in jobs) else "up"


def _room(view: View) -> int:
    return max(1, min(MOST_ROWS, view.get("rows", ROWS)))


def _link_order(interval: LinkInterval | None) -> tuple[int, float]:
    """Those that drop first, then the busiest."""
    return (-interval.drops, -interval.delivered_bps) if interval is not None else (0, 0.0)


def _column(interval: LinkInterval | None, name: str, column: str) -> Any:
    if column == "end":
        return name
    return getattr(interval, SORTED_BY[column]) if interval is not None and column in SORTED_BY else None


def _sort(names: list[str], view: View, panel: str, value: Any) -> None:
    column = view.get("sort", "") if view.get("panel") == panel else ""
    if column:
        plain = column.removeprefix("-")
        names.sort(key=lambda name: _comparable(value(name, plain)), reverse=column.startswith("-"))


def _comparable(value: Any) -> tuple[int, Any]:
    """Missing values are the least; lists compare as text."""
    if value is None:
        return (0, 0)
    return (1, value) if isinstance(value, int | float) else (2, str(value))
