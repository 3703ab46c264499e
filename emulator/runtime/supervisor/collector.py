"""The collector writes what nodes and relay report into the run folder, and derives the live figures from it.

Invariant: every record goes to its log exactly as it came; the live figures (probes, flows, the tail of events) are
derived from the same records, so screen, verdict and Parquet files cannot disagree.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emulator.link.lateness import Lateness
from emulator.link.stats import EndStats
from emulator.observe.live_metrics import HISTORY, LiveMetrics
from emulator.observe.panels import Panels
from emulator.record.events import EventLog, SampleLog
from emulator.record.links import ZERO, LinkInterval, LinkLog, drops_by_cause
from emulator.record.verdict.schema import LATE_CAUSES, Quantiles
from emulator.runtime.control.channel import Message
from emulator.runtime.programs.processes import Process

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.record.folder import RunFolder


class Collector:
    """Records in, logs and live figures out. `panels`: of the protocols that the run's programs speak."""

    def __init__(self, folder: RunFolder, network: Network, panels: Panels | None = None) -> None:
        self._network = network
        self.metrics = LiveMetrics(panels)
        self.events = EventLog(folder)
        self.samples = SampleLog(folder)
        self.end_names = [network.end_name(end) for end in range(2 * len(network.links))]
        self.numbers = {name: end for end, name in enumerate(self.end_names)}
        self.links = LinkLog(folder, self.end_names)
        self.t0_ns = 0
        self.dropped_records = 0
        self.counters: dict[int, list[float]] = {}  # cumulative, by end
        self.lateness = Lateness()
        self.relay: Message = {}  # its last report
        self.saturated = 0
        self.realtime = 0  # reports of an engine in a real-time class
        self.reports = 0  # a report comes in several messages where many ends did something
        self._report_s = -1.0
        self._live_of: list[LinkInterval] | None = None
        self._intervals: dict[str, LinkInterval] = {}
        self._drops: dict[str, int] = {}
        self.history_bps: dict[str, deque[float]] = {}  # delivered, by end; as far back as HISTORY intervals
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
            self.metrics.sample(t_s, process.node, process.program, name, value, key)

    def event(self, t_s: float, node: str, program: str, kind: str, data: dict[str, Any]) -> None:
        """An event of a node or of the runtime itself."""
        self.events.append(t_s, node, program, kind, data)
        self.metrics.event(t_s, node, program, kind, data)

    def dropped(self, process: Process, count: int) -> None:
        self.dropped_records += count

    def relay_report(self, message: Message) -> None:
        """A "stats" message of the relay."""
        if message["op"] != "stats":
            return
        reported_s = 0.0
        self.counters.update(message["ends"])
        if "lateness" in message and message["t_s"] != self._report_s:
            self.relay = message
            self._report_s = message["t_s"]
            self.lateness = Lateness.unpack(message["lateness"])
            self.reports += 1
            self.saturated += bool(message.get("saturated"))
            self.realtime += bool(message.get("realtime"))
            reported_s = float(message.get("told_s", 0.0))
        self.on_load(message["t_s"], message["ends"])
        self.metrics.settle(reported_s)
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

    def drops_of(self, end: str) -> dict[str, int]:
        """Drops of one end in the whole run by cause, those that occurred."""
        found = drops_by_cause({0: self.counters.get(self.numbers[end], ZERO)})
        return {cause: count for cause, count in found.items() if count}

    def lateness_ms(self) -> Quantiles:
        return {
            "p50": self.lateness.quantile(0.5) * 1e3,
            "p99": self.lateness.quantile(0.99) * 1e3,
            "max": self.lateness.max_s * 1e3,
        }

    def late_by(self) -> str:
        """What most of the lateness of packets came from so far; "" where none was late."""
        late = self.relay.get("late")
        return max(LATE_CAUSES, key=lambda cause: late[f"{cause}_s"]) if late and late["packets"] else ""

    def intervals(self) -> dict[str, LinkInterval]:
        """What each link end that did something did in the last interval, by its name."""
        self._follow_intervals()
        return self._intervals

    def drops_so_far(self) -> dict[str, int]:
        """`drops` as of the last interval of links, for the screen."""
        self._follow_intervals()
        return self._drops

    def _follow_intervals(self) -> None:
        """Worked out once an interval: with thousands of ends it costs more than all else that a snapshot shows."""
        latest = self.links.latest
        if self._live_of is latest:
            return
        self._live_of, self._drops = latest, self.drops()
        self._intervals = {row.end: row for row in latest}
        for end in self._intervals.keys() - self.history_bps.keys():
            self.history_bps[end] = deque(maxlen=HISTORY)
        for end, history in self.history_bps.items():
            row = self._intervals.get(end)
            history.append(row.delivered_bps if row is not None else 0.0)

    def worst_links(self, count: int) -> list[tuple[int, float]]:
        """The ends whose packets were latest: end and seconds."""
        late = [(end, late_s) for end, values in self.counters.items() if (late_s := values[EndStats.LATE_MAX_S]) > 0]
        return sorted(late, key=lambda item: -item[1])[:count]
