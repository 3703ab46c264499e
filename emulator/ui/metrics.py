"""Figures of a live run for Prometheus: what the live screen shows, at http://HOST:PORT/metrics.

Invariant: the exporter is one more screen, in another thread with a connection of its own; a scrape reads the newest
snapshot and never touches the run. Names follow the habits of Prometheus: base units, `_total` for what only grows.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from emulator.model.errors import PlatformError, UsageError
from emulator.observe.snapshot import Snapshot
from emulator.observe.view import View

if TYPE_CHECKING:
    from emulator.client.run_handle import RunHandle
    from emulator.client.watch import Watch
    from emulator.ui.terminal.live import LiveScreen

VIEW: View = {"panel": "protocol", "rows": 60}
LOCAL = "127.0.0.1"
Labels = dict[str, str]


def address(text: str) -> tuple[str, int]:
    """Host and port of "9464", ":9464" or "0.0.0.0:9464". Without a host only this machine is served. UsageError."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise UsageError(f"--metrics {text!r}; expected HOST:PORT or :PORT, such as :9464")
    return host.strip("[]") or LOCAL, int(port)


class Exporter:
    """Serves the newest snapshot of a run until `close`, or until the run ends. `port` 0 takes a free one."""

    def __init__(self, watch: Watch, host: str, port: int) -> None:
        from prometheus_client import start_http_server
        from prometheus_client.registry import CollectorRegistry

        self._watch = watch
        self._latest: Snapshot = {}
        self.ready = threading.Event()  # there is a snapshot
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            watch.close()
            raise PlatformError(f"--metrics {host}:{port}: {error.strerror}; choose another port") from None
        self.port: int = self._server.server_port
        self._follower = threading.Thread(target=self._follow, daemon=True, name="metrics")
        self._follower.start()

    def collect(self) -> Iterator[Any]:
        """The metrics of the newest snapshot; called by prometheus_client for each scrape."""
        yield from families(self._latest)

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._watch.shutdown()
        self._follower.join(2.0)
        self._watch.close()

    def _follow(self) -> None:
        with suppress(OSError, ValueError):
            for snapshot in self._watch.snapshots():
                self._latest = snapshot
                self.ready.set()


def families(snapshot: Snapshot) -> Iterator[Any]:
    """What one snapshot says, as metric families of prometheus_client."""
    run = {"scenario": snapshot.get("scenario", ""), "run": snapshot.get("run_id", "")}
    yield _gauge("run_info", "The run: scenario, id, seed.", [({**run, "seed": str(snapshot.get("seed", ""))}, 1.0)])
    if "t_s" in snapshot:
        yield _gauge("scenario_time_seconds", "Scenario time.", [({}, snapshot["t_s"])])
        yield _gauge("scenario_duration_seconds", "How long is played.", [({}, snapshot.get("duration_s", 0.0))])
    late = snapshot.get("lateness_ms")
    if late is not None:
        rows: list[tuple[Labels, float]] = [
            ({"quantile": "0.5"}, late["p50"] / 1e3),
            ({"quantile": "0.99"}, late["p99"] / 1e3),
            ({"quantile": "1"}, late["max"] / 1e3),
        ]
        yield _gauge("lateness_seconds", "How much later than asked packets left, since the start of play.", rows)
    if "lateness_limit_ms" in snapshot:
        limit_s = snapshot["lateness_limit_ms"] / 1e3
        yield _gauge("lateness_limit_seconds", "p99 past which the run is not to be trusted.", [({}, limit_s)])
    yield _gauge("warnings", "Warnings so far.", [({}, float(len(snapshot.get("warnings", []))))])
    yield _counter("handovers", "Handovers so far.", [({}, float(snapshot.get("handovers", 0)))])
    drops = snapshot.get("drops", {})
    yield _counter("drops", "Packets dropped by cause.", [({"cause": cause}, float(n)) for cause, n in drops.items()])
    yield from _traffic(snapshot)
    yield from _links(snapshot)
    yield from _nodes(snapshot)
    yield from _protocols(snapshot)
    capture = snapshot.get("capture")
    if capture is not None:
        yield _counter("captured_packets", "Packets in the capture.", [({}, float(capture.get("packets", 0)))])
        yield _counter(
            "capture_missed_packets", "Not captured for want of time.", [({}, float(capture.get("missed", 0)))]
        )


def _traffic(snapshot: Snapshot) -> Iterator[Any]:
    probes, flows = snapshot.get("probes", []), snapshot.get("flows", [])
    seen = [({"pair": row["pair"]}, row["seen_ms"] / 1e3) for row in probes if "seen_ms" in row]
    asked = [({"pair": row["pair"]}, row["asked_ms"] / 1e3) for row in probes if "asked_ms" in row]
    yield _gauge("probe_rtt_seconds", "Last round trip of a probed pair.", seen)
    yield _gauge("probe_rtt_asked_seconds", "What the schedule asked of it.", asked)
    lost = [({"pair": row["pair"]}, float(row.get("lost", 0))) for row in probes]
    yield _counter("probes_lost", "Probes lost.", lost)
    yield _gauge(
        "flow_bits_per_second", "Goodput of a flow.", [({"pair": r["pair"]}, r.get("now_bps", 0.0)) for r in flows]
    )
    yield _counter(
        "flow_bytes", "Bytes that a flow has delivered.", [({"pair": r["pair"]}, float(r["bytes"])) for r in flows]
    )


def _links(snapshot: Snapshot) -> Iterator[Any]:
    for name, key, scale, text in (
        ("link_delay_asked_seconds", "asked_ms", 1e-3, "Delay asked of a link end."),
        ("link_delay_seen_seconds", "seen_ms", 1e-3, "Delay that its packets had."),
        ("link_offered_bits_per_second", "asked_bps", 1.0, "Offered by the sender."),
        ("link_delivered_bits_per_second", "rate_bps", 1.0, "Delivered."),
        ("link_capacity_bits_per_second", "capacity_bps", 1.0, "What the schedule grants."),
    ):
        rows = [({"end": row["end"]}, float(row[key]) * scale) for row in snapshot.get("links", []) if key in row]  # type: ignore[literal-required]
        yield _gauge(name, f"{text} The link ends that drop or carry most.", rows)


def _nodes(snapshot: Snapshot) -> Iterator[Any]:
    rows = snapshot.get("node_rows", [])
    yield _gauge(
        "node_cpu_cores", "Cores that a node's processes use.", [({"node": r["node"]}, r["cpu"]) for r in rows]
    )
    memory = [({"node": row["node"]}, float(row["memory_bytes"])) for row in rows]
    yield _gauge("node_memory_bytes", "Memory of a node's processes.", memory)
    yield _gauge(
        "node_up", "Whether a node's programs run.", [({"node": r["node"]}, float(r["state"] == "up")) for r in rows]
    )


def _protocols(snapshot: Snapshot) -> Iterator[Any]:
    """The newest value of each line of each chart that a protocol's panel draws."""
    rows: list[tuple[Labels, float]] = []
    for panel in snapshot.get("panels", []):
        for widget in panel["widgets"]:
            if widget["kind"] == "chart":
                for series in widget["series"]:
                    values = [value for value in series["values"] if value is not None]
                    if values:
                        labels = {"protocol": panel["protocol"], "chart": widget["title"], "series": series["name"]}
                        rows.append((labels, float(values[-1])))
    yield _gauge("protocol_value", "Newest value of a line of a protocol's panel, in the unit of the chart.", rows)


def _gauge(name: str, text: str, rows: Iterable[tuple[Labels, float]]) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily, name, text, rows)


def _counter(name: str, text: str, rows: Iterable[tuple[Labels, float]]) -> Any:
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily, name, text, rows)


def _filled(family: Any, name: str, text: str, rows: Iterable[tuple[Labels, float]]) -> Any:
    found = list(rows)
    labels = list(found[0][0]) if found else []
    made = family(f"skyloom_{name}", text, labels=labels)
    seen: set[tuple[str, ...]] = set()
    for given, value in found:
        key = tuple(given.values())
        if key not in seen:  # two flows of one pair
            seen.add(key)
            made.add_metric(list(key), value)
    return made


class Exported:
    """A screen beside which a run's figures are served while it is followed. The port is tried before anything runs."""

    def __init__(self, screen: LiveScreen, text: str) -> None:
        self._screen = screen
        self._host, self._port = address(text)
        try:
            with socket.create_server((self._host, self._port)):
                pass
        except OSError as error:
            raise PlatformError(f"--metrics {text}: {error.strerror}; choose another port") from None

    def follow(self, handle: RunHandle, /) -> bool:
        """As the screen does. The exporter ends with the command: a run that is left alone serves nothing."""
        from emulator.client.watch import Watch

        try:
            exporter = Exporter(Watch(handle.folder.run_id, VIEW), self._host, self._port)
        except BaseException:
            handle.stop()
            raise
        try:
            return self._screen.follow(handle)
        finally:
            exporter.close()
