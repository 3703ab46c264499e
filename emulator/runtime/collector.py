"""What nodes and relay report while a run plays: into the run folder, and into the live figures.

Invariant: every record goes to its log exactly as it came; the live figures (probes, flows, the tail of events) are
derived from the same records, so screen, verdict and Parquet files cannot disagree.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from emulator.link.lateness import Lateness
from emulator.link.stats import EndStats
from emulator.record.events import EventLog, SampleLog
from emulator.record.links import LinkInterval, LinkLog, drops_by_cause
from emulator.runtime.channel import Message
from emulator.runtime.processes import Process

if TYPE_CHECKING:
    from emulator.network import Network
    from emulator.record.folder import RunFolder
    from emulator.runtime.fidelity import Asked

TAIL = 8
LIVE_ROWS = 60  # pairs and links in a snapshot, so that it fits into one message
PROBE_ERRORS = 2_000_000  # kept for quantiles
QUIET_KINDS = {"probe", "flow-sent", "requests"}  # summaries at a program's end, no news


@dataclass(slots=True)
class ProbePair:
    """Round trips from one node to another."""

    received: int = 0
    lost: int = 0
    sum_s: float = 0.0
    seen_s: float = 0.0  # the last
    asked_s: float | None = None
    error_s: float | None = None
    asked_sum_s: float = 0.0
    asked_count: int = 0
    errors_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class FlowPair:
    """A transfer from one node to another."""

    bytes: int = 0
    now_bps: float = 0.0
    first_s: float = 0.0
    last_s: float = 0.0
    ended_bytes: int = 0  # of flows between the two that have ended


class Collector:
    """Records in, logs and live figures out."""

    def __init__(self, folder: RunFolder, network: Network) -> None:
        self._network = network
        self.events = EventLog(folder)
        self.samples = SampleLog(folder)
        self.links = LinkLog(folder, [network.end_name(end) for end in range(2 * len(network.links))])
        self.t0_ns = 0
        self.probes: dict[tuple[str, str], ProbePair] = {}
        self.flows: dict[tuple[str, str, str], FlowPair] = {}
        self.errors_s: list[float] = []  # probes compared with the schedule, on links with room to spare
        self.queued = 0  # probes left out of that because a link of theirs was busy
        self.tail: deque[dict[str, Any]] = deque(maxlen=TAIL)
        self.dropped_records = 0
        self.counters: dict[int, list[float]] = {}  # cumulative, by end
        self.lateness = Lateness()
        self.relay: Message = {}  # its last report
        self.saturated = 0
        self.reports = 0  # a report comes in several messages where many ends did something
        self._report_s = -1.0
        self._live: tuple[list[LinkInterval], dict[str, int]] = [], {}
        self._live_of: list[LinkInterval] | None = None
        self.asked: Asked | None = None
        self.on_load: Callable[[float, dict[int, list[float]]], None] = lambda t_s, ends: None

    def time_s(self, monotonic_ns: int) -> float:
        return (monotonic_ns - self.t0_ns) * 1e-9

    def record(self, process: Process, record: list[Any]) -> None:
        """A record of a node process; see `channel.Outbox`."""
        if len(record) == 3:
            self.event(self.time_s(record[0]), process.node, process.program, record[1], record[2])
        elif len(record) == 4:
            t_s, name, value, key = self.time_s(record[0]), record[1], record[2], record[3]
            self.samples.append(t_s, process.node, process.program, name, key, value)
            self._sample(process, t_s, name, value, key)

    def event(self, t_s: float, node: str, program: str, kind: str, data: dict[str, Any]) -> None:
        """An event of a node or of the runtime itself."""
        self.events.append(t_s, node, program, kind, data)
        if kind == "flow":
            flow = self._flow(str(data.get("peer", "")), node, program, t_s)
            flow.ended_bytes += int(data.get("bytes", 0))
            flow.bytes, flow.now_bps = flow.ended_bytes, 0.0
            flow.first_s = min(flow.first_s, t_s - float(data.get("duration_s", 0.0)))
            flow.last_s = max(flow.last_s, t_s)
        if kind not in QUIET_KINDS:
            text = " ".join(f"{name}={_short(value)}" for name, value in data.items())
            self.tail.append({"t_s": t_s, "node": node, "kind": kind, "text": text[:100]})

    def dropped(self, process: Process, count: int) -> None:
        self.dropped_records += count

    def _sample(self, process: Process, t_s: float, name: str, value: float, key: str) -> None:
        match name:
            case "rtt_s":
                self._probe(process.node, key, t_s, value)
            case "probe_lost":
                self._pair(process.node, key).lost += 1
            case "goodput_bps":
                flow = self._flow(key, process.node, process.program, t_s)
                flow.now_bps, flow.last_s = value, t_s
            case "flow_bytes":
                flow = self._flow(key, process.node, process.program, t_s)
                flow.bytes, flow.last_s = flow.ended_bytes + int(value), t_s

    def _pair(self, node: str, peer: str) -> ProbePair:
        return self.probes.setdefault((node, peer), ProbePair())

    def _flow(self, sender: str, receiver: str, program: str, t_s: float) -> FlowPair:
        key = (sender, receiver, program)
        if key not in self.flows:
            self.flows[key] = FlowPair(first_s=t_s, last_s=t_s)
        return self.flows[key]

    def _probe(self, node: str, peer: str, sent_s: float, rtt_s: float) -> None:
        pair = self._pair(node, peer)
        pair.received += 1
        pair.sum_s += rtt_s
        pair.seen_s = rtt_s
        pair.asked_s = pair.error_s = None
        if self.asked is None:
            return
        asked = self.asked.round_trip(node, peer, sent_s)
        if asked is None:
            return
        pair.asked_s = asked.rtt_s
        pair.asked_sum_s += asked.rtt_s
        pair.asked_count += 1
        pair.error_s = rtt_s - asked.rtt_s
        if asked.busy:
            self.queued += 1
        elif len(self.errors_s) < PROBE_ERRORS:
            self.errors_s.append(abs(pair.error_s))
            pair.errors_s.append(abs(pair.error_s))

    def relay_report(self, message: Message) -> None:
        """A "stats" message of the relay."""
        if message["op"] != "stats":
            return
        self.counters.update(message["ends"])
        if "lateness" in message and message["t_s"] != self._report_s:
            self.relay = message
            self._report_s = message["t_s"]
            self.lateness = Lateness.unpack(message["lateness"])
            self.reports += 1
            self.saturated += bool(message.get("saturated"))
        self.on_load(message["t_s"], message["ends"])
        self.links.update(message["t_s"], message["ends"], final=bool(message.get("final")))

    def carrier(self, message: Message) -> None:
        """A "carrier" message of the relay: links whose interfaces came up or went down."""
        for number, up in message["changes"]:
            link = self._network.links[number]
            data = {"link": link.name, "up": bool(up), "late_s": message["at_s"] - message["t_s"]}
            self.event(message["t_s"], self._network.nodes[link.a].name, "", "carrier", data)

    def flush(self) -> None:
        """Hand the logs to the kernel."""
        for spool in (self.events, self.samples, self.links):
            spool.flush()

    def drops(self) -> dict[str, int]:
        return drops_by_cause(self.counters)

    def lateness_ms(self) -> dict[str, float]:
        return {
            "p50": self.lateness.quantile(0.5) * 1e3,
            "p99": self.lateness.quantile(0.99) * 1e3,
            "max": self.lateness.max_s * 1e3,
        }

    def notable_links(self) -> list[LinkInterval]:
        """Link ends of the last interval that matter: those that drop, then the busiest."""
        return self._of_interval()[0]

    def drops_so_far(self) -> dict[str, int]:
        """`drops` as of the last interval of links, for the screen."""
        return self._of_interval()[1]

    def _of_interval(self) -> tuple[list[LinkInterval], dict[str, int]]:
        """Worked out once an interval: with thousands of ends it costs more than all else that a snapshot shows."""
        latest = self.links.latest
        if self._live_of is not latest:
            notable = heapq.nlargest(LIVE_ROWS, latest, key=lambda row: (row.drops, row.delivered_bps))
            self._live_of, self._live = latest, (notable, self.drops())
        return self._live

    def worst_links(self, count: int) -> list[tuple[int, float]]:
        """The ends whose packets were latest: end and seconds."""
        late = [(end, values[EndStats.LATE_MAX_S]) for end, values in self.counters.items()]
        return sorted(late, key=lambda item: -item[1])[:count]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
