"""The panel and the figures of traffic: what they show of records with known content."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.record.events import EventLog, SampleLog
from emulator.record.folder import RunFolder
from emulator.record.links import LinkLog
from emulator.record.load import Run, load_run
from emulator.report import drawing
from emulator.sdk.protocol import PanelContext
from nodes.traffic.figures import figures
from nodes.traffic.panel import ALL, TrafficPanel


def panel(**configs: dict[str, Any]) -> TrafficPanel:
    return TrafficPanel(PanelContext(("a", "b", "c"), configs, {}, (), 60.0))


def facts(of: TrafficPanel) -> dict[str, str]:
    (found,) = [widget for widget in of.widgets(10.0) if widget["kind"] == "facts"]
    return {row[0]: row[1] for row in found["rows"]}


def test_round_trips_and_losses() -> None:
    of = panel(probe={})
    for number in range(20):
        of.sample(number * 0.5, "a", "rtt_s", 0.1, "b")
        of.sample(number * 0.5, "a", "rtt_s", 0.3, "c")
    for _ in range(10):
        of.sample(9.0, "a", "probe_lost", 1.0, "c")
    assert facts(of)["probes lost"] == "10 (20.00%)"
    assert facts(of)["probes answered"] == "40 of 2 pairs"
    chart, _, listing = of.widgets(10.0)
    assert chart["kind"] == "chart"
    assert [series["name"] for series in chart["series"]] == [ALL, "a → b", "a → c"]
    assert chart["series"][2]["values"] == pytest.approx([300.0] * 20, rel=0.003)
    assert listing["kind"] == "listing"
    assert listing["rows"] == [["a → c", "10", "33.3%", "300.0"]]


def test_pairs_with_transfers_have_the_lines() -> None:
    of = panel(probe={}, bulk={"flows": ["b -> c"]}, request={"pairs": ["c -> a"]})
    for node, peer in (("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")):
        of.sample(1.0, node, "rtt_s", 0.1, peer)
    chart = of.widgets(10.0)[0]
    assert chart["kind"] == "chart"
    assert [series["name"] for series in chart["series"]] == [ALL, "b → c", "c → a"]


def test_flows_and_requests() -> None:
    of = panel(bulk={}, request={})
    for t_s in (1.0, 2.0):
        of.sample(t_s, "b", "goodput_bps", 4e6, "a")
        of.sample(t_s, "b", "flow_bytes", 500_000 * t_s, "a")
    for latency_s in (0.1, 0.2, 0.3):
        of.sample(1.0, "a", "latency_s", latency_s, "c")
    of.event(2.0, "a", "request-failed", {"peer": "c", "text": "timed out"})
    assert facts(of)["flows"] == "1, 4.00 Mbit/s now, 1.0 MB"
    assert facts(of)["requests answered"] == "3, 1 failed"
    p50_ms, p95_ms = (float(part.split(" ")[0]) for part in facts(of)["latency of requests"].split(", "))
    assert (p50_ms, p95_ms) == pytest.approx((200.0, 300.0), rel=0.003)
    rates = of.widgets(10.0)[0]
    assert rates["kind"] == "chart"
    assert rates["series"][0]["values"] == [None, 4.0, 4.0]
    of.event(3.0, "b", "flow", {"peer": "a", "flow": 0, "bytes": 1_000_000, "duration_s": 2.0, "mean_bps": 4e6})
    assert facts(of)["flows"] == "1, 0.00 Mbit/s now, 1.0 MB"


@pytest.fixture
def run(tmp_path: Any) -> Run:
    folder = RunFolder.create(tmp_path, "own")
    folder.write_scenario('name = "own"\n')
    events, samples, links = EventLog(folder), SampleLog(folder), LinkLog(folder, ["a:x"])
    for number in range(8):
        samples.append(float(number), "h0", "ask", "latency_s", "h1", 0.1)
        for receiver in range(1, 9):
            samples.append(float(number), f"h{receiver}", "move", "goodput_bps", "h0", receiver * 1e6)
    for spool in (events, samples, links):
        spool.finish()
    return load_run(folder.path)


def test_figures_of_a_run_without_probes(run: Run) -> None:
    goodput, requests = figures(run)
    picture = drawing.svg(goodput.figure)
    assert ">h0 → h8</text>" in picture  # the fastest
    assert ">h0 → h2</text>" not in picture
    assert goodput.caption == "What arrived at the receivers. The 6 fastest of 8 pairs."
    assert requests.caption.startswith("8 requests")
