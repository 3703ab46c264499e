"""The exporter for Prometheus: names, labels, values, and that scrapes follow the newest snapshot."""

from __future__ import annotations

import queue
import urllib.request

import pytest

from emulator.model.errors import PlatformError, UsageError
from emulator.ui import metrics

SNAPSHOT = {
    "scenario": "leo", "run_id": "abc", "seed": 7, "t_s": 12.5, "duration_s": 60.0, "handovers": 3,
    "lateness_ms": {"p50": 0.1, "p99": 2.0, "max": 4.0}, "lateness_limit_ms": 5.0, "warnings": ["slow"],
    "drops": {"queue": 4, "loss": 0},
    "probes": [{"pair": "a → b", "seen_ms": 30.0, "asked_ms": 29.0, "lost": 1, "sent": 9}, {"pair": "b", "lost": 0}],
    "flows": [{"pair": "a → b", "bytes": 1000, "now_bps": 5e6}, {"pair": "a → b", "bytes": 1, "now_bps": 1.0}],
    "links": [{"end": "a:up", "asked_ms": 10.0, "seen_ms": 11.0, "rate_bps": 1e6, "capacity_bps": 4e6}],
    "node_rows": [{"node": "a", "cpu": 0.25, "memory_bytes": 3_000_000, "state": "failed"}],
    "panels": [
        {"protocol": "p", "title": "P", "widgets": [
            {"kind": "chart", "title": "rates", "x_label": "", "y_label": "", "x": [0.0, 1.0, 2.0],
             "series": [{"name": "up", "values": [1.0, 8.0, None]}, {"name": "none", "values": [None] * 3}]}]}
    ],
}  # fmt: skip


class Watched:
    """A run whose snapshots the test puts in."""

    def __init__(self):
        self.queue = queue.Queue()

    def snapshots(self):
        while (snapshot := self.queue.get()) is not None:
            yield snapshot

    def shutdown(self):
        self.queue.put(None)

    def close(self):
        self.closed = True


def page(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()


def test_a_scrape_has_what_the_newest_snapshot_says():
    from prometheus_client.parser import text_string_to_metric_families

    watched = Watched()
    exporter = metrics.Exporter(watched, "127.0.0.1", 0)
    try:
        assert "skyloom_run_info" in page(exporter.port)  # before the first snapshot, too
        watched.queue.put(SNAPSHOT)
        assert exporter.ready.wait(5)
        found = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(page(exporter.port))
            for sample in family.samples
        }
    finally:
        exporter.close()
    assert watched.closed
    expected = {
        ("skyloom_run_info", "7", "abc", "leo"): 1.0,
        ("skyloom_scenario_time_seconds",): 12.5,
        ("skyloom_lateness_seconds", "0.99"): 0.002,
        ("skyloom_lateness_limit_seconds",): 0.005,
        ("skyloom_handovers_total",): 3.0,
        ("skyloom_drops_total", "queue"): 4.0,
        ("skyloom_probe_rtt_seconds", "a → b"): 0.03,
        ("skyloom_probes_lost_total", "a → b"): 1.0,
        ("skyloom_flow_bits_per_second", "a → b"): 5e6,
        ("skyloom_link_delay_asked_seconds", "a:up"): 0.01,
        ("skyloom_link_capacity_bits_per_second", "a:up"): 4e6,
        ("skyloom_node_cpu_cores", "a"): 0.25,
        ("skyloom_node_up", "a"): 0.0,
        ("skyloom_protocol_value", "p", "rates", "up"): 8.0,
    }
    assert expected.items() <= found.items()
    assert ("skyloom_protocol_value", "p", "rates", "none") not in found


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [(":9464", "127.0.0.1", 9464), ("9464", "127.0.0.1", 9464), ("0.0.0.0:1", "0.0.0.0", 1), ("[::1]:80", "::1", 80)]
)  # fmt: skip
def test_addresses(text, host, port):
    assert metrics.address(text) == (host, port)


@pytest.mark.parametrize("text", ["", ":", "localhost", ":99999", "a:b"])
def test_nonsense_is_refused(text):
    with pytest.raises(UsageError, match="expected HOST:PORT"):
        metrics.address(text)


def test_a_port_in_use_is_told_before_anything_runs():
    watched = Watched()
    exporter = metrics.Exporter(watched, "127.0.0.1", 0)
    try:
        with pytest.raises(PlatformError, match="choose another port"):
            metrics.Exported(None, f":{exporter.port}")
    finally:
        exporter.close()


def test_the_dashboard_asks_for_metrics_that_exist():
    import json
    import re
    from pathlib import Path

    dashboard = json.loads((Path(__file__).parents[3] / "docs" / "grafana-dashboard.json").read_text())
    asked = set()
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            asked |= set(re.findall(r"skyloom_\w+", target["expr"]))
    served = set()
    for family in metrics.families(SNAPSHOT):
        served |= {sample.name for sample in family.samples}
    assert asked
    assert asked <= served
