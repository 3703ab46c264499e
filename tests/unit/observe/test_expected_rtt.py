"""What the schedule asks of a round trip, against paths worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.link.stats import EndStats
from emulator.model.network import (
    EndSpec,
    LinkSpec,
    Network,
    NodeSpec,
    PiecewiseSchedule,
    ScheduleRow,
    SubstepSpec,
    SubstepTables,
)
from emulator.observe.expected_rtt import PROBE_BITS, ExpectedRtt
from emulator.observe.live_metrics import LiveMetrics
from emulator.runtime.supervisor.ending import probe_loss
from emulator.schedule.ring import RowRing
from emulator.schedule.timeline import KnotTimeline

RATE_BPS = 1e6


def knots(start_s, end_s, rate_bps=RATE_BPS):
    """Delay that goes from one value to another over ten seconds."""
    return PiecewiseSchedule(
        np.array([0.0, 10.0]), np.array([start_s, end_s]), np.full(2, rate_bps), np.zeros(2), np.array([True, True])
    )


@pytest.fixture
def expected_rtt():
    """a - m - b, where m is no end point; the way back is slower, and all delays grow."""
    nodes = (
        NodeSpec("a", "host", True, "10.0.0.1"),
        NodeSpec("m", "satellite", False, "10.0.0.2", forwards=True, shared_downlink=True),
        NodeSpec("b", "host", True, "10.0.0.3"),
    )
    links = (
        LinkSpec("a:up", 0, 1, "up", "x", EndSpec(schedule=knots(0.010, 0.020)), EndSpec(schedule=knots(0.030, 0.030))),
        LinkSpec("m:y", 1, 2, "y", "up", EndSpec(schedule=knots(0.005, 0.005)), EndSpec(schedule=knots(0.001, 0.011))),
    )
    timeline = KnotTimeline(nodes, links)
    ring = RowRing(ends=4, nodes=3, dests=2, capacity=16)
    for row in timeline.rows(0, 12):
        ring.put(row)
    return ExpectedRtt(Network(nodes, links, timeline), ring)


def by_hand(sent_s):
    there = 0.010 + 0.001 * sent_s + 0.005
    return there + 0.030 + 0.001 + 0.001 * (sent_s + there)


@pytest.mark.parametrize("sent_s", [0.0, 0.25, 3.5, 9.2])
def test_delays_are_read_at_the_times_of_travel(expected_rtt, sent_s):
    trip = expected_rtt.round_trip("a", "b", sent_s)
    assert trip.rtt_s == pytest.approx(by_hand(sent_s) + 4 * PROBE_BITS / RATE_BPS, abs=1e-6)
    assert not expected_rtt.busy(trip, sent_s)


def test_unknown_nodes_and_times_are_not_guessed(expected_rtt):
    assert expected_rtt.round_trip("a", "zebra", 1.0) is None
    assert expected_rtt.round_trip("a", "b", 99.0) is None


def test_altered_ends_are_not_compared(expected_rtt):
    expected_rtt.altered({2})
    assert expected_rtt.round_trip("a", "b", 1.0) is None
    expected_rtt.altered(set())
    assert expected_rtt.round_trip("a", "b", 1.0) is not None


def counters(sent_bytes):
    values = [0.0] * len(EndStats)
    values[EndStats.SENT_BYTES] = sent_bytes
    return values


def test_a_busy_link_marks_the_trips_over_it(expected_rtt):
    expected_rtt.load(1.0, {0: counters(1000)})
    expected_rtt.load(2.0, {0: counters(1000 + RATE_BPS / 8 * 0.5)})
    assert expected_rtt.busy(expected_rtt.round_trip("a", "b", 2.1), 2.1)
    assert expected_rtt.busy(expected_rtt.round_trip("b", "a", 2.1), 2.1)
    assert not expected_rtt.busy(expected_rtt.round_trip("a", "b", 9.0), 9.0)


def test_a_link_with_little_on_it_is_not_busy(expected_rtt):
    expected_rtt.load(1.0, {0: counters(0)})
    expected_rtt.load(2.0, {0: counters(RATE_BPS / 8 * 0.01)})
    assert not expected_rtt.busy(expected_rtt.round_trip("a", "b", 2.1), 2.1)


def test_remembered_rows_outlive_the_ring():
    nodes = (NodeSpec("a", "host", True, "10.0.0.1"), NodeSpec("b", "host", True, "10.0.0.2"))
    links = (LinkSpec("a:x", 0, 1, "x", "x", EndSpec(schedule=knots(0.01, 0.01)), EndSpec(schedule=knots(0.01, 0.01))),)
    timeline = KnotTimeline(nodes, links)
    ring = RowRing(ends=2, nodes=2, dests=2, capacity=3)
    expected_rtt = ExpectedRtt(Network(nodes, links, timeline), ring)
    for row in timeline.rows(0, 6):
        ring.put(row)
        expected_rtt.remember(row.step)
    assert expected_rtt.round_trip("a", "b", 0.5).rtt_s == pytest.approx(0.02 + 2 * PROBE_BITS / RATE_BPS)


class Overtaken(RowRing):
    """A ring whose planner goes on to row `until` while a row that was asked for is being read."""

    rows = None
    until = -1

    def row(self, step):
        found = super().row(step)
        self.go_on()
        return found

    def go_on(self):
        while self.latest < self.until:
            self.put(next(self.rows))


@pytest.mark.parametrize(("until", "told"), [(5, True), (8, False)])
@pytest.mark.parametrize("copying", [False, True])
def test_a_row_that_is_overwritten_while_it_is_read_tells_nothing(until, told, copying):
    nodes = (NodeSpec("a", "host", True, "10.0.0.1"), NodeSpec("b", "host", True, "10.0.0.2"))
    links = (LinkSpec("a:x", 0, 1, "x", "x", EndSpec(schedule=knots(0.01, 0.02)), EndSpec(schedule=knots(0.01, 0.02))),)
    timeline = KnotTimeline(nodes, links)
    ring = Overtaken(ends=2, nodes=2, dests=2, capacity=4)
    ring.rows, ring.until = timeline.rows(0, 12), 4
    ring.go_on()
    expected_rtt = ExpectedRtt(Network(nodes, links, timeline), ring)
    ring.until = until
    if copying:
        expected_rtt.remember(3)
    trip = expected_rtt.round_trip("a", "b", 3.5)
    assert (trip is not None) == told
    if trip is not None:
        assert trip.rtt_s == pytest.approx(0.0135 + 0.01351 + 2 * PROBE_BITS / RATE_BPS, abs=1e-5)
    expected_rtt.load(3.5, {0: counters(0)})


GRANT_S = 0.02
STEP_S = 0.5
FLOOR_S = 0.005
FAST_BPS, SLOW_BPS = 1e7, 1e6


class Granted:
    """A timeline whose end 0 (n0 to n1) waits for a grant every 20 ms, and is ten times slower from the middle on."""

    step_s = STEP_S
    rates = None
    substep = SubstepSpec(np.array([0], dtype=np.int32), 60)

    def rows(self, first, count):
        table = np.array([[-1, 1], [0, -1]], dtype=np.int32)
        peer = np.array([1, 0], dtype=np.int32)
        delay = np.array([0.015, 0.010])
        rates, none, up = np.array([FAST_BPS, 1e6]), np.zeros(2), np.ones(2, dtype=bool)
        for step in range(first, first + count):
            grants = step * STEP_S + GRANT_S * np.arange(int(STEP_S / GRANT_S) + 1)
            t_s = np.repeat(grants, 2)[1:-1]
            wait = np.tile([GRANT_S, 0.0], len(grants) - 1)
            rate = np.where(t_s - step * STEP_S < STEP_S / 2, FAST_BPS, SLOW_BPS)
            knots = (column[None, :] for column in (t_s, FLOOR_S + wait, rate, t_s * 0, t_s < 1e9))
            substep = SubstepTables(np.array([len(t_s)], dtype=np.int32), *knots)
            yield ScheduleRow(step, delay, delay, rates, none, up, peer, table, (), substep)


def granted(capacity=8):
    nodes = tuple(NodeSpec(f"n{number}", "host", True, f"10.0.0.{number + 1}") for number in range(2))
    timeline = Granted()
    ring = RowRing(2, 2, 2, capacity=capacity, substep=timeline.substep)
    return ExpectedRtt(Network(nodes, (LinkSpec("n0:a", 0, 1, "a", "b"),), timeline), ring), timeline, ring


def waited(sent_s, rate_bps):
    """When a probe that waits for the next grant comes back."""
    departs_s = sent_s + PROBE_BITS / rate_bps
    grant_s = GRANT_S * np.ceil(departs_s / GRANT_S)
    return grant_s + FLOOR_S + 0.010 + PROBE_BITS / 1e6 - sent_s


@pytest.mark.parametrize(
    ("sent_s", "rate_bps"), [(0.0031, FAST_BPS), (0.0199999, FAST_BPS), (0.3012, SLOW_BPS), (0.7395, FAST_BPS)]
)
def test_a_path_with_finer_tables_is_followed_hop_by_hop(sent_s, rate_bps):
    expected_rtt, timeline, ring = granted()
    for row in timeline.rows(0, 4):
        ring.put(row)
    assert expected_rtt.round_trip("n0", "n1", sent_s).rtt_s == pytest.approx(waited(sent_s, rate_bps), abs=1e-9)


def test_remembered_finer_tables_outlive_the_ring():
    expected_rtt, timeline, ring = granted(capacity=3)
    for row in timeline.rows(0, 6):
        ring.put(row)
        expected_rtt.remember(row.step)
        if row.step == 0:
            assert expected_rtt.round_trip("n0", "n1", 0.0031) is not None  # read from the ring's own memory
    assert expected_rtt.round_trip("n0", "n1", 0.0031).rtt_s == pytest.approx(waited(0.0031, FAST_BPS), abs=1e-9)


def test_a_link_is_busy_by_the_lowest_rate_of_its_finer_table():
    expected_rtt, timeline, ring = granted()
    for row in timeline.rows(0, 8):
        ring.put(row)
    expected_rtt.load(0.5, {0: counters(0)})
    expected_rtt.load(1.5, {0: counters(SLOW_BPS / 8 * 0.07)})
    assert expected_rtt.busy(expected_rtt.round_trip("n0", "n1", 1.6), 1.6)


def board_of(expected_rtt):
    metrics = LiveMetrics()
    metrics.expected_rtt = expected_rtt
    return metrics


def probe(metrics, sent_s, error_s=0.0):
    """A probe from a to b at `sent_s` that came back, later than asked by `error_s`; None: that did not."""
    if error_s is None:
        metrics.sample(sent_s, "a", "probe", "probe_lost", 1.0, "b")
    else:
        metrics.sample(
            sent_s, "a", "probe", "rtt_s", metrics.expected_rtt.round_trip("a", "b", sent_s).rtt_s + error_s, "b"
        )


def test_probes_are_judged_when_their_links_have_reported(expected_rtt):
    metrics = board_of(expected_rtt)
    expected_rtt.load(1.0, {0: counters(0)})
    probe(metrics, 1.2, 0.05)  # a flow has begun, but no report says so yet
    metrics.settle(1.2)
    assert (metrics.queued, metrics.errors_s) == (0, [])
    expected_rtt.load(2.0, {0: counters(RATE_BPS / 8 * 0.5)})
    metrics.settle(2.0)
    assert (metrics.queued, metrics.errors_s) == (1, []), "it met the flow's queue"


def test_losses_are_counted_where_no_queue_was_met(expected_rtt):
    metrics = board_of(expected_rtt)
    expected_rtt.load(1.0, {0: counters(0)})
    expected_rtt.load(2.0, {0: counters(RATE_BPS / 8 * 0.5)})  # busy until 4.5 s
    for sent_s, error_s in ((1.5, None), (2.5, 0.03), (6.0, 0.0004), (6.5, None), (7.0, -0.0002), (7.5, 0.0)):
        probe(metrics, sent_s, error_s)
    metrics.settle(float("inf"))
    assert metrics.errors_s == pytest.approx([0.0004, 0.0002, 0.0], abs=1e-9)
    assert probe_loss(metrics) == {"share": 0.25, "lost": 1, "judged": 4, "queued": 2}
    assert metrics.probes["a", "b"].lost == 2, "the pair's own count has them all"


def test_without_a_schedule_no_probe_is_judged():
    metrics = LiveMetrics()
    metrics.sample(1.0, "a", "probe", "probe_lost", 1.0, "b")
    metrics.settle(float("inf"))
    assert probe_loss(metrics) == {}
