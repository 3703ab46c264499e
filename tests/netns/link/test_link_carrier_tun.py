"""Carrier on real interfaces: what programs see of a link that goes and comes, and what becomes of their packets."""

import struct
import time
from fcntl import ioctl
from math import inf

import numpy as np
import pytest
from fabric_sandbox import in_sandbox, needs_sandbox
from link_chain import Chain

from emulator.link.stats import EndStats
from emulator.model.network import EndSpec, PiecewiseSchedule

pytestmark = [pytest.mark.netns, pytest.mark.alone, needs_sandbox]
SIOCGIFFLAGS, IFF_UP, IFF_RUNNING = 0x8913, 0x1, 0x40


def running(sock, name):
    """IFF_RUNNING of an interface in the socket's namespace."""
    (flags,) = struct.unpack_from("16xH", ioctl(sock.fileno(), SIOCGIFFLAGS, struct.pack("40s", name.encode())))
    assert flags & IFF_UP
    return bool(flags & IFF_RUNNING)


def routes(chain):
    return [chain.run(0, "ip", *version, "route") for version in ([], ["-6"])]


@pytest.mark.parametrize("ethernet", [False, True])
def test_carrier_follows_orders_and_packets_and_routes_follow_carrier(ethernet):
    def body():
        chain = Chain(carrier=True, ethernet=ethernet)
        near, far = chain.udp(0, "10.0.0.2"), chain.udp(1)
        before = routes(chain)
        told, seen, got = [], [], []
        for end, up in ((1, False), (1, None), (0, False), (0, None)):
            chain.order("set", ends=[end], up=up)
            message = chain.message(lambda message: message["op"] == "carrier")
            told.append((message["changes"], message["at_s"] >= message["t_s"]))
            near.send(b"%d" % len(seen))
            seen.append((running(near, "right"), running(far, "left")))
            if up is None:
                got.append(far.recv(100))
        after = routes(chain)
        dropped = chain.fabric.counters()["n0:right"].tx_dropped
        chain.stop()
        return before, after, told, seen, got, dropped, chain.count(0, EndStats.SENT_PACKETS)

    before, after, told, seen, got, dropped, sent = in_sandbox(body)
    assert told == [([[0, up]], True) for up in (False, True, False, True)]
    assert seen == [(up, up) for up in (False, True, False, True)]
    assert got == [b"1", b"3"], "what is sent without carrier never arrives"
    assert sent == 2
    assert dropped == 2
    assert before == after
    assert "right" in before[0]
    assert "linkdown" not in after[0]


def test_carrier_follows_the_schedule_within_milliseconds():
    t_s = np.array([0.0, 0.6, 1.2])
    flaps = PiecewiseSchedule(t_s, t_s * 0, t_s + inf, t_s * 0, np.array([False, True, False]))

    def body():
        chain = Chain(spec=EndSpec(schedule=flaps), carrier=True)
        near = chain.udp(0, "10.0.0.2")
        told = [chain.message(lambda message: message["op"] == "carrier")]
        seen = [(0.0, running(near, "right"))]
        while time.monotonic() < chain.t0_s + 1.4:
            up = running(near, "right")
            if up is not seen[-1][1]:
                seen.append((time.monotonic() - chain.t0_s, up))
            time.sleep(0.001)
        told += [chain.message(lambda message: message["op"] == "carrier") for _ in range(2)]
        chain.stop()
        return seen, told

    seen, told = in_sandbox(body)
    assert [message["t_s"] for message in told] == [0.0, 0.6, 1.2]
    assert [message["changes"] for message in told] == [[[0, False]], [[0, True]], [[0, False]]]
    assert [up for _, up in seen] == [False, True, False]
    for (at_s, _), message in zip(seen[1:], told[1:], strict=True):
        assert message["t_s"] <= at_s <= message["t_s"] + 0.3  # a loaded machine; by itself Linux may take a second
        assert 0 <= message["at_s"] - message["t_s"] < 0.3


def test_a_link_without_carrier_keeps_it_while_it_is_down():
    def body():
        chain = Chain()
        near = chain.udp(0, "10.0.0.2")
        chain.order("set", ends=[0], up=False, number=1)
        chain.message(lambda message: message["op"] == "done")
        near.send(b"lost")
        chain.message(lambda message: chain.count(0, EndStats.DROP_OUTAGE) == 1)
        up = running(near, "right")
        chain.stop()
        return up

    assert in_sandbox(body)
