"""The owner of an engine in memory: offers, orders, what comes out, and the counters that it reads."""

import select
import socket
import threading
import time
from ctypes import c_int64
from math import inf
from typing import NamedTuple

import numpy as np
import pytest

from emulator.link.engine import binding, check, structures
from emulator.link.engine.binding import library_path
from emulator.link.engine.engine import Engine, new_order
from emulator.link.engine.structures import LATENESS_BUCKETS, OrderKind, Value
from emulator.link.engine.tables import memory_ports
from emulator.link.lateness import Lateness
from emulator.link.stats import EndStats
from emulator.link.taps import records
from emulator.model.errors import EmulationError
from emulator.model.network import Effects, EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule, ScheduleRow
from emulator.schedule.ring import RowRing

pytestmark = pytest.mark.skipif(not library_path().exists(), reason="the engine is not compiled here: `make setup`")
DEADLINE_S = 10.0
SMALL = {"small_slots": 256, "large_slots": 8}


class DevicePort(NamedTuple):
    node: int
    end: int
    fd: int
    ethernet: bool = False


def network_of(*knots, effects=None, nodes=2, names="host"):
    """A chain of live nodes: link i joins i and i + 1, and both of its ends follow knots[i]."""
    specs = tuple(NodeSpec(f"n{n}", names, True, f"10.0.0.{n + 1}") for n in range(nodes))
    ends = [EndSpec(effects or Effects(), table) for table in knots]
    links = tuple(LinkSpec(f"n{n}:e{n}", n, n + 1, f"e{n}", f"f{n}", end, end) for n, end in enumerate(ends))
    return Network(specs, links, routing="none")


def engine_of(network, **more):
    return Engine(network, memory_ports(network), None, 5, **SMALL | more)


def packet(size=100, mark=0, last=2):
    head = bytes([0x45, 0, *size.to_bytes(2, "big"), 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, last])
    return bytes(10) + head + bytes([mark]) * (size - 20)


def test_the_self_test_finds_nothing():
    assert check.self_test() == ""
    assert binding.built_with()


def test_packets_come_in_order_with_what_they_were():
    with engine_of(network_of(PiecewiseSchedule.constant(0.01, 8e5))) as engine:
        for place in range(3):
            assert engine.offer(0, 0.0, packet(mark=place))
        assert [delivery.data[-1] for delivery in engine.queued(0)] == [0, 1, 2]
        assert engine.next_s() <= 0.011
        engine.play(0.0115)
        assert [delivery.at_s for delivery in engine.take()] == pytest.approx([0.011])
        engine.offer(0, 0.0115, packet(mark=3))  # by now the second has left, and the third is being sent
        flying = engine.in_flight(0)
        assert [delivery.data[-1] for delivery in flying] == [1, 2]
        assert [delivery.at_s for delivery in flying] == pytest.approx([0.012, 0.013])
        engine.play(1.0)
        taken = engine.take()
        assert [delivery.at_s for delivery in taken] == pytest.approx([0.012, 0.013, 0.0225])
        assert [(d.end, d.node, d.size, d.data) for d in taken] == [(0, 1, 100, packet(mark=m)) for m in (1, 2, 3)]
        assert engine.take() == engine.queued(0) == engine.in_flight(0) == []
        assert engine.next_s() == inf


def test_more_packets_are_taken_than_one_call_brings(monkeypatch):
    from emulator.link.engine import engine as module

    monkeypatch.setattr(module, "MANY", 7)
    with engine_of(network_of(PiecewiseSchedule.constant(0.0))) as engine:
        for place in range(100):
            engine.offer(0, place * 0.001, packet(mark=place))
            engine.play(place * 0.001)
        assert [delivery.data[-1] for delivery in engine.take()] == list(range(100))


def test_counters_stand_in_the_order_of_end_stats():
    network = network_of(PiecewiseSchedule.constant(0.02, 8e5), effects=Effects(queue_packets=2))
    with engine_of(network) as engine:
        for _ in range(4):  # one in transmission, two wait, one finds no room
            engine.offer(0, 0.0, packet())
        engine.play(1.0)
        expected = [0.0] * len(EndStats)
        expected[EndStats.SENT_PACKETS], expected[EndStats.SENT_BYTES] = 4, 400
        expected[EndStats.DELIVERED_PACKETS], expected[EndStats.DELIVERED_BYTES] = 3, 300
        expected[EndStats.DROP_QUEUE] = 1
        expected[EndStats.ASKED_DELAY_SUM_S] = pytest.approx(0.06)
        assert engine.stats(0) == expected
        assert engine.all_stats().tolist() == [expected, [0.0] * len(EndStats)]


def test_counters_of_lanes_are_added_and_the_latest_counts():
    network = network_of(PiecewiseSchedule.constant(0.02))
    with engine_of(network, lanes=2, lane_of_node=[0, 1]) as engine:
        engine.received[:, 1] = [[3, 30, 0.5, 0.4, 1, 2, 5, 0], [4, 40, 0.25, 0.1, 10, 20, 50, 0]]
        engine.sent[1, structures.Sent.DROP_OVERLOAD] = 100
        stats = engine.stats(1)
        assert stats[EndStats.DELIVERED_PACKETS] == 7
        assert stats[EndStats.DELIVERED_BYTES] == 70
        assert stats[EndStats.LATE_SUM_S] == 0.75
        assert stats[EndStats.LATE_MAX_S] == 0.4
        assert stats[EndStats.DROP_OVERLOAD] == 111
        assert (stats[EndStats.DROP_NOROUTE], stats[EndStats.DROP_TTL]) == (22, 55)
        assert engine.all_stats()[1].tolist() == stats


def test_values_are_set_and_given_back_to_the_schedule():
    with engine_of(network_of(PiecewiseSchedule.constant(0.02))) as engine:
        engine.set(0, 0.0, delay_s=0.3, rate_bps=8e3)
        engine.offer(0, 0.0, packet())
        engine.set(0, 0.5, delay_s=None, rate_bps=None)
        engine.offer(0, 0.5, packet())
        engine.set(0, 1.0, up=False)
        engine.offer(0, 1.0, packet())
        engine.set(0, 1.1, up=None, loss=1.0)
        engine.offer(0, 1.1, packet())
        engine.play(2.0)
        assert [delivery.at_s for delivery in engine.take()] == pytest.approx([0.4, 0.52])
        stats = engine.stats(0)
        assert (stats[EndStats.DROP_OUTAGE], stats[EndStats.DROP_LOSS]) == (1, 1)


def test_a_held_end_keeps_what_it_has():
    with engine_of(network_of(PiecewiseSchedule.constant(0.02))) as engine:
        engine.hold(0, 0.0, True)
        engine.offer(0, 0.1, packet())
        engine.play(1.0)
        assert engine.take() == []
        assert len(engine.queued(0)) == 1
        engine.hold(0, 1.5, False)
        engine.play(2.0)
        assert [delivery.at_s for delivery in engine.take()] == pytest.approx([1.52])


def test_orders_say_what_they_set_and_what_they_clear():
    made = new_order(OrderKind.SET, 3, values={"up": True, "rate_bps": None, "delay_s": 0.5, "loss": None})
    assert (made.kind, made.end, made.up, made.delay_s) == (0, 3, 1, 0.5)
    assert (made.set, made.clear) == (Value.UP | Value.DELAY, Value.RATE | Value.LOSS)
    with pytest.raises(KeyError):
        new_order(OrderKind.SET, 3, values={"colour": 1})


def test_what_holds_is_told_as_the_schedule_says():
    knots = PiecewiseSchedule(*(np.array(c) for c in ([0.0, 2.0], [0.1, 0.3], [1e6, inf], [0.25, 0.0], [True, False])))
    with engine_of(network_of(knots)) as engine:
        assert engine.holds(0, 0.5) == (0.0, 2.0, 0.1, 0.3, 1e6, 0.25, True, 1, 2.0, 0)
        assert engine.holds(1, 2.5) == (2.0, inf, 0.3, 0.3, inf, 0.0, False, 0, inf, 0)


@pytest.mark.parametrize("threads", [False, True])
def test_lanes_give_what_one_lane_gives(threads):
    network = network_of(
        PiecewiseSchedule.constant(0.02, 1e6, 0.3), PiecewiseSchedule.constant(0.005, 2e6, 0.1), nodes=3
    )
    taken = []
    for lanes, lane_of_node in ((1, None), (3, [0, 1, 2])):
        with engine_of(network, lanes=lanes, lane_of_node=lane_of_node) as engine:
            for place in range(40):
                t_s = place * 0.001
                engine.play(t_s, threads)
                for end in range(4):
                    engine.offer(end, t_s, packet(100 + place, place))
            engine.play(1.0, threads)
            taken.append((sorted(engine.take()), engine.all_stats().tolist()))
    assert taken[0] == taken[1]
    assert taken[0][0]


class Steps:
    step_s = 1.0
    rates = substep = None

    def rows(self, first, count):
        raise AssertionError("the test puts the rows itself")


@pytest.mark.parametrize("threads", [False, True])
def test_a_delay_that_falls_with_a_step_is_seen_by_the_other_lane(threads):
    """n0 and n4 send to n3 over n2; the link n1-n2, which joins the lanes, is much shorter in the second step. So what
    comes over it soon after the step's begin must still be passed on before what n4 sent."""
    nodes = tuple(NodeSpec(f"n{n}", "router", n not in (1, 2), f"10.0.0.{n + 1}", forwards=True) for n in range(5))
    joined = ((0, 1), (1, 2), (2, 3), (4, 2))
    links = tuple(LinkSpec(f"l{n}", a, b, f"x{n}", f"y{n}") for n, (a, b) in enumerate(joined))
    network = Network(nodes, links, Steps())
    next_end = np.full((3, 5), -1, np.int32)
    next_end[1] = [0, 2, 4, -1, 6]
    peer = np.array([node for link in links for node in (link.b, link.a)], np.int32)
    ring = RowRing(8, 5, 3, 4)
    for step in range(3):
        delay_s, rate_bps = np.full(8, 0.01), np.full(8, inf)
        delay_s[2:4] = 0.001 if step else 0.1
        rate_bps[4] = 1e5
        ring.put(ScheduleRow(step, delay_s, delay_s, rate_bps, np.zeros(8), np.ones(8, bool), peer, next_end))
    taken = []
    for lane_of_node in (None, np.array([0, 0, 1, 1, 1], np.int32)):
        lanes = 1 if lane_of_node is None else 2
        with Engine(network, memory_ports(network), ring, 1, lanes=lanes, lane_of_node=lane_of_node, **SMALL) as engine:
            engine.offer(7, 0.94, packet(mark=0))  # something is due at 0.95, in the other lane
            engine.offer(0, 0.9905, packet(mark=1, last=4))  # at n2 at 1.0015
            engine.offer(6, 0.9999, packet(mark=2, last=4))  # at n2 at 1.0099
            engine.play(2.0, threads)
            taken.append([(delivery.at_s, delivery.data[-1]) for delivery in engine.take()])
    assert taken[0] == taken[1]
    assert [mark for _, mark in taken[0]] == [0, 1, 2]


def test_a_tap_keeps_what_crosses_its_ends():
    with engine_of(network_of(PiecewiseSchedule.constant(0.02))) as engine:
        engine.open_tap(3, 1 << 16, 40)
        assert engine.drain_tap(3) == b""
        engine.tap_ends(0, 1 << 3, 0.0)
        engine.offer(0, 0.25, packet(mark=9))
        engine.offer(1, 0.25, packet())
        engine.play(1.0)
        (record,) = records(engine.drain_tap(3))
        assert (record.left_ns, record.end, record.cause, record.original) == (250_000_000, 0, 0, 100)
        assert record.data == packet(mark=9)[10:50]
        assert engine.tap_lost(3) == 0
        with pytest.raises(EmulationError, match="tap 3 cannot be opened"):
            engine.open_tap(3, 1 << 16)
        engine.tap_ends(0, 0, 1.0)
        engine.close_tap(3)
        engine.open_tap(3, 1 << 16)


def test_lateness_of_lanes_is_merged_into_the_histogram_of_python():
    network = network_of(PiecewiseSchedule.constant(0.02))
    with engine_of(network, lanes=2, lane_of_node=[0, 1]) as engine:
        parts = [(1e-7, 3e-6, 0.004), (0.0, 0.0041, 1.5)]
        whole = Lateness()
        for lane, lates_s in enumerate(parts):
            own, report = Lateness(), engine.report(lane)
            for late_s in lates_s:
                own.add(late_s)
            whole.merge(own)
            report.lateness_sum_s, report.lateness_max_s = own.sum_s, own.max_s
            for bucket, count in own.counts.items():
                report.lateness[bucket] = count
        found = engine.lateness()
        assert found.pack() == whole.pack()
        assert found.quantile(0.99) == whole.quantile(0.99)


def test_an_hour_of_lateness_has_a_bucket():
    late = Lateness()
    late.add(3600.0)
    assert max(late.counts) < LATENESS_BUCKETS
    assert (c_int64 * LATENESS_BUCKETS)()[max(late.counts)] == 0


def test_lanes_run_in_real_time_and_obey():
    near, far = (socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2))
    for outside, inside in (near, far):
        outside.settimeout(DEADLINE_S)
        inside.setblocking(False)
    ports = [DevicePort(0, 0, near[1].fileno()), DevicePort(1, 1, far[1].fileno())]
    network = network_of(PiecewiseSchedule.constant(0.01))
    with Engine(network, ports, None, 5, lanes=2, lane_of_node=np.array([0, 1], np.int32), **SMALL) as engine:
        t0_ns = time.monotonic_ns()
        threads = [threading.Thread(target=engine.run, args=(lane, t0_ns, -1, False)) for lane in range(2)]
        for thread in threads:
            thread.start()
        try:
            near[0].send(packet(mark=7))
            assert far[0].recv(1 << 16) == packet(mark=7)
            engine.gate(True)
            number = engine.send(new_order(OrderKind.SET, 0, values={"delay_s": 0.05}))
            assert number == 1
            assert select.select([engine.order_fd], [], [], DEADLINE_S)[0]
            until = time.monotonic() + DEADLINE_S
            while engine.obeyed() < number:
                assert time.monotonic() < until
            engine.gate(False)
            sent_s = time.monotonic()
            near[0].send(packet(mark=8))
            assert far[0].recv(1 << 16) == packet(mark=8)
            assert time.monotonic() - sent_s >= 0.05
        finally:
            engine.send(new_order(OrderKind.STOP))
            for thread in threads:
                thread.join(DEADLINE_S)
        assert not any(thread.is_alive() for thread in threads)
        assert engine.stats(0)[EndStats.DELIVERED_PACKETS] == 2
        assert engine.stats(0)[EndStats.ASKED_DELAY_SUM_S] == pytest.approx(0.06)
        assert engine.lateness().total == 2
        assert engine.report(0).handed_over == 2
        assert engine.report(0).turns > 0
    for sides in (near, far):
        for side in sides:
            side.close()


def test_a_closed_engine_says_so():
    engine = engine_of(network_of(PiecewiseSchedule.constant(0.02)))
    engine.close()
    engine.close()
    with pytest.raises(EmulationError, match="was closed"):
        engine.play(1.0)


def test_an_engine_that_cannot_be_made_says_why():
    with pytest.raises(EmulationError, match=r"cannot be made: ."):
        engine_of(network_of(PiecewiseSchedule.constant(0.02)), small_slots=-1)
