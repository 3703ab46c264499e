"""Snapshots of a run: `opening` at its begin, `at_stage` during a stage, `SnapshotBuilder.snapshot` during play.

Invariant: each call returns a new value and changes no earlier one. Rows are made only if a view asks for them, so that
the size of a snapshot does not grow with the run.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from emulator.observe import details
from emulator.observe.live_metrics import LiveMetrics, fits
from emulator.observe.snapshot import VERSION, HandoverRow, LinkRow, NodeRow, Nodes, Phase, Snapshot
from emulator.observe.usage import Usage
from emulator.observe.view import View
from emulator.record.links import LinkInterval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from emulator.model.network import Network
    from emulator.observe.schedule_view import ScheduleView
    from emulator.record.capture_files import CaptureRow
    from emulator.record.verdict.schema import MachineRow, Quantiles, TrunkRow
    from emulator.scenario import Program
    from emulator.schedule.reader import EndValues

WARNINGS, WARNING_LENGTH = 10, 300  # in a snapshot
ROWS = 40  # of nodes and links, if the view sets no number
MOST_ROWS = 60
MOST_MACHINES, MOST_TRUNKS = 64, 20
HANDOVER_TAIL = 8
OF_A_VIEW = ("contacts", "map", "detail")  # only in snapshots whose view asks for them
SORTED_BY = {  # columns of LinkRow by the fields of LinkInterval
    "asked_ms": "asked_delay_ms",
    "seen_ms": "delivered_delay_ms",
    "late_ms": "late_ms",
    "asked_bps": "asked_bps",
    "rate_bps": "delivered_bps",
    "drops": "drops",
}


class HasPid(Protocol):
    """A process, by its id in /proc; 0: not started yet."""

    @property
    def pid(self) -> int: ...


class JobState(Protocol):
    """The state of one program on one node: a job of a live run, or one derived from the events of a finished run."""

    @property
    def node(self) -> str: ...
    @property
    def program(self) -> Program: ...
    @property
    def process(self) -> HasPid | None: ...
    @property
    def alive(self) -> bool: ...
    @property
    def unasked(self) -> str: ...  # its first unexpected end, in words
    @property
    def statuses(self) -> Sequence[int]: ...  # exit statuses of unexpected ends


class JobStates(Protocol):
    """All jobs of a run."""

    @property
    def all(self) -> Sequence[JobState]: ...


class LiveProcesses(Protocol):
    """The processes of a run that have not ended."""

    def alive(self) -> Sequence[HasPid]: ...


class Measurements(Protocol):
    """Measurements so far: `emulator.runtime.supervisor.collector.Collector`, or the tables of a finished run."""

    @property
    def metrics(self) -> LiveMetrics: ...
    @property
    def end_names(self) -> Sequence[str]: ...
    @property
    def numbers(self) -> Mapping[str, int]: ...  # link ends by name
    @property
    def history_bps(self) -> Mapping[str, Iterable[float]]: ...  # delivered in the last intervals, by end
    def lateness_ms(self) -> Quantiles | None: ...  # p50, p99, max; None: not known at this time
    def late_by(self) -> str: ...  # the main cause of the lateness; "": unknown, or no packet was late
    def drops_so_far(self) -> dict[str, int]: ...  # by cause
    def drops_of(self, end: str) -> dict[str, int]: ...
    def intervals(self) -> dict[str, LinkInterval]: ...  # the last one of each active end, by name


def counts(network: Network) -> Nodes:
    """The numbers of live and transit nodes."""
    live = len(network.live)
    return {"live": live, "transit": len(network.nodes) - live}


@dataclass(frozen=True, slots=True)
class About:
    """The facts of a run that are known before its first stage."""

    scenario: str
    seed: int
    run_id: str
    folder: str
    duration_s: float
    lateness_limit_ms: float


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of a run in play, without its rows. `t_s`: scenario time; `t0_utc_s`: None if it is not known."""

    t_s: float
    t0_utc_s: float | None
    warnings: Sequence[str]
    elapsed_s: float | None = None
    capture: CaptureRow | None = None
    machines: Sequence[MachineRow] = ()  # hosts of a run on several, and the trunks between them
    trunks: Sequence[TrunkRow] = ()


def opening(about: About, network: Network) -> Snapshot:
    """The first snapshot of a run."""
    return {
        "version": VERSION,
        "scenario": about.scenario,
        "run_id": about.run_id,
        "seed": about.seed,
        "folder": about.folder,
        "duration_s": about.duration_s,
        "lateness_limit_ms": about.lateness_limit_ms,
        "nodes": {**counts(network), "processes": 0},
    }


def at_stage(
    before: Snapshot, phase: Phase, done: float, total: float, label: str, elapsed_s: float | None = None
) -> Snapshot:
    """The snapshot after `before` with the progress of a stage; earlier measurements stay in it."""
    staged: Snapshot = {**before, "phase": phase, "done": done, "total": total, "label": label}
    return staged if elapsed_s is None else {**staged, "elapsed_s": elapsed_s}


class SnapshotBuilder:
    """The rows of one run's snapshots. `usage`: of processors and memory; None if it is not known."""

    def __init__(
        self,
        network: Network,
        schedule_view: ScheduleView,
        jobs: JobStates,
        processes: LiveProcesses,
        collector: Measurements,
        usage: Usage | None = None,
    ) -> None:
        self.network = network
        self.schedule_view = schedule_view
        self.metrics = collector.metrics
        self.overrides: Callable[[], Mapping[int, Mapping[str, Any]]] = dict  # as `Faults.overrides`
        self.node_hosts: Sequence[str] = ()  # names of their hosts, where the run has several
        self.history_bps = collector.history_bps
        self.nodes = {node.name: number for number, node in enumerate(network.nodes)}
        self.ends = collector.numbers
        self._processes = processes
        self._collector = collector
        self._usage = usage
        self.handovers: int | None = None  # number so far; None: there was none, or no link moves
        self.handover_tail: Sequence[HandoverRow] = ()  # the last few, oldest first
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

    def handed_over(self, row: HandoverRow) -> None:
        """A moving link has changed its far end."""
        self.handovers = (self.handovers or 0) + 1
        self.handover_tail = [*self.handover_tail, row][-HANDOVER_TAIL:]

    def snapshot(self, before: Snapshot, view: View, moment: Moment) -> Snapshot:
        """The snapshot of a moment in play, with the rows that `view` asks for; facts of the run are as in `before`."""
        kept: Any = {key: value for key, value in before.items() if key not in OF_A_VIEW}
        now: Snapshot = {
            **kept,
            "phase": "play",
            "label": "",
            "t_s": moment.t_s,
            "warnings": [text[:WARNING_LENGTH] for text in moment.warnings[:WARNINGS]],
            **self.rows(view, moment.t_s),
        }
        if moment.elapsed_s is not None:
            now = {**now, "elapsed_s": moment.elapsed_s}
        if moment.t0_utc_s is not None:
            now = {**now, "t0_utc_s": moment.t0_utc_s}
        if moment.machines:
            machines = sorted(moment.machines, key=lambda row: -row["lateness_ms"].get("p99", 0.0))
            trunks = sorted(moment.trunks, key=lambda row: -row["latency_p99_ms"])
            now = {**now, "machines": machines[:MOST_MACHINES], "trunks": trunks[:MOST_TRUNKS]}
        return now if moment.capture is None else {**now, "capture": moment.capture}

    def rows(self, view: View, now_s: float) -> Snapshot:
        """The measurements up to scenario time `now_s`, selected by `view`."""
        collector, metrics, alive = self._collector, self.metrics, self._processes.alive()
        if self._usage is not None:
            self._usage.read([process.pid for process in alive if process.pid], now_s)
        links, nodes = self._link_names(view), self._node_numbers(view)
        found: Snapshot = {
            "view": view,
            "drops": collector.drops_so_far(),
            "probes": metrics.probe_rows(),
            "flows": metrics.flow_rows(),
            "events": metrics.event_rows(view),
            "panels": metrics.panels.views(now_s),
            "nodes": {**counts(self.network), "processes": len(alive)},
            "link_count": len(links),
            "links": [self.link_row(name, now_s) for name in links[: _room(view)]],
            "node_count": len(nodes),
            "node_rows": self._node_rows(nodes, view),
        }
        if (late := collector.lateness_ms()) is not None:
            found = {**found, "lateness_ms": {"p50": late["p50"], "p99": late["p99"], "max": late["max"]}}
            if cause := collector.late_by():
                found = {**found, "late_by": cause}
        if self.handovers is not None:
            found = {**found, "handovers": self.handovers, "handover_tail": list(self.handover_tail)}
        panel = view.get("panel", "overview")
        if panel in ("overview", "contacts"):
            found = {**found, "contacts": self.schedule_view.contacts(now_s, self._shown_contacts(view))}
        if panel == "map" and (world := self.schedule_view.world(now_s, metrics.pairs())) is not None:
            found = {**found, "map": world}
        if view.get("detail"):
            found = {**found, "detail": details.of(self, view["detail"], now_s)}
        return found

    def effective(self, end: int, now_s: float) -> EndValues:
        """The values of an end now: those of its schedule, or of an action that overrides it."""
        values, given = self.schedule_view.scheduled(end, now_s), self.overrides().get(end, {})
        values = values._replace(**{name: value for name, value in given.items() if name in values._fields})
        return values if values.up else values._replace(peer=-1)

    def ends_of(self, number: int) -> list[str]:
        """Names of the link ends by which a node sends; of a transit node those that do not move."""
        return self._sends.get(number, [])

    def _shown_contacts(self, view: View) -> list[int] | None:
        """Moving links whose fixed end fits the filter; None: all."""
        pattern = view.get("filter", "") if view.get("panel") == "contacts" else ""
        if not pattern:
            return None
        nodes = self.network.nodes
        links = enumerate(self.network.links)
        return [number for number, link in links if link.moving and fits(pattern, nodes[link.a].name)]

    # -- links ---------------------------------------------------------------------------------------------------------

    def _link_names(self, view: View) -> list[str]:
        """Active ends of the last interval, and with a filter all that match it; in the view's order."""
        pattern = view.get("filter", "") if view.get("panel") == "links" else ""
        found = self._collector.intervals()
        names = [name for name in self.ends if fits(pattern, name)] if pattern else list(found)
        names.sort(key=lambda name: _link_order(found.get(name)))
        _sort(names, view, "links", lambda name, column: _column(found.get(name), name, column))
        return names

    def link_row(self, name: str, now_s: float) -> LinkRow:
        """One end by its name."""
        collector, end = self._collector, self.ends[name]
        interval = collector.intervals().get(name)
        values = self.effective(end, now_s)
        row: LinkRow = {"end": name, "far": self._far(values.peer), "up": values.up, "asked_ms": values.delay_s * 1e3}
        if values.rate_bps != float("inf"):
            row["capacity_bps"] = values.rate_bps
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
        if 0 < values.rate_bps < float("inf"):
            history = collector.history_bps.get(name, ())
            row["history"] = [min(100, round(100 * bps / values.rate_bps)) for bps in history]
        causes = collector.drops_of(name)
        if causes:
            row["causes"] = causes
        return row

    def _far(self, node: int) -> str:
        return self.network.nodes[node].name if node >= 0 else ""

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def _node_numbers(self, view: View) -> list[int]:
        """Live nodes that pass the view's filter."""
        pattern = view.get("filter", "") if view.get("panel") == "nodes" else ""
        nodes = self.network.nodes
        return [number for number in self.network.live if not pattern or fits(pattern, nodes[number].name)]

    def _node_rows(self, live: Sequence[int], view: View) -> list[NodeRow]:
        """Rows of some nodes; figures of all nodes are computed only if the view sorts by one."""
        column = view.get("sort", "").removeprefix("-") if view.get("panel") == "nodes" else ""
        if column:
            rows = [self.node_row(number) for number in live]
            rows.sort(key=lambda row: _comparable(row.get(column)), reverse=view["sort"].startswith("-"))
            return rows[: _room(view)]
        return [self.node_row(number) for number in live[: _room(view)]]

    def node_row(self, number: int) -> NodeRow:
        """One live node by its number."""
        node = self.network.nodes[number]
        jobs, found = self._jobs.get(node.name, []), self._collector.intervals()
        row: NodeRow = {
            "node": node.name,
            "role": node.role,
            "state": _state(jobs),
            "programs": [job.program.name for job in jobs],
            "sent_bps": _rate(found, self._sends.get(number, ())),
            "received_bps": _rate(found, self._receives.get(number, ())),
        }
        if self.node_hosts:
            row["host"] = self.node_hosts[number]
        usage = self._usage
        if usage is not None:
            pids = [job.process.pid for job in jobs if job.process is not None]
            used = [use for pid in pids if (use := usage.of(pid)) is not None]
            row["cpu"], row["memory_bytes"] = sum(use.cpu for use in used), sum(use.memory_bytes for use in used)
        return row


def _rate(found: dict[str, LinkInterval], ends: Iterable[str]) -> float:
    return sum(found[end].delivered_bps for end in ends if end in found)


def _state(jobs: list[JobState]) -> Any:
    if any(job.unasked and not job.alive and any(job.statuses) for job in jobs):
        return "failed"
    return "ended" if jobs and not any(job.alive for job in jobs) else "up"


def _room(view: View) -> int:
    return max(1, min(MOST_ROWS, view.get("rows", ROWS)))


def _link_order(interval: LinkInterval | None) -> tuple[int, float]:
    """Ends with drops first, then the busiest."""
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
    """Missing values sort lowest; lists compare as text."""
    if value is None:
        return (0, 0)
    return (1, value) if isinstance(value, int | float) else (2, str(value))
