"""How soon a daemon at the far host sees that a link came or went: that of benchmarks/carrier.py, over two relays.

Each host performs what is scheduled at its instant, so nothing of it crosses. A live action is asked of both hosts for
30 ms later; from that instant on it is as one that was scheduled.
"""

from __future__ import annotations

import os
import socket
import time

import msgpack
import numpy as np

from benchmarks import carrier
from benchmarks.chain import split
from benchmarks.figures import tell
from emulator.fabric import Fabric
from emulator.link.relay import Relay
from emulator.schedule.ring import RowRing

CHANGES = 60
LEAD_S = 0.5


def _far(crossing: bool) -> list[float]:
    """How long after each change the kernel told it in the far node, in ms."""
    network, times, _ = carrier.network(1, CHANGES, by_rows=False)
    fabric = Fabric(network)
    ports = fabric.build()
    pair = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for each in pair:
        each.bind(("127.0.0.1", 0))
    pair[0].connect(pair[1].getsockname())
    pair[1].connect(pair[0].getsockname())
    controls, children = [], []
    for hosts in split(1, (pair[0].fileno(), pair[1].fileno())) if crossing else (None,):
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if not pid:
            control.close()
            own = [port for port in ports if hosts is None or hosts.of_node[port.node] == hosts.own]
            Relay(network, own, RowRing(2, 2, 2), 1, theirs, hosts=hosts).run()
            os._exit(0)
        theirs.close()
        controls.append(control)
        children.append(pid)
    t0_s = time.monotonic() + LEAD_S
    for control in controls:
        control.send(msgpack.packb({"op": "start", "t0_ns": round(t0_s * 1e9)}))
    heard = carrier.hear(fabric.netns(1), CHANGES, t0_s + times[-1] + 5.0)
    for control in controls:
        control.close()
    for pid in children:
        os.waitpid(pid, 0)
    fabric.close()
    for each in pair:
        each.close()
    return [1e3 * (at_s - t0_s - t_s) for (_, _, at_s), t_s in zip(heard, times, strict=False)]


def measure() -> None:
    """The far node's host beside one host."""
    across, alone = _far(crossing=True), _far(crossing=False)
    words = [
        f"p50 {np.quantile(each, 0.5):.2f}, p99 {np.quantile(each, 0.99):.2f} ms, {CHANGES - len(each)} missed"
        for each in (across, alone)
    ]
    tell("carrier at the far host, after the scheduled instant", words[0], f"one host {words[1]}", "<= 2 ms")
