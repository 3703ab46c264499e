"""The relay on real TUN and TAP ports: the contract of `tests/conformance/link/test_link_end.py` as programs see it."""

import hashlib
import re
import shutil
import threading
import time

import pytest
from fabric_sandbox import in_sandbox, needs_sandbox
from link_chain import Chain

from emulator.link.stats import EndStats
from emulator.model.network import Effects, EndSpec, PiecewiseSchedule

pytestmark = [pytest.mark.netns, pytest.mark.alone, needs_sandbox]


def spec(effects=None, **constant):
    return EndSpec(effects or Effects(), PiecewiseSchedule.constant(**constant))


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@needs("ping")
@pytest.mark.parametrize("version", [4, 6])
def test_a_ping_through_twelve_satellites_takes_what_was_asked(version):
    def body():
        chain = Chain(12, spec(delay_s=0.002, rate_bps=1e9))
        address = "10.0.0.14" if version == 4 else "fd00::e"
        out = chain.run(0, "ping", "-n", "-c", "5", "-i", "0.2", address)
        chain.stop()
        return out

    out = in_sandbox(body)
    assert "5 received" in out
    assert set(re.findall(r"ttl=(\d+)", out)) == {"52"}
    assert min(float(ms) for ms in re.findall(r"time=([\d.]+)", out)) >= 26 * 2


@needs("traceroute")
@pytest.mark.parametrize("version", [4, 6])
def test_traceroute_names_every_satellite(version):
    def body():
        chain = Chain(12, spec(delay_s=0.002))
        if version == 4:
            out = chain.run(0, "traceroute", "-n", "10.0.0.14")
        else:
            out = chain.run(0, "traceroute", "-6", "-n", "fd00::e")
        chain.stop()
        return out

    out = in_sandbox(body)
    hops = [line.split()[1] for line in out.splitlines()[1:]]
    assert hops == [f"10.0.0.{n}" if version == 4 else f"fd00::{n:x}" for n in range(2, 15)]
    assert "*" not in out


@needs("ping")
@pytest.mark.parametrize("version", [4, 6])
def test_transit_nodes_answer_pings(version):
    def body():
        chain = Chain(6, spec(delay_s=0.002))
        address = "10.0.0.5" if version == 4 else "fd00::5"
        outs = [chain.run(node, "ping", "-n", "-c", "3", "-i", "0.2", address) for node in (0, chain.last)]
        chain.stop()
        return outs

    near, far = in_sandbox(body)
    for out, hops in ((near, 4), (far, 3)):
        assert "3 received" in out, out
        assert set(re.findall(r"ttl=(\d+)", out)) == {str(65 - hops)}
        assert min(float(ms) for ms in re.findall(r"time=([\d.]+)", out)) >= 2 * hops * 2


@needs("traceroute")
def test_a_traceroute_by_echoes_ends_at_a_transit_node():
    def body():
        chain = Chain(6, spec(delay_s=0.002))
        out = chain.run(0, "traceroute", "-I", "-n", "10.0.0.5")
        chain.stop()
        return out

    hops = [line.split()[1] for line in in_sandbox(body).splitlines()[1:]]
    assert hops == [f"10.0.0.{n}" for n in range(2, 6)]


@needs("ping")
def test_an_address_that_nobody_has_is_unreachable():
    def body():
        chain = Chain(1)
        out = chain.run(0, "ping", "-n", "-c", "1", "-W", "5", "10.0.0.99")
        chain.stop()
        return out, chain.count(0, EndStats.DROP_NOROUTE)

    out, dropped = in_sandbox(body)
    assert "From 10.0.0.2 icmp_seq=1 Destination Host Unreachable" in out
    assert dropped == 1


@needs("ping")
def test_ethernet_ports_carry_frames():
    def body():
        chain = Chain(0, spec(delay_s=0.001), ethernet=True)
        outs = [chain.run(0, "ping", "-n", "-c", "2", "-i", "0.2", address) for address in ("10.0.0.2", "fd00::2")]
        chain.stop()
        return outs

    assert all("2 received" in out for out in in_sandbox(body))


@pytest.mark.parametrize("transit", [0, 3])
def test_tcp_arrives_whole_through_merged_segments(transit):
    def body():
        chain = Chain(transit, spec(delay_s=0.002, rate_bps=1e9))
        near, far = chain.tcp()
        data = bytes(range(256)) * 40000
        sender = threading.Thread(target=lambda: (near.sendall(data), near.close()))
        sender.start()
        digest = hashlib.sha256()
        while part := far.recv(1 << 20):
            digest.update(part)
        sender.join()
        chain.stop()
        sent_bytes, sent_packets = chain.count(0, EndStats.SENT_BYTES), chain.count(0, EndStats.SENT_PACKETS)
        return digest.hexdigest() == hashlib.sha256(data).hexdigest(), sent_bytes / sent_packets

    whole, mean_bytes = in_sandbox(body)
    assert whole
    assert mean_bytes > 1500  # else nothing was merged and the test tests nothing


def tcp_over(specs, size_bytes):
    """Sends so many bytes over links that follow `specs`; returns whether they came, and the counters."""
    chain = Chain(len(specs) - 1, specs)
    near, far = chain.tcp()
    data = bytes(range(256)) * (size_bytes // 256)
    sender = threading.Thread(target=lambda: (near.sendall(data), near.close()))
    sender.start()
    received = bytearray()
    while part := far.recv(1 << 20):
        received += part
    sender.join()
    chain.stop()
    return received == data, chain.counters


def mean_bytes(counters):
    return counters[EndStats.SENT_BYTES] / counters[EndStats.SENT_PACKETS]


def test_loss_meets_single_packets_although_ports_merge_segments():
    lossy = spec(delay_s=0.0002, loss=0.01)

    whole, counters = in_sandbox(lambda: tcp_over([spec(delay_s=0.0002), lossy, spec(delay_s=0.0002)], 10**7))
    assert whole
    before, at, behind = (counters[end] for end in (0, 2, 4))
    packets, lost = at[EndStats.SENT_PACKETS], at[EndStats.DROP_LOSS]
    assert packets >= 10**7 / 1460
    assert abs(lost - packets * 0.01) < 5 * (packets * 0.01 * 0.99) ** 0.5
    assert mean_bytes(at) <= 1500
    assert mean_bytes(before) > 1500, "the effects of one link leave segments of another one merged"
    assert behind[EndStats.SENT_PACKETS] == packets - lost, "nothing is merged again"


def test_a_queue_that_counts_packets_counts_those_of_merged_segments():
    queue = spec(Effects(queue_packets=40), delay_s=0.001, rate_bps=1e8)

    whole, counters = in_sandbox(lambda: tcp_over([spec(delay_s=0.0002), queue], 10**7))
    assert whole
    assert mean_bytes(counters[0]) > 1500
    assert mean_bytes(counters[2]) <= 1500
    assert 0 < counters[2][EndStats.DROP_QUEUE] < 0.1 * counters[2][EndStats.SENT_PACKETS]


def test_tcp_survives_loss_duplication_corruption_and_reordering():
    effects = Effects(duplicate=0.02, corrupt=0.02, jitter_s=0.0005, reorder=True)

    def body():
        chain = Chain(1, spec(effects, delay_s=0.001, rate_bps=1e8, loss=0.01))
        near, far = chain.tcp()
        data = bytes(range(256)) * 1000
        sender = threading.Thread(target=lambda: (near.sendall(data), near.close()))
        sender.start()
        received = b""
        while part := far.recv(1 << 20):
            received += part
        sender.join()
        chain.stop()
        return received == data, [
            chain.count(0, counter) for counter in (EndStats.DROP_LOSS, EndStats.DUPLICATED, EndStats.CORRUPTED)
        ]

    whole, (lost, duplicated, corrupted) = in_sandbox(body)
    assert whole
    assert duplicated + lost + corrupted > 0


def test_a_corrupted_datagram_does_not_reach_its_program():
    def body():
        chain = Chain(0, spec(Effects(corrupt=1.0)))
        receiver, sender = chain.udp(1), chain.udp(0, "10.0.0.2")
        for _ in range(50):
            sender.send(b"a datagram of some length, so that most flips fall into it" * 10)
        chain.message(lambda message: chain.count(0, EndStats.CORRUPTED) == 50)
        receiver.settimeout(0.2)
        got = 0
        try:
            while receiver.recv(2000):
                got += 1
        except TimeoutError:
            pass
        chain.stop()
        return got

    assert in_sandbox(body) == 0


def test_the_queue_bound_is_exact():
    def body():
        chain = Chain(0, spec(Effects(queue_packets=10), rate_bps=8e3))  # a second for each packet
        sender = chain.udp(0, "10.0.0.2")
        for _ in range(50):
            sender.send(bytes(972))
        chain.message(lambda message: chain.count(0, EndStats.SENT_PACKETS) == 50)
        chain.stop()
        return chain.count(0, EndStats.DROP_QUEUE), chain.count(0, EndStats.DELIVERED_PACKETS)

    dropped, delivered = in_sandbox(body)
    assert dropped <= 39
    assert dropped + delivered >= 39  # one more place for each that left while the machine was slow
    assert 50 - dropped - delivered <= 11


def test_the_rate_is_kept_over_a_burst():
    def body():
        chain = Chain(0, spec(rate_bps=1e7))
        receiver, sender = chain.udp(1), chain.udp(0, "10.0.0.2")
        began = time.monotonic()
        for _ in range(400):
            sender.send(bytes(1222))  # 1250 bytes on the wire: a millisecond
        for _ in range(400):
            receiver.recv(2000)
        took = time.monotonic() - began
        chain.stop()
        return took

    assert 0.4 <= in_sandbox(body) <= 0.4 + 5.0


def test_order_is_kept_where_the_delay_falls_under_way():
    def body():
        chain = Chain(1, spec(delay_s=0.1))
        receiver, sender = chain.udp(2), chain.udp(0, "10.0.0.3")
        for n in range(300):
            sender.send(n.to_bytes(4, "big"))
            if n % 50 == 49:
                chain.order("set", ends=[0, 2], delay_s=0.1 - n / 3000)
        got = [int.from_bytes(receiver.recv(100), "big") for _ in range(300)]
        chain.stop()
        return got

    assert in_sandbox(body) == list(range(300))


def test_an_outage_drops_and_a_hold_keeps():
    def body():
        chain = Chain(0)
        receiver, sender = chain.udp(1), chain.udp(0, "10.0.0.2")
        chain.order("set", ends=[0], up=False)
        sender.send(b"lost")
        chain.message(lambda message: chain.count(0, EndStats.DROP_OUTAGE) == 1)
        chain.order("hold", ends=[0])
        chain.order("set", ends=[0], up=None)
        for n in range(5):
            sender.send(b"kept %d" % n)
        chain.message(lambda message: chain.count(0, EndStats.SENT_PACKETS) == 6)
        chain.order("release", ends=[0])
        got = [receiver.recv(100) for _ in range(5)]
        chain.stop()
        return got

    assert in_sandbox(body) == [b"kept %d" % n for n in range(5)]


def test_scheduled_loss_is_within_binomial_bounds_and_zero_loss_is_zero():
    def body():
        chain = Chain(0, spec(loss=0.1))
        chain.order("set", ends=[1], loss=0.0)
        receiver, sender = chain.udp(0), chain.udp(1, "10.0.0.1")
        there, sink = chain.udp(0, "10.0.0.2"), chain.udp(1)
        for n in range(2000):
            there.send(bytes(10))
            sender.send(bytes(10))
            if n % 100 == 99:  # never more than the port's queue
                for _ in range(100):
                    receiver.recv(100)
        chain.message(lambda message: chain.count(0, EndStats.SENT_PACKETS) == 2000)
        chain.stop()
        sink.close()
        return chain.count(0, EndStats.DROP_LOSS), chain.count(1, EndStats.DROP_LOSS)

    lost, none = in_sandbox(body)
    assert abs(lost - 200) < 5 * (2000 * 0.1 * 0.9) ** 0.5
    assert none == 0
