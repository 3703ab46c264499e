"""What the collector makes of the relay's reports."""

from __future__ import annotations

import pytest

from emulator.link.lateness import Lateness
from emulator.link.stats import EndStats
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule
from emulator.record import RunFolder
from emulator.runtime.supervisor.collector import Collector


@pytest.fixture
def collector(tmp_path):
    nodes = (NodeSpec("a", "host", True, "10.0.0.1"), NodeSpec("b", "host", True, "10.0.0.2"))
    end = EndSpec(schedule=PiecewiseSchedule.constant())
    return Collector(RunFolder.create(tmp_path, "x"), Network(nodes, (LinkSpec("a:up", 0, 1, "up", "up", end, end),)))


def counters(packets, lost=0):
    values = [0.0] * len(EndStats)
    values[EndStats.SENT_PACKETS], values[EndStats.SENT_BYTES] = packets + lost, 1000 * (packets + lost)
    values[EndStats.DELIVERED_PACKETS], values[EndStats.DELIVERED_BYTES] = packets, 1000 * packets
    values[EndStats.DROP_LOSS] = lost
    return values


def report(collector, t_s, ends, saturated=False, final=False):
    """One report in as many messages as there are ends."""
    for end, values in ends.items():
        last = final and end == list(ends)[-1]
        collector.relay_report(
            {
                "op": "stats", "t_s": t_s, "ends": {end: values}, "lateness": Lateness().pack(),
                "saturated": saturated, "final": last,
            }
        )  # fmt: skip


def test_reports_are_counted_however_many_messages_they_need(collector):
    report(collector, 0.25, {0: counters(1), 1: counters(2)}, saturated=True)
    report(collector, 0.50, {0: counters(3), 1: counters(2)})
    assert (collector.saturated, collector.reports) == (1, 2)


def test_the_screen_follows_the_intervals_and_the_verdict_the_last_word(collector):
    report(collector, 1.0, {0: counters(10, lost=1), 1: counters(5)})
    report(collector, 1.25, {0: counters(20, lost=4), 1: counters(5)})
    assert [(row.end, row.drops) for row in collector.intervals().values()] == [("a:up", 1), ("b:up", 0)]
    assert collector.drops_so_far()["loss"] == collector.drops()["loss"] == 4
    report(collector, 2.0, {0: counters(20, lost=6)}, final=True)
    assert collector.drops()["loss"] == 6
    assert [(row.end, row.drops) for row in collector.intervals().values()] == [("a:up", 5)]
    assert list(collector.history_bps["b:up"]) == [40_000.0, 0.0]
    assert collector.drops_of("a:up") == {"loss": 6}
