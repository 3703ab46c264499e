"""Nodes that reach their neighbours only, and interfaces that carry what programs send and nothing else."""

import os
import socket
import time
from contextlib import suppress

import pytest
from fabric_sandbox import in_sandbox, needs_sandbox

from emulator.fabric.build import Fabric
from emulator.fabric.kernel import syscalls
from emulator.fabric.kernel.carrier_device import CarrierDevice
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule
from emulator.schedule.fib import FibCompiler
from emulator.schedule.timeline import KnotTimeline

pytestmark = [pytest.mark.netns, needs_sandbox]
END = EndSpec(schedule=PiecewiseSchedule.constant(0.001))
SETTLE_S = 2.5  # the kernel repeats a multicast report within a second or two of an interface coming up


def kite(forwards=False):
    """A triangle n0 n1 n2 with a tail n3."""
    nodes = tuple(
        NodeSpec(f"n{n}", "node", True, f"10.128.0.{n + 1}", f"fd53:6b79::a80:{n + 1:x}", forwards=forwards)
        for n in range(4)
    )
    edges = ((0, 1), (1, 2), (2, 0), (2, 3))
    links = tuple(LinkSpec(f"n{a}:n{b}", a, b, f"n{b}", f"n{a}", END, END) for a, b in edges)
    return Network(nodes, links, KnotTimeline(nodes, links, routing="neighbours"), "neighbours")


def built(network):
    fabric = Fabric(network)
    ports = fabric.build()
    row = next(iter(network.timeline.rows(0, 1)))
    for version in (4, 6):
        assert fabric.apply_routes(FibCompiler(network, version).update(row.next_end)) == []
    return fabric, ports


def sent(fabric, ports):
    """Packets that the nodes have sent by each port; the kernel counts a packet when it is read."""
    for port in ports:
        with suppress(BlockingIOError):
            while os.read(port.fd, 2000):
                pass
    counters = fabric.counters().items()
    assert not any(link.tx_dropped for _, link in counters)
    return {name: link.tx_packets for name, link in counters}


def test_only_neighbours_are_reachable_each_over_its_own_link():
    def body():
        fabric, ports = built(kite())
        reached = {}
        for node in range(4):
            with syscalls.inside(fabric.netns(node)):
                sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sock6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            for family, made, prefix in ((4, sock, "10.128.0."), (6, sock6, "fd53:6b79::a80:")):
                for last in (1, 2, 3, 4, 5):  # 5 is nobody
                    with suppress(OSError):
                        made.sendto(b"x", (f"{prefix}{last}", 9))
                        reached.setdefault((family, node), []).append(last - 1)
        counts = sent(fabric, ports)
        fabric.close()
        return reached, counts

    reached, counts = in_sandbox(body)
    others = {0: [1, 2], 1: [0, 2], 2: [0, 1, 3], 3: [2]}
    assert reached == {(family, node): sorted([*near, node]) for family in (4, 6) for node, near in others.items()}
    assert counts == {f"n{node}:n{near}": 2 for node in others for near in others[node]}


@pytest.mark.slow
@pytest.mark.parametrize("forwards", [False, True])
def test_interfaces_carry_nothing_of_the_kernels_own(forwards):
    def body():
        fabric, ports = built(kite(forwards))
        devices = [CarrierDevice(port.fd) for port in ports]
        time.sleep(SETTLE_S)
        for up in (False, True):
            for plug in devices:
                plug.set(up)
        time.sleep(SETTLE_S)
        counts = sent(fabric, ports)
        fabric.close()
        return counts

    assert set(in_sandbox(body).values()) == {0}
