"""Trunks over real paths of several MTUs: which datagrams are found to pass, and what comes of a path that changes."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fabric_sandbox import in_sandbox, needs_sandbox

from emulator.fabric.kernel import netlink, syscalls
from emulator.link.engine.engine import Engine
from emulator.link.engine.structures import EngineOrder, OrderKind
from emulator.link.trunks import Hosts, trunk
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule

pytestmark = [pytest.mark.netns, needs_sandbox]

SECRET = b"of this test"
PROBES = 30  # so many times 10 ms are time for each size to be tried ten times
DEADLINE_S = 10.0
DELAY_S = 0.02


def ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


def namespaces(mtu: int) -> list[int]:
    """Two of them, each with a cable to a bridge of this one."""
    home, found = syscalls.open_netns(), []
    ip("link add paths index 10 type bridge forward_delay 0")
    ip("link set paths up")
    for host in range(2):
        syscalls.unshare(syscalls.CLONE_NEWNET)
        found.append(syscalls.open_netns())
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        route_socket = netlink.Socket()
        route_socket.send([netlink.add_veth(100 + host, f"cable{host}", 10, "eth0", found[host])], "the path")
        route_socket.close()
        ip(f"link set cable{host} mtu {mtu}")
        with syscalls.inside(found[host]):
            ip(f"link set eth0 up mtu {mtu}")
            ip(f"address add 10.0.0.{host + 1}/24 dev eth0")
    return found


class Pair:
    """The engines of two hosts, each with a live node, over the path."""

    def __init__(self, netns: list[int]) -> None:
        spec = EndSpec(schedule=PiecewiseSchedule.constant(DELAY_S))
        nodes = tuple(NodeSpec(f"n{n}", "host", True, f"10.1.0.{n + 1}") for n in range(2))
        network = Network(nodes, (LinkSpec("n0:n1", 0, 1, "r", "l", spec, spec),))
        self.sockets: list[socket.socket] = []
        self.far: list[socket.socket] = []  # of the nodes' ports
        self._near: list[socket.socket] = []
        for own in range(2):
            with syscalls.inside(netns[own]):
                made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind((f"10.0.0.{own + 1}", 0))
            self.sockets.append(made)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            theirs.setblocking(False)
            ours.settimeout(DEADLINE_S)
            self.far.append(ours)
            self._near.append(theirs)
        self.engines: list[Engine] = []
        for own, made in enumerate(self.sockets):
            made.connect(self.sockets[1 - own].getsockname())
            hosts = Hosts(own, np.arange(2, dtype=np.uint8), {1 - own: trunk(SECRET, own, 1 - own, made.fileno())})
            near = self._near[own].fileno()
            port = SimpleNamespace(node=own, end=own, name="eth0", fd=near, ethernet=False)
            self.engines.append(Engine(network, [port], None, 1, hosts=hosts, small_slots=1 << 10, large_slots=1 << 6))
        self._play()

    def _play(self) -> None:
        until_s = time.monotonic() + DEADLINE_S
        while min(engine.trunk_report(1 - own).probed for own, engine in enumerate(self.engines)) < PROBES:
            assert time.monotonic() < until_s, "no probe is answered"
            for engine in self.engines:
                engine.attend()
        t0_ns = time.monotonic_ns()
        self._threads = [
            threading.Thread(target=engine.run, args=(0, t0_ns, -1, False), daemon=True) for engine in self.engines
        ]
        for thread in self._threads:
            thread.start()

    def crosses(self, host: int) -> bool:
        """Whether a packet of 30,000 bytes from the node of this host reaches the other one."""
        head = bytes([0x45, 0, 0x75, 0x30, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, host + 1, 10, 1, 0, 2 - host])
        sent = bytes(10) + head + bytes(range(256)) * 117 + bytes(28)
        self.far[host].send(sent)
        return self.far[1 - host].recv(1 << 16)[30:] == sent[30:]

    def told(self) -> list[tuple[int, int]]:
        """Of each host: the datagrams that pass, and whether they go in fragments."""
        reports = [engine.trunk_report(1 - own) for own, engine in enumerate(self.engines)]
        return [(report.datagram_bytes, report.fragments) for report in reports]

    def close(self) -> None:
        for engine, thread in zip(self.engines, self._threads, strict=True):
            engine.send(EngineOrder(kind=OrderKind.STOP, end=-1))
            thread.join(DEADLINE_S)
            engine.close()
        for each in (*self.sockets, *self.far, *self._near):
            each.close()


def over(mtu: int, *change: tuple[int, str]) -> Any:
    """What is told after a packet has crossed each way, over a path of this MTU where a host has changed something."""

    def body() -> Any:
        netns = namespaces(mtu)
        for host, words in change:
            with syscalls.inside(netns[host]):
                ip(words)
        pair = Pair(netns)
        crossed = [pair.crosses(0), pair.crosses(1)]
        told = pair.told()
        pair.close()
        return crossed, told

    return in_sandbox(body)


@pytest.mark.parametrize(("mtu", "datagram_bytes"), [(9000, 8972), (8999, 1472), (1500, 1472), (1499, 1232)])
def test_the_largest_datagrams_that_the_path_carries_are_used(mtu: int, datagram_bytes: int) -> None:
    assert over(mtu) == ([True, True], [(datagram_bytes, 0)] * 2)


@pytest.mark.parametrize("host", [0, 1])  # of which one asks and the other answers
def test_a_path_that_carries_large_datagrams_one_way_only_gets_usual_ones(host: int) -> None:
    route = f"route change 10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.{host + 1} mtu lock 1500"
    assert over(9000, (host, route)) == ([True, True], [(1472, 0)] * 2)


def test_packets_also_cross_a_path_that_becomes_narrower() -> None:
    def body() -> Any:
        netns = namespaces(9000)
        pair = Pair(netns)
        before = pair.crosses(0), pair.told()
        with syscalls.inside(netns[0]):
            ip("link set eth0 mtu 1500")
        after = pair.crosses(0), pair.crosses(0), pair.told()
        pair.close()
        return before, after

    before, after = in_sandbox(body)
    assert before == (True, [(8972, 0), (8972, 0)])
    assert after == (True, True, [(8972, 1), (8972, 0)])
