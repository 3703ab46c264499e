"""Two relays of one network over real UDP sockets: packets, their times and counters across the trunk."""

import socket
import time
from contextlib import contextmanager

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.packet_bytes import hop_limit
from test_link_relay import A6, B6, DEADLINE_S, Bench, chain, ring_of, row, udp4
from written_packets import udp

from emulator.link.engine.engine import Engine
from emulator.link.stats import EndStats
from emulator.link.trunks import Hosts, cookie, trunk
from emulator.model import clock
from emulator.model.clock_page import ClockPage, Line
from emulator.runtime.cluster.clocks import PeerClock, Probe

SECRET = b"of this test"
LEAD_S = 0.05  # between the order to start and the start
DELAY_S = 0.02
PATIENT_S = 0.5  # of links over a trunk where nothing may come after it was due, however busy the machine


@contextmanager
def two_hosts(network, next_end, ports, of_node, secrets=(SECRET, SECRET), start=True, trunk_delay_s=DELAY_S):
    """A relay for each host, with one clock, and a trunk between them over the loopback interface."""
    apart = [of_node[link.a] != of_node[link.b] for link in network.links for _ in range(2)]
    delays_s = np.where(apart, trunk_delay_s, DELAY_S)
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    benches = []
    for own, each in enumerate(sockets):
        each.connect(sockets[1 - own].getsockname())
        hosts = Hosts(own, np.array(of_node), {1 - own: trunk(secrets[own], own, 1 - own, each.fileno())})
        own_ports = {key: port for key, port in ports.items() if of_node[port[0]] == own}
        ring = ring_of(network, row(network, 0, next_end, delay_s=delays_s))
        benches.append(Bench(network, ring, own_ports, hosts=hosts))
    try:
        t0_ns = time.monotonic_ns() + round(LEAD_S * 1e9)
        for bench in benches if start else ():
            bench.order("start", t0_ns=t0_ns)
        yield benches
    finally:
        for bench in benches:
            bench.close()
        for each in sockets:
            each.close()


def test_packets_cross_in_both_directions_and_both_halves_are_counted():
    network, next_end = chain()
    ports = {"a": (0, 0), "b": (3, 5)}
    with two_hosts(network, next_end, ports, (0, 0, 1, 1), trunk_delay_s=PATIENT_S) as (first, second):
        first.send("a", udp4())
        assert second.receive("b") == udp4(ttl=62)
        second.send("b", udp(6, src=B6, dst=A6, ttl=3))
        assert first.receive("a") == udp(6, src=B6, dst=A6, ttl=1)
        finals = [bench.stop() for bench in (first, second)]
        assert first.counters[2][EndStats.SENT_PACKETS] == 1  # from n1 to n2: sent here, received there
        assert second.counters[2][EndStats.DELIVERED_PACKETS] == 1
        for own, final in enumerate(finals):
            told = final["trunks"][1 - own]
            assert (told["records_sent"], told["records_received"], told["late"], told["rejected"]) == (1, 1, 0, 0)
            assert told["datagrams_received"] == sum(count for _, count in told["latency"]) == 1
            assert 0 < told["least_rtt_s"] < 1


def test_merged_packets_cross_in_one_piece():
    network, next_end = chain()
    with two_hosts(network, next_end, {"a": (0, 0), "b": (3, 5)}, (0, 0, 0, 1)) as (first, second):
        for number in range(20):
            data = udp4()[:38] + bytes([number]) * 60_000
            first.send("a", data)
            assert second.receive("b")[38:] == data[38:]
        first.stop()
        assert second.stop()["trunks"][0]["rejected"] == 0  # also of what lies at both ends of the sender's ring


def test_what_another_run_sends_is_rejected():
    network, next_end = chain()
    secrets = SECRET, b"of another run"
    with two_hosts(network, next_end, {"a": (0, 0), "b": (3, 5)}, (0, 0, 1, 1), secrets) as (first, second):
        first.send("a", udp4())
        told = second.message(lambda message: message.get("trunks", {}).get(0, {}).get("rejected"))["trunks"][0]
        assert (told["records_received"], told["heard_s"]) == (0, -np.inf)
    assert cookie(SECRET, 0, 1) != cookie(SECRET, 1, 0)


def test_a_hop_limit_that_ends_behind_the_trunk_is_answered_across_it():
    network, next_end = chain()
    with two_hosts(network, next_end, {"a": (0, 0), "b": (3, 5)}, (0, 0, 1, 1)) as (first, second):
        first.send("a", udp4(ttl=2))
        assert hop_limit(first.receive("a")) == 63
        second.stop()
        assert second.counters[2][EndStats.DROP_TTL] == 1


def test_clocks_are_probed_before_the_start():
    network, next_end = chain()
    with two_hosts(network, next_end, {"a": (0, 0), "b": (3, 5)}, (0, 0, 1, 1), start=False) as benches:
        clock = PeerClock()
        for own, bench in enumerate(benches):
            for _ in range(2):
                told = bench.message(lambda message: message["op"] == "trunks")["trunks"][1 - own]
                assert all(asker == 1 for asker, *_ in told["probes"])
                for _, *times in told["probes"] if own else ():
                    clock.add(Probe(*times))
        line = clock.estimate()
        assert abs(line.offset_at_ns(line.at_ns)) * 1e-9 <= line.bound_s  # both read one clock


def test_relays_play_by_the_clock_of_the_page_that_their_processes_share(monkeypatch):
    network, next_end = chain()
    page = ClockPage()
    page.write(Line(0, 100 * 10**9, 0.0))
    monkeypatch.setattr(clock, "_page", page)
    ports, of_node = {"a": (0, 0), "b": (3, 5)}, (0, 0, 1, 1)
    with two_hosts(network, next_end, ports, of_node, start=False, trunk_delay_s=PATIENT_S) as (first, second):
        t0_ns = time.monotonic_ns() + 100 * 10**9 + round(LEAD_S * 1e9)
        for bench in (first, second):
            bench.order("start", t0_ns=t0_ns)
        first.send("a", udp4())
        assert second.receive("b") == udp4(ttl=62)
        second.send("b", udp(6, src=B6, dst=A6))
        assert first.receive("a") == udp(6, src=B6, dst=A6, ttl=62)
        for own, final in enumerate([bench.stop() for bench in (first, second)]):
            assert (final["trunks"][1 - own]["late"], final["trunks"][1 - own]["records_received"]) == (0, 1)
            assert abs(final["t_s"]) < DEADLINE_S


@settings(max_examples=50)
@given(st.lists(st.tuples(*[st.integers(0, 2**62)] * 2, st.floats(-1e-3, 1e-3), st.integers(-(10**15), 10**15))))
def test_the_engine_reads_each_line_as_processes_do(lines):
    network, _ = chain()
    page = ClockPage()
    with Engine(network, [], ring_of(network), 1) as engine:
        engine.share_clock(page)
        assert engine.run_clock_ns(10**15) == 10**15
        for at_ns, run_ns, rate, since_ns in lines:
            line = Line(at_ns, run_ns, rate)
            page.write(line)
            assert page.line() == line
            assert engine.run_clock_ns(at_ns + since_ns) == line.run_at_ns(at_ns + since_ns)
