"""The relay with socket pairs as ports: routes, hop limits, handovers, orders and reports, without root or devices."""

import os
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from types import SimpleNamespace

import msgpack
import numpy as np
import pytest
from oracle.packet_bytes import destination, hop_limit, source
from written_packets import ip, udp

from emulator.link import relay
from emulator.link.relay import Relay
from emulator.link.stats import EndStats
from emulator.link.taps import records
from emulator.model.network import Effects, EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule, ScheduleRow
from emulator.schedule.ring import RowRing

DEADLINE_S = 10.0
STEP_S = 1.0


@pytest.fixture(autouse=True)
def quick_reports(monkeypatch):
    """Each link end is reported on ten times a second in place of once: tests wait for counters."""
    monkeypatch.setattr(relay, "REPORT_S", relay.REPORT_S / 10)


class Steps:
    """A timeline whose rows the test writes itself."""

    step_s = STEP_S

    def rows(self, first, count):
        raise AssertionError("the relay does not compute rows")


def node(number, live, role="host"):
    return NodeSpec(f"n{number}", role, live, f"10.0.0.{number + 1}", f"fd00::{number + 1:x}")


def row(network, step, next_end, peer=None, delay_s=0.0, up=True):
    ends = 2 * len(network.links)
    if peer is None:
        peer = [number for link in network.links for number in (link.b, link.a)]
    full = lambda value, kind=float: np.full(ends, value, kind)  # noqa: E731
    return ScheduleRow(
        step, full(delay_s), full(delay_s), full(inf), full(0.0), full(up, bool),
        np.array(peer, np.int32), np.array(next_end, np.int32),
    )  # fmt: skip


class Bench:
    """A relay in a thread, the far sides of its ports, and its control socket."""

    def __init__(self, network, ring, ports, **options):
        self.network = network
        self.far = {}
        given = []
        for key, (number, end) in ports.items():
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            theirs.setblocking(False)
            ours.settimeout(DEADLINE_S)
            self.far[key] = (ours, theirs)
            given.append(SimpleNamespace(node=number, end=end, name=key, fd=theirs.fileno(), ethernet=False))
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(DEADLINE_S)
        self._theirs = theirs
        self.thread = threading.Thread(target=Relay(network, given, ring, 1, theirs, **options).run, daemon=True)
        self.thread.start()
        self.counters = {}

    def order(self, op, fds=(), **more):
        socket.send_fds(self.control, [msgpack.packb({"op": op, **more})], list(fds))

    def start(self, ago_s=0.0):
        self.order("start", t0_ns=time.monotonic_ns() - round(ago_s * 1e9))

    def send(self, key, data):
        self.far[key][0].send(data)

    def receive(self, key):
        return self.far[key][0].recv(1 << 17)

    def message(self, expected):
        """The next message for which `expected` holds; counters of all messages are kept."""
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            message = msgpack.unpackb(self.control.recv(1 << 20), strict_map_key=False)
            self.counters.update(message.get("ends", {}))
            if expected(message):
                return message
        raise AssertionError("the relay did not say it in time")

    def stop(self):
        self.order("stop")
        final = self.message(lambda message: message.get("final"))
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()
        return final

    def close(self):
        if self.thread.is_alive():
            self.control.close()
            self.thread.join(DEADLINE_S)
        for ours, theirs in self.far.values():
            ours.close()
            theirs.close()
        self.control.close()
        self._theirs.close()


@contextmanager
def running(network, ring, ports, ago_s=0.0, **options):
    bench = Bench(network, ring, ports, **options)
    try:
        bench.start(ago_s)
        yield bench
    finally:
        bench.close()


def done(bench, number, **order):
    """Wait until an order holds, and until its turn of the loop has ended: what was sent before has been read. Returns
    the relay's time then."""
    bench.order("set", **order, number=number)
    bench.message(lambda message: message == {"op": "done", "number": number})
    return bench.message(lambda message: message["op"] == "stats")["t_s"]


def ring_of(network, *rows):
    ring = RowRing(2 * len(network.links), len(network.nodes), len(network.live))
    for each in rows:
        ring.put(each)
    return ring


def chain():
    """n0 - n1 - n2 - n3 with transit nodes inside; destinations n0, n3."""
    nodes = tuple(node(number, number in (0, 3)) for number in range(4))
    links = tuple(LinkSpec(f"n{n}:r", n, n + 1, "r", "l") for n in range(3))
    network = Network(nodes, links, Steps())
    return network, [[-1, 1, 3, 5], [0, 2, 4, -1]]


CHAIN_PORTS = {"a": (0, 0), "b": (3, 5)}
A, B, NOWHERE = (socket.inet_aton(text) for text in ("10.0.0.1", "10.0.0.4", "10.0.0.77"))
A6, B6 = (socket.inet_pton(socket.AF_INET6, text) for text in ("fd00::1", "fd00::4"))


def udp4(ttl=64, dst=B, src=A):
    return udp(ttl=ttl, src=src, dst=dst)


def test_a_packet_loses_one_hop_at_each_transit_node_and_none_at_its_source():
    network, routes = chain()
    with running(network, ring_of(network, row(network, 0, routes)), CHAIN_PORTS) as bench:
        bench.send("a", udp4())
        assert bench.receive("b") == udp4(ttl=62)
        bench.send("b", udp(6, src=B6, dst=A6))
        assert bench.receive("a") == udp(6, src=B6, dst=A6, ttl=62)
        bench.send("a", udp4(ttl=3))
        assert bench.receive("b") == udp4(ttl=1)
        bench.stop()
        assert bench.counters[0][EndStats.SENT_PACKETS] == 2
        assert bench.counters[4][EndStats.DELIVERED_PACKETS] == 2


@pytest.mark.parametrize(("ttl", "expected"), [(1, "10.0.0.2"), (2, "10.0.0.3")])
def test_a_packet_whose_hops_end_is_answered_by_that_node(ttl, expected):
    network, routes = chain()
    with running(network, ring_of(network, row(network, 0, routes)), CHAIN_PORTS) as bench:
        bench.send("a", udp4(ttl=ttl))
        reply = bench.receive("a")
        assert source(reply) == socket.inet_aton(expected)
        assert (destination(reply), reply[30], hop_limit(reply)) == (A, 11, 65 - ttl)
        assert reply[38:] == udp4(ttl=1)[10:]
        bench.send("a", udp(6, src=A6, dst=B6, ttl=ttl))
        reply = bench.receive("a")
        assert (source(reply)[-1], reply[50]) == (ttl + 1, 3)
        bench.stop()
        assert bench.counters[2 * (ttl - 1)][EndStats.DROP_TTL] == 2


def test_a_packet_without_a_route_is_answered_and_counted():
    network, routes = chain()
    with running(network, ring_of(network, row(network, 0, routes)), CHAIN_PORTS) as bench:
        bench.send("a", udp4(dst=NOWHERE))
        reply = bench.receive("a")
        assert (source(reply), reply[30], reply[31]) == (socket.inet_aton("10.0.0.2"), 3, 1)
        bench.stop()
        assert bench.counters[0][EndStats.DROP_NOROUTE] == 1
        assert bench.counters[0][EndStats.DELIVERED_PACKETS] == 0


def test_group_packets_and_noise_end_at_the_first_transit_node_without_an_answer():
    network, routes = chain()
    with running(network, ring_of(network, row(network, 0, routes)), CHAIN_PORTS) as bench:
        for data in (udp4(dst=socket.inet_aton("224.0.0.2")), bytes(10), bytes(30), ip(b"", 6)[:25]):
            bench.send("a", data)
        bench.send("a", udp4())
        bench.receive("b")
        bench.stop()
        bench.far["a"][0].setblocking(False)
        with pytest.raises(BlockingIOError):
            bench.receive("a")
        assert bench.counters[0][EndStats.DROP_NOROUTE] == 0


def test_routes_switch_with_the_step():
    nodes = tuple(node(number, number != 1) for number in range(4))  # n1 leads to n2 first and to n3 then
    links = tuple(LinkSpec(f"l{n}", a, b, "x", "y") for n, (a, b) in enumerate([(0, 1), (1, 2), (1, 3), (2, 3)]))
    network = Network(nodes, links, Steps())
    routes = [[-1] * 4, [-1] * 4, [0, 2, -1, -1]]
    later = [[-1] * 4, [-1] * 4, [0, 4, -1, -1]]
    ring = ring_of(network, row(network, 0, routes), row(network, 1, later))
    ports = {"a": (0, 0), "two": (2, 3), "three": (3, 5)}
    with running(network, ring, ports) as bench:
        bench.send("a", udp4())
        if done(bench, 1, ends=[1]) < STEP_S:  # else the machine was too busy for the first step
            assert bench.receive("two") == udp4(ttl=63)
        bench.message(lambda message: message.get("t_s", 0.0) >= STEP_S)
        bench.send("a", udp4())
        assert bench.receive("three") == udp4(ttl=63)
        bench.stop()


def moving(live_satellites):
    """Station n0 moves between satellites n1 and n2, which both lead to station n3."""
    nodes = tuple(node(number, number in (0, 3) or live_satellites) for number in range(4))
    links = (
        LinkSpec("n0:up", 0, 1, "up", "gsl", moving=True),
        LinkSpec("n3:up", 3, 1, "up", "gsl", moving=True),
    )
    return Network(nodes, links, Steps())


def test_a_moving_link_delivers_to_the_satellite_of_the_step():
    network = moving(live_satellites=True)
    routes = np.full((4, 4), -1)
    routes[0, 2], routes[3, 2] = 1, 3  # satellite n2 sends to n0 on end 1 and to n3 on end 3
    ring = ring_of(network, row(network, 0, routes, peer=[2, 0, 2, 3]))
    ports = {"a": (0, 0), "b": (3, 2), "one": (1, -1), "two": (2, -1)}
    with running(network, ring, ports) as bench:
        bench.send("a", udp4())
        assert bench.receive("two") == udp4()  # a kernel counts the hop there
        bench.send("two", udp4(ttl=63))
        assert bench.receive("b") == udp4(ttl=63)
        bench.send("two", udp4(ttl=63, dst=NOWHERE))
        final = bench.message(lambda message: message.get("unrouted"))
        assert final["unrouted"] == {2: 1}
        bench.stop()


def test_a_moving_link_without_coverage_is_down():
    network = moving(live_satellites=False)
    ring = ring_of(network, row(network, 0, np.full((2, 4), -1), peer=[-1, 0, 1, 3]))
    with running(network, ring, {"a": (0, 0), "b": (3, 2)}) as bench:
        bench.send("a", udp4())
        bench.message(lambda message: bench.counters.get(0, [0] * 15)[EndStats.DROP_OUTAGE] == 1)
        bench.stop()


def test_transit_satellites_of_moving_links_cost_a_hop():
    network = moving(live_satellites=False)
    routes = [[-1, 1, -1, -1], [0, 3, -1, 2]]
    ring = ring_of(network, row(network, 0, routes, peer=[1, 0, 1, 3]))
    with running(network, ring, {"a": (0, 0), "b": (3, 2)}) as bench:
        bench.send("a", udp4())
        assert bench.receive("b") == udp4(ttl=63)
        bench.stop()


def test_a_late_planner_is_counted_and_the_last_row_holds():
    network, routes = chain()
    with running(network, ring_of(network, row(network, 0, routes)), CHAIN_PORTS, ago_s=5.5) as bench:
        bench.send("a", udp4())
        assert bench.receive("b") == udp4(ttl=62)
        assert bench.stop()["late_rows"] > 0


def pair(forward=None, **knots):
    spec = EndSpec(forward or Effects(), PiecewiseSchedule.constant(**knots))
    return Network((node(0, True), node(1, True)), (LinkSpec("n0:r", 0, 1, "r", "l", spec, spec),))


PAIR_PORTS = {"a": (0, 0), "b": (1, 1)}


def test_a_network_of_knots_needs_no_timeline_and_passes_what_it_does_not_know():
    with running(pair(delay_s=0.01), None, PAIR_PORTS) as bench:
        for data in (udp4(dst=NOWHERE), bytes(10) + b"anything"):
            bench.send("a", data)
            assert bench.receive("b") == data
        final = bench.stop()
        assert bench.counters[0][EndStats.ASKED_DELAY_SUM_S] == pytest.approx(0.02)
        assert sum(count for _, count in final["lateness"]["counts"]) == 2
        assert final["cpu_s"] > 0


def test_reports_say_until_when_every_end_has_been_told_of():
    with running(pair(), None, PAIR_PORTS) as bench:
        bench.send("a", udp4())
        bench.receive("b")
        now_s = bench.message(lambda message: message["op"] == "stats")["t_s"]
        report = bench.message(lambda message: message.get("told_s", 0.0) >= now_s)
        assert report["told_s"] <= report["t_s"]
        assert bench.counters[0][EndStats.DELIVERED_PACKETS] == 1
        assert bench.stop()["told_s"] >= report["t_s"]


def test_packets_wait_for_the_start():
    bench = Bench(pair(), None, PAIR_PORTS)
    try:
        bench.order("set", ends=[1], delay_s=0.01)  # orders may come before
        bench.send("a", udp4())
        bench.far["b"][0].settimeout(0.1)
        with pytest.raises(TimeoutError):
            bench.receive("b")
        bench.far["b"][0].settimeout(DEADLINE_S)
        bench.start()
        assert bench.receive("b") == udp4()
        bench.stop()
    finally:
        bench.close()


def test_set_hold_release_change_a_running_link():
    with running(pair(delay_s=30.0), None, PAIR_PORTS) as bench:
        bench.order("set", ends=[0], delay_s=0.0)
        bench.send("a", udp4(ttl=10))
        assert bench.receive("b") == udp4(ttl=10)
        bench.order("hold", ends=[0])
        bench.send("a", udp4(ttl=11))
        bench.message(lambda message: bench.counters.get(0, [0])[EndStats.SENT_PACKETS] == 2)
        bench.order("release", ends=[0])
        assert bench.receive("b") == udp4(ttl=11)
        bench.order("set", ends=[0], up=False)
        bench.send("a", udp4())
        bench.message(lambda message: bench.counters[0][EndStats.DROP_OUTAGE] == 1)
        bench.order("set", ends=[0], up=None)
        bench.send("a", udp4(ttl=12))
        assert bench.receive("b") == udp4(ttl=12)
        bench.stop()


@pytest.mark.parametrize(
    "order",
    [
        {"op": "dance"},
        {},
        [1, 2],
        {"op": "set", "ends": [99], "up": False},
        {"op": "set", "ends": [0], "loss": 2},
        {"op": "set", "ends": [0], "rate_bps": "fast"},
        {"op": "set", "ends": [0], "up": 1},
        {"op": "capture", "id": 1, "ends": [0]},
        {"op": "uncapture", "id": 5},
    ],
)
def test_an_order_without_sense_is_answered_and_the_relay_lives_on(order):
    with running(pair(), None, PAIR_PORTS) as bench:
        bench.control.send(msgpack.packb(order))
        assert bench.message(lambda message: message["op"] == "error")["message"]
        bench.control.send(b"\xc1")
        assert bench.message(lambda message: message["op"] == "error")["message"]
        bench.send("a", udp4())
        assert bench.receive("b") == udp4()
        bench.stop()


def test_capture_streams_records_and_ends():
    reader, writer = os.pipe()
    with running(pair(delay_s=0.001), None, PAIR_PORTS) as bench:
        bench.order("capture", [writer], id=7, ends=[0], snaplen=100)
        os.close(writer)
        bench.send("a", udp4())
        assert bench.receive("b") == udp4()
        bench.order("uncapture", id=7)
        stream = b""
        while part := os.read(reader, 1 << 16):
            stream += part
        os.close(reader)
        [record] = records(stream)
        assert (record.end, record.cause, record.data) == (0, 0, udp4()[10:])
        bench.send("a", udp4())
        assert bench.receive("b") == udp4()
        bench.stop()


def test_the_relay_ends_with_its_control_socket():
    bench = Bench(pair(), None, PAIR_PORTS)
    bench.start()
    bench.control.close()
    bench.thread.join(DEADLINE_S)
    assert not bench.thread.is_alive()
    bench.close()


def test_a_port_that_refuses_is_counted_and_the_others_go_on():
    with running(pair(), None, PAIR_PORTS) as bench:
        while bench.counters.get(0, [0] * 15)[EndStats.DROP_OVERLOAD] == 0:  # nobody reads at b
            for _ in range(200):
                bench.send("a", udp4())
            bench.message(lambda message: message["ends"])
        bench.send("b", udp4(ttl=9))
        assert bench.receive("a") == udp4(ttl=9)
        bench.stop()
        sent, delivered, dropped = (
            bench.counters[0][n] for n in (EndStats.SENT_PACKETS, EndStats.DELIVERED_PACKETS, EndStats.DROP_OVERLOAD)
        )
        assert sent == delivered + dropped


def test_a_numbered_order_is_answered_when_it_holds_or_is_refused():
    with running(pair(), None, PAIR_PORTS) as bench:
        bench.order("set", ends=[0], up=False, number=7)
        assert bench.message(lambda message: message["op"] == "done") == {"op": "done", "number": 7}
        bench.send("a", udp4())
        bench.message(lambda message: bench.counters.get(0, [0] * 15)[EndStats.DROP_OUTAGE] == 1)
        bench.order("set", ends=[99], up=False, number=8)
        assert bench.message(lambda message: message["op"] == "error")["number"] == 8
        bench.stop()


FIRST_S = {True: 2.0, False: 0.2}  # delay of the first packet: long enough to be overtaken on a busy machine


@pytest.mark.parametrize("overtake", [True, False])
def test_an_overtaking_link_gives_each_packet_its_own_delay(overtake):
    with running(pair(Effects(overtake=overtake), delay_s=FIRST_S[overtake]), None, PAIR_PORTS) as bench:
        bench.send("a", udp4(ttl=1))
        done(bench, 1, ends=[1])
        done(bench, 2, ends=[0], delay_s=0.0)
        bench.send("a", udp4(ttl=2))
        order = [2, 1] if overtake else [1, 2]
        assert [bench.receive("b") for _ in order] == [udp4(ttl=ttl) for ttl in order]
        assert bench.stop()["untold"] == 0


@pytest.mark.parametrize("overtake", [True, False])
def test_overtaking_works_between_transit_nodes_too(overtake):
    network, routes = chain()
    links = list(network.links)
    links[1] = replace(links[1], forward=EndSpec(Effects(overtake=overtake)))
    network = replace(network, links=tuple(links))
    with running(network, ring_of(network, row(network, 0, routes)), CHAIN_PORTS) as bench:
        done(bench, 1, ends=[2], delay_s=FIRST_S[overtake])
        bench.send("a", udp4(ttl=11))
        done(bench, 2, ends=[1])
        done(bench, 3, ends=[2], delay_s=0.0)
        bench.send("a", udp4(ttl=12))
        order = [10, 9] if overtake else [9, 10]
        assert [bench.receive("b") for _ in order] == [udp4(ttl=ttl) for ttl in order]
        bench.stop()


# --- lanes and classes ---


def test_lanes_in_real_time_pass_packets_to_each_other():
    network, routes = chain()
    patient = ring_of(network, row(network, 0, routes, delay_s=0.5))  # so that no handover is late on a busy machine
    with running(network, patient, CHAIN_PORTS, threads=2) as bench:
        for ttl in range(10, 40):
            bench.send("a", udp4(ttl=ttl))
        assert [bench.receive("b") for _ in range(30)] == [udp4(ttl=ttl - 2) for ttl in range(10, 40)]
        done(bench, 1, ends=[2], up=False)
        bench.send("a", udp4())
        bench.message(lambda message: bench.counters.get(2, [0] * 15)[EndStats.DROP_OUTAGE] == 1)
        assert bench.stop()["late_handovers"] == 0


def test_a_link_moves_between_lanes_with_its_queue():
    """Station n0 is served by n1 in the first step and by n2, which another lane plays, in the second."""
    network = moving(live_satellites=False)
    first, second = np.full((2, 4), -1), np.full((2, 4), -1)
    first[0, 1], first[1, 1], second[0, 2], second[1, 2] = 1, 3, 1, 3
    ring = ring_of(
        network, row(network, 0, first, peer=[1, 0, 1, 3], delay_s=0.01), row(network, 1, second, [2, 0, 2, 3], 0.01)
    )
    with running(network, ring, {"a": (0, 0), "b": (3, 2)}, ago_s=0.2, threads=2) as bench:
        done(bench, 1, ends=[3], rate_bps=8 * 36 * 4.0)  # four packets a second on the downlink to n3
        for ttl in range(10, 14):
            bench.send("a", udp4(ttl=ttl))
        assert [bench.receive("b") for _ in range(4)] == [udp4(ttl=ttl - 1) for ttl in range(10, 14)]
        bench.stop()


def test_a_real_time_lane_that_takes_too_much_leaves_its_class():
    network, routes = chain()
    routes[1][1:3] = [
        2,
        3,
    ]  # n1 and n2 send what is for n3 to each other, until its hops are used up, and some of it twice
    links, twice = list(network.links), EndSpec(Effects(duplicate=0.03))
    links[1] = replace(links[1], forward=twice, backward=twice)
    network = replace(network, links=tuple(links))
    loop = ring_of(network, row(network, 0, routes))
    with running(network, loop, CHAIN_PORTS, realtime=True) as bench:
        if not bench.message(lambda message: "realtime" in message)["realtime"]:
            pytest.skip("this user may not enter a real-time class")
        busy = threading.Event()

        def flood():
            while not busy.is_set():
                bench.send("a", udp4(ttl=255))

        sender = threading.Thread(target=flood)
        sender.start()
        bench.message(lambda message: message.get("realtime") is False)
        busy.set()
        sender.join(DEADLINE_S)
        bench.stop()
