"""Live figures from the records of node programs: probed pairs, flows, the tail of events, the protocols' panels.

Invariant: the same records always give the same figures, for a live run and from the tables of a finished one; no I/O
happens here, and the memory per record is bounded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from emulator.observe.expected_rtt import ExpectedRtt, ExpectedTrip
from emulator.observe.panels import Panels
from emulator.observe.snapshot import EventRow, FlowRow, ProbeRow
from emulator.observe.view import View

HISTORY = 30  # intervals of a link end's rate that the screen shows
EVENTS_KEPT = 400  # for the event log of the screen, which filters them
EVENTS_SHOWN = 60
LIVE_ROWS = 60  # pairs, flows and links in a snapshot, so that it fits into one message
PROBE_ERRORS = 2_000_000  # kept for quantiles
TEXT_LENGTH = 100


@dataclass(slots=True)
class ProbePair:
    """Round trips from one node to another."""

    received: int = 0
    lost: int = 0
    sum_s: float = 0.0
    seen_s: float = 0.0  # the last round trip
    expected_s: float | None = None
    error_s: float | None = None
    expected_sum_s: float = 0.0
    expected_count: int = 0
    expected_seen_s: float = 0.0  # sum of the round trips of the same probes
    errors_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class FlowPair:
    """A transfer from one node to another."""

    bytes: int = 0
    now_bps: float = 0.0
    first_s: float = 0.0
    last_s: float = 0.0
    ended_bytes: int = 0  # of flows between the two that have ended

    @property
    def duration_s(self) -> float:
        return self.last_s - self.first_s

    def mean_bps(self) -> float:
        """Bits a second since the flow started; 0 where that is not known, or just now."""
        return self.bytes * 8 / self.duration_s if self.duration_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class _OpenProbe:
    """A probe, until it is known whether it may have waited in a queue."""

    sent_s: float
    arrived_s: float  # when it returned, or should have returned
    expected: ExpectedTrip
    pair: ProbePair
    error_s: float | None  # None: it was lost


class LiveMetrics:
    """Computes live figures from records. `expected_rtt` gives scheduled round-trip times, if there is a schedule."""

    def __init__(self, panels: Panels | None = None) -> None:
        self.panels = panels or Panels.none()
        self.expected_rtt: ExpectedRtt | None = None
        self.probes: dict[tuple[str, str], ProbePair] = {}
        self.flows: dict[tuple[str, str, str], FlowPair] = {}
        self.errors_s: list[float] = []  # probes compared with the schedule, on links with room to spare
        self.unqueued = self.unqueued_lost = 0  # probes that returned over such links, and lost ones
        self.queued = 0  # probes left out of both because a link of theirs was busy
        self._open: deque[_OpenProbe] = deque()  # probes of which it is not known yet whether their links were busy
        self.tail: deque[EventRow] = deque(maxlen=EVENTS_KEPT)

    def event(self, t_s: float, node: str, program: str, kind: str, data: Mapping[str, Any]) -> None:
        """An event of a node program, or (`program` "" or "skyloom") of the runtime."""
        if kind == self.panels.traffic_of(program).flow_end:
            self._flow_ended(t_s, node, program, data)
        if not self.panels.event(t_s, node, program, kind, data):
            self.tail.append({"t_s": t_s, "node": node, "kind": kind, "text": words(data)[:TEXT_LENGTH]})

    def sample(self, t_s: float, node: str, program: str, name: str, value: float, key: str) -> None:
        """A sample of a node program."""
        traffic = self.panels.traffic_of(program)
        if name == traffic.round_trip:
            self._probe(node, key, t_s, value)
        elif name == traffic.lost:
            self._lost(node, key, t_s)
        elif name == traffic.flow_rate:
            self._flow(key, node, program, t_s).now_bps = value
        elif name == traffic.flow_size:
            flow = self._flow(key, node, program, t_s)
            if not flow.bytes and flow.now_bps > 0:  # its first samples come an interval after it started
                flow.first_s = min(flow.first_s, t_s - value * 8 / flow.now_bps)
            flow.bytes, flow.last_s = flow.ended_bytes + int(value), t_s
        self.panels.sample(t_s, node, program, name, value, key)

    def event_rows(self, view: View) -> list[EventRow]:
        """The newest events that pass the view's filter, oldest first."""
        pattern = view.get("filter", "") if view.get("panel") == "events" else ""
        room = min(EVENTS_SHOWN, max(view.get("rows", 0), 12))
        found: list[EventRow] = []
        for row in reversed(self.tail):
            if not pattern or fits(pattern, row["node"], row["kind"], row["text"]):
                found.append(row)
                if len(found) == room:
                    break
        return found[::-1]

    def events_of(self, name: str, count: int) -> list[EventRow]:
        """The newest events of a node, or with its name in their text; oldest first."""
        found = [row for row in self.tail if row["node"] == name or name in row["text"]]
        return found[-count:]

    def probe_rows(self) -> list[ProbeRow]:
        rows: list[ProbeRow] = []
        for (node, peer), pair in list(self.probes.items())[:LIVE_ROWS]:
            row: ProbeRow = {"pair": f"{node} → {peer}", "sent": pair.received + pair.lost, "lost": pair.lost}
            if pair.received:
                row["seen_ms"] = pair.seen_s * 1e3
            if pair.expected_s is not None:
                row["asked_ms"] = pair.expected_s * 1e3
            if pair.error_s is not None:
                row["error_ms"] = pair.error_s * 1e3
            rows.append(row)
        return rows

    def flow_rows(self) -> list[FlowRow]:
        rows: list[FlowRow] = []
        for (sender, receiver, _), flow in list(self.flows.items())[:LIVE_ROWS]:
            pair, mean_bps = f"{sender} → {receiver}", flow.mean_bps()
            rows.append({"pair": pair, "bytes": flow.bytes, "now_bps": flow.now_bps, "mean_bps": mean_bps})
        return rows

    def pairs(self) -> list[tuple[str, str]]:
        """Senders and receivers of traffic: flows, then probed pairs, each way once."""
        flows = [(sender, receiver) for sender, receiver, _ in self.flows]
        found = dict.fromkeys(tuple(sorted(pair)) for pair in (*flows, *self.probes))
        return [(one, other) for one, other in found]

    def _pair(self, node: str, peer: str) -> ProbePair:
        return self.probes.setdefault((node, peer), ProbePair())

    def _flow(self, sender: str, receiver: str, program: str, t_s: float) -> FlowPair:
        key = (sender, receiver, program)
        if key not in self.flows:
            self.flows[key] = FlowPair(first_s=t_s, last_s=t_s)
        return self.flows[key]

    def _flow_ended(self, t_s: float, node: str, program: str, data: Mapping[str, Any]) -> None:
        """Record the end of a flow; events of the same name with other fields are ignored."""
        peer, count, duration_s = data.get("peer"), data.get("bytes"), data.get("duration_s", 0.0)
        if not (isinstance(peer, str) and isinstance(count, int) and isinstance(duration_s, int | float)):
            return
        flow = self._flow(peer, node, program, t_s)
        flow.ended_bytes += count
        flow.bytes, flow.now_bps = flow.ended_bytes, 0.0
        flow.first_s = min(flow.first_s, t_s - duration_s)
        flow.last_s = max(flow.last_s, t_s)

    def _probe(self, node: str, peer: str, sent_s: float, rtt_s: float) -> None:
        pair = self._pair(node, peer)
        pair.received += 1
        pair.sum_s += rtt_s
        pair.seen_s = rtt_s
        pair.expected_s = pair.error_s = None
        if self.expected_rtt is None:
            return
        expected = self.expected_rtt.round_trip(node, peer, sent_s)
        if expected is None:
            return
        pair.expected_s = expected.rtt_s
        pair.expected_sum_s += expected.rtt_s
        pair.expected_count += 1
        pair.expected_seen_s += rtt_s
        pair.error_s = rtt_s - expected.rtt_s
        self._open.append(_OpenProbe(sent_s, sent_s + rtt_s, expected, pair, abs(pair.error_s)))

    def _lost(self, node: str, peer: str, sent_s: float) -> None:
        pair = self._pair(node, peer)
        pair.lost += 1
        expected = self.expected_rtt.round_trip(node, peer, sent_s) if self.expected_rtt is not None else None
        if expected is not None:
            self._open.append(_OpenProbe(sent_s, sent_s + expected.rtt_s, expected, pair, None))

    def settle(self, reported_s: float) -> None:
        """Classify the probes that arrived until `reported_s`, up to which all links have reported."""
        while self._open and self._open[0].arrived_s <= reported_s and self.expected_rtt is not None:
            probe = self._open.popleft()
            if self.expected_rtt.busy(probe.expected, probe.sent_s):
                self.queued += 1
            elif probe.error_s is None:
                self.unqueued_lost += 1
            else:
                self.unqueued += 1
                if len(self.errors_s) < PROBE_ERRORS:
                    self.errors_s.append(probe.error_s)
                    probe.pair.errors_s.append(probe.error_s)


def fits(pattern: str, *texts: str) -> bool:
    """Whether one of the texts contains `pattern`, or matches it as a glob."""
    if any(sign in pattern for sign in "*?["):
        return any(fnmatchcase(text, pattern) for text in texts)
    return any(pattern.lower() in text.lower() for text in texts)


def words(data: Mapping[str, Any]) -> str:
    """The fields of an event on one line, with times of day in readable form."""
    if isinstance(t0_utc_ns := data.get("t0_utc_ns"), int):
        return f"time 0 is {datetime.fromtimestamp(t0_utc_ns * 1e-9, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return " ".join(_short(value) if name == "do" else f"{name}={_short(value)}" for name, value in data.items())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ",".join(map(_short, value)) if len(value) <= 4 else f"[{len(value)} values]"
    return str(value) or "-"
