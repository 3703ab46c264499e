"""What the schedule asks of a round trip, against paths worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from emulator.link.stats import EndStats
from emulator.network import EndSpec, Knots, LinkSpec, Network, NodeSpec
from emulator.runtime.fidelity import PROBE_BITS, Asked
from emulator.schedule.ring import RowRing
from emulator.schedule.timeline import KnotTimeline

RATE_BPS = 1e6


def knots(start_s, end_s, rate_bps=RATE_BPS):
    """Delay that goes from one value to another over ten seconds."""
    return Knots(
        np.array([0.0, 10.0]), np.array([start_s, end_s]), np.full(2, rate_bps), np.zeros(2), np.array([True, True])
    )


@pytest.fixture
def asked():
    """a - m - b, where m is no end point; the way back is slower, and all delays grow."""
    nodes = (
        NodeSpec("a", "host", True, "10.0.0.1"),
        NodeSpec("m", "satellite", False, "10.0.0.2"),
        NodeSpec("b", "host", True, "10.0.0.3"),
    )
    links = (
        LinkSpec("a:up", 0, 1, "up", "x", EndSpec(knots=knots(0.010, 0.020)), EndSpec(knots=knots(0.030, 0.030))),
        LinkSpec("m:y", 1, 2, "y", "up", EndSpec(knots=knots(0.005, 0.005)), EndSpec(knots=knots(0.001, 0.011))),
    )
    timeline = KnotTimeline(nodes, links)
    ring = RowRing(ends=4, nodes=3, dests=2, capacity=16)
    for row in timeline.rows(0, 12):
        ring.put(row)
    return Asked(Network(nodes, links, timeline), ring)


def by_hand(sent_s):
    there = 0.010 + 0.001 * sent_s + 0.005
    return there + 0.030 + 0.001 + 0.001 * (sent_s + there)


@pytest.mark.parametrize("sent_s", [0.0, 0.25, 3.5, 9.2])
def test_delays_are_read_at_the_times_of_travel(asked, sent_s):
    trip = asked.round_trip("a", "b", sent_s)
    assert trip.rtt_s == pytest.approx(by_hand(sent_s) + 4 * PROBE_BITS / RATE_BPS, abs=1e-6)
    assert not trip.busy


def test_unknown_nodes_and_times_are_not_guessed(asked):
    assert asked.round_trip("a", "zebra", 1.0) is None
    assert asked.round_trip("a", "b", 99.0) is None


def test_altered_ends_are_not_compared(asked):
    asked.altered({2})
    assert asked.round_trip("a", "b", 1.0) is None
    asked.altered(set())
    assert asked.round_trip("a", "b", 1.0) is not None


def counters(sent_bytes):
    values = [0.0] * len(EndStats)
    values[EndStats.SENT_BYTES] = sent_bytes
    return values


def test_a_busy_link_marks_the_trips_over_it(asked):
    asked.load(1.0, {0: counters(1000)})
    asked.load(2.0, {0: counters(1000 + RATE_BPS / 8 * 0.5)})
    assert asked.round_trip("a", "b", 2.1).busy
    assert asked.round_trip("b", "a", 2.1).busy
    assert not asked.round_trip("a", "b", 9.0).busy


def test_a_link_with_little_on_it_is_not_busy(asked):
    asked.load(1.0, {0: counters(0)})
    asked.load(2.0, {0: counters(RATE_BPS / 8 * 0.01)})
    assert not asked.round_trip("a", "b", 2.1).busy


def test_remembered_rows_outlive_the_ring():
    nodes = (NodeSpec("a", "host", True, "10.0.0.1"), NodeSpec("b", "host", True, "10.0.0.2"))
    links = (LinkSpec("a:x", 0, 1, "x", "x", EndSpec(knots=knots(0.01, 0.01)), EndSpec(knots=knots(0.01, 0.01))),)
    timeline = KnotTimeline(nodes, links)
    ring = RowRing(ends=2, nodes=2, dests=2, capacity=3)
    asked = Asked(Network(nodes, links, timeline), ring)
    for row in timeline.rows(0, 6):
        ring.put(row)
        asked.remember(row.step)
    assert asked.round_trip("a", "b", 0.5).rtt_s == pytest.approx(0.02 + 2 * PROBE_BITS / RATE_BPS)
