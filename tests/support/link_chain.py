"""Help for tests of the relay on real ports: a chain of nodes, its relay in a process, and commands in its ends."""

import os
import socket
import subprocess
import time
import traceback
from math import inf

import msgpack
import numpy as np

from emulator.fabric.build import Fabric
from emulator.fabric.kernel import syscalls
from emulator.link.relay import Relay
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, PiecewiseSchedule, ScheduleRow
from emulator.schedule.ring import RowRing

DEADLINE_S = 20.0


class Still:
    """A timeline of one row that lasts: routes along the chain."""

    step_s = 1e6

    def __init__(self, links):
        nodes, ends = links + 1, 2 * links
        next_end = [[2 * n - 1 for n in range(nodes)], [2 * n for n in range(links)] + [-1]]
        peer = [n for link in range(links) for n in (link + 1, link)]
        values = np.zeros(ends)
        self.row = ScheduleRow(
            0, values, values, values + inf, values, values == 0,
            np.array(peer, np.int32), np.array(next_end, np.int32),
        )  # fmt: skip

    def rows(self, first, count):
        yield self.row


class Chain:
    """Two live nodes, 0 and `last`, with `transit` nodes between them; every link end follows `spec`, or those of link
    n the n-th of a list."""

    def __init__(self, transit=0, spec=None, ethernet=False, carrier=False):
        links = transit + 1
        specs = spec if isinstance(spec, list) else [spec or EndSpec(schedule=PiecewiseSchedule.constant())] * links
        self.last = links
        nodes = tuple(
            NodeSpec(
                f"n{n}", "host" if n in (0, links) else "satellite", n in (0, links), f"10.0.0.{n + 1}",
                f"fd00::{n + 1:x}", forwards=n not in (0, links),
            )
            for n in range(links + 1)
        )  # fmt: skip
        line = tuple(
            LinkSpec(f"n{n}:right", n, n + 1, "right", "left", spec, spec, ethernet=ethernet, carrier=carrier)
            for n, spec in enumerate(specs)
        )
        timeline = Still(links)
        self.network = Network(nodes, line, timeline)
        self.fabric = Fabric(self.network)
        ports = self.fabric.build()
        ring = RowRing(2 * links, links + 1, 2)
        ring.put(timeline.row)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(DEADLINE_S)
        self.counters = {}
        self.relay = os.fork()
        if self.relay == 0:
            try:
                self.control.close()
                Relay(self.network, ports, ring, 1, theirs).run()
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        theirs.close()
        self.t0_s = time.monotonic()
        self.order("start", t0_ns=round(self.t0_s * 1e9))

    def order(self, op, **more):
        self.control.send(msgpack.packb({"op": op, **more}))

    def message(self, expected):
        """The next message of the relay for which `expected` holds; the counters of all are kept."""
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            message = msgpack.unpackb(self.control.recv(1 << 20), strict_map_key=False)
            self.counters.update(message.get("ends", {}))
            if expected(message):
                return message
        raise AssertionError(f"the relay did not say it in time; counters: {self.counters}")

    def count(self, end, counter):
        return self.counters.get(end, [0] * 15)[counter]

    def stop(self):
        self.order("stop")
        final = self.message(lambda message: message.get("final"))
        os.waitpid(self.relay, 0)
        self.fabric.close()
        return final

    def run(self, node, *command, timeout_s=60):
        """Output of a command in a live node."""
        with syscalls.inside(self.fabric.netns(node)):
            return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s).stdout

    def udp(self, node, address=None, version=4):
        """A UDP socket in a live node, bound to port 9, or connected to port 9 of an address."""
        with syscalls.inside(self.fabric.netns(node)):
            made = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        made.settimeout(DEADLINE_S)
        if address is None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            made.bind(("", 9))
        else:
            made.connect((address, 9))
        return made

    def tcp(self):
        """A connected pair of TCP sockets, in the first and the last node."""
        with syscalls.inside(self.fabric.netns(self.last)):
            listener = socket.create_server(("", 8))
        with syscalls.inside(self.fabric.netns(0)):
            near = socket.create_connection((f"10.0.0.{self.last + 1}", 8), DEADLINE_S)
        far, _ = listener.accept()
        listener.close()
        far.settimeout(DEADLINE_S)
        return near, far
