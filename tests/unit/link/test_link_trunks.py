"""Two relays of one network over real UDP sockets: packets, their times and counters across the trunk."""

import socket
import time
from contextlib import contextmanager

import numpy as np
from oracle.packet_bytes import hop_limit
from test_link_relay import A6, B6, Bench, chain, ring_of, row, udp4
from written_packets import udp

from emulator.link.stats import EndStats
from emulator.link.trunks import Hosts, cookie, trunk

SECRET = b"of this test"
LEAD_S = 0.05  # between the order to start and the start
DELAY_S = 0.02


@contextmanager
def two_hosts(network, next_end, ports, of_node, secrets=(SECRET, SECRET)):
    """A relay for each host, with one clock, and a trunk between them over the loopback interface."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    benches = []
    for own, each in enumerate(sockets):
        each.connect(sockets[1 - own].getsockname())
        hosts = Hosts(own, np.array(of_node), {1 - own: trunk(secrets[own], own, 1 - own, each.fileno())})
        own_ports = {key: port for key, port in ports.items() if of_node[port[0]] == own}
        ring = ring_of(network, row(network, 0, next_end, delay_s=DELAY_S))
        benches.append(Bench(network, ring, own_ports, hosts=hosts))
    try:
        t0_ns = time.monotonic_ns() + round(LEAD_S * 1e9)
        for bench in benches:
            bench.order("start", t0_ns=t0_ns)
        yield benches
    finally:
        for bench in benches:
            bench.close()
        for each in sockets:
            each.close()


def test_packets_cross_in_both_directions_and_both_halves_are_counted():
    network, next_end = chain()
    with two_hosts(network, next_end, {"a": (0, 0), "b": (3, 5)}, (0, 0, 1, 1)) as (first, second):
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
