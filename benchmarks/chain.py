"""Two live nodes with transit nodes between them, and the relay in a process of its own; or two relays, as two hosts
have them; or, as a floor, a loop of system calls in its place.

Load comes from processes of their own in the namespaces of the live nodes (benchmarks/load.py). Invariant: what came
through is told by the kernel's counters of the far interface, so relay and floor are counted alike.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from benchmarks.native import native
from emulator.fabric import sandbox
from emulator.fabric.build import Fabric
from emulator.fabric.kernel import syscalls
from emulator.link.health import be_urgent
from emulator.link.lateness import Lateness
from emulator.link.relay import Relay
from emulator.link.stats import DROPS, EndStats
from emulator.link.trunks import Hosts
from emulator.link.trunks import trunk as trunk_to
from emulator.model.errors import SkyloomError
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, Rates, ScheduleRow, SubstepSpec
from emulator.schedule.ring import RowRing

PROBES = 20  # that each host has answered before two hosts begin: by then both know what their trunk carries


class Still:
    """A timeline of one row that lasts: routes along the chain. The ends have schedules of their own."""

    step_s = 1e6
    rates: Rates | None = None
    substep: SubstepSpec | None = None

    def __init__(self, links: int) -> None:
        ends = 2 * links
        next_end = [[2 * n - 1 for n in range(links + 1)], [2 * n for n in range(links)] + [-1]]
        peer = [n for link in range(links) for n in (link + 1, link)]
        zero = np.zeros(ends)
        routes = np.array(next_end, np.int32)
        self.row = ScheduleRow(0, zero, zero, zero + inf, zero, zero == 0, np.array(peer, np.int32), routes)

    def rows(self, first: int, count: int) -> Iterator[ScheduleRow]:
        yield self.row


@dataclass(frozen=True, slots=True)
class Final:
    """What the relay said when it was stopped."""

    counters: dict[int, list[float]]  # by link end
    lateness: Lateness
    t_s: float
    cpu_s: float  # of the process
    engine_cpu_s: float  # of the engine's lanes
    overloaded_s: float
    trunks: dict[int, dict[str, Any]]  # by host, what each says of its trunk to the other one

    @property
    def drops(self) -> dict[str, int]:
        """Packets dropped on all ends, by cause."""
        sums = {cause.name.lower(): int(sum(row[cause] for row in self.counters.values())) for cause in DROPS}
        return {name: count for name, count in sums.items() if count}

    @property
    def delivered(self) -> float:
        return sum(row[EndStats.DELIVERED_PACKETS] for row in self.counters.values())

    @property
    def engine_share(self) -> float:
        """Of a core."""
        return self.engine_cpu_s / self.t_s

    def late_ms(self, share: float) -> float:
        return self.lateness.quantile(share) * 1e3


class Chain:
    """Nodes 0 and `last`, every link end with the same `spec`. `bare_s`: a loop of system calls that never sleeps and
    holds each packet for so long instead of the relay. `trunk`: the connected sockets of two hosts, of which the second
    one has the last node."""

    def __init__(
        self,
        transit: int,
        spec: EndSpec,
        *,
        threads: int = 1,
        realtime: bool = False,
        bare_s: float | None = None,
        trunk: tuple[int, int] | None = None,
    ) -> None:
        links = self.last = transit + 1
        nodes = tuple(NodeSpec(f"n{n}", "host", n in (0, links), f"10.0.0.{n + 1}") for n in range(links + 1))
        line = tuple(LinkSpec(f"n{n}:right", n, n + 1, "right", "left", spec, spec) for n in range(links))
        timeline = Still(links)
        self.network = Network(nodes, line, timeline)
        self.fabric = Fabric(self.network)
        ports = self.fabric.build()
        self._children: list[int] = []
        self.relays: list[int] = []
        self.controls: list[socket.socket] = []
        if bare_s is not None:
            native()
            self.relays.append(self.fork(lambda: _bare(ports[0].fd, ports[1].fd, bare_s)))
            return
        ring = RowRing(2 * links, links + 1, 2)
        ring.put(timeline.row)
        for hosts in split(links, trunk) if trunk is not None else (None,):
            own = [port for port in ports if hosts is None or hosts.of_node[port.node] == hosts.own]
            control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            relay = partial(Relay, self.network, own, ring, 1, theirs, threads=threads, realtime=realtime, hosts=hosts)
            self.relays.append(self.fork(lambda relay=relay: relay().run()))  # type: ignore[misc]
            theirs.close()
            self.controls.append(control)
        for control in self.controls if trunk is not None else ():
            _probed(control)
        t0_ns = time.monotonic_ns()
        for control in self.controls:
            control.send(msgpack.packb({"op": "start", "t0_ns": t0_ns}))

    @property
    def address(self) -> str:
        return f"10.0.0.{self.last + 1}"

    def fork(self, body: Callable[[], object], node: int = -1) -> int:
        """Run `body` in a child, in the namespace of a live node; returns its process id."""
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                if node >= 0:
                    syscalls.setns(self.fabric.netns(node), syscalls.CLONE_NEWNET)
                body()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        self._children.append(pid)
        return pid

    def wait(self, pid: int) -> None:
        """Until a child ends by itself."""
        os.waitpid(pid, 0)
        self._children.remove(pid)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def offered(self) -> int:
        """Packets that node 0 has sent so far, with those that its port had no room for."""
        counters = self.fabric.counters()["n0:right"]
        return counters.tx_packets + counters.tx_dropped

    def received(self) -> int:
        """Packets that have come to the last node."""
        return self.fabric.counters()[f"n{self.last}:left"].rx_packets

    def received_bytes(self) -> int:
        return self.fabric.counters()[f"n{self.last}:left"].rx_bytes

    def relay_cpu_s(self) -> float:
        """Time that the relays' threads have had a processor, as the scheduler says."""
        tasks = [task for relay in self.relays for task in Path(f"/proc/{relay}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) * 1e-9

    def stop(self) -> Final:
        """End the relays and everything else in the chain; what they said last."""
        counters: dict[int, list[float]] = {}
        finals = [self._final(control, counters) for control in self.controls]
        for pid in list(self._children):
            self.kill(pid)
        self.fabric.close()
        late = Lateness()
        for message in finals:
            late.merge(Lateness.unpack(message["lateness"]))
        t_s = max((float(message["t_s"]) for message in finals), default=0.0)
        sums = (sum(float(message[name]) for message in finals) for name in ("cpu_s", "engine_cpu_s", "overloaded_s"))
        trunks = {host: one for host, message in enumerate(finals) for one in message["trunks"].values()}
        return Final(counters, late, t_s, *sums, trunks=trunks)

    def _final(self, control: socket.socket, counters: dict[int, list[float]]) -> dict[str, Any]:
        """Stop a relay; its last message. Its counters are added to those of the others."""
        control.send(msgpack.packb({"op": "stop"}))
        message: dict[str, Any] = {}
        own: dict[int, list[float]] = {}
        while not message.get("final"):
            message = msgpack.unpackb(control.recv(1 << 20), strict_map_key=False)
            own.update(message.get("ends", {}))
        control.close()
        for end, row in own.items():
            counters[end] = [a + b for a, b in zip(counters.get(end, [0.0] * len(row)), row, strict=True)]
        return message


def split(links: int, trunk: tuple[int, int]) -> list[Hosts]:
    """Two hosts, of which the second one has the last node of a chain."""
    of_node = np.array([0] * links + [1], np.uint8)
    return [Hosts(own, of_node, {1 - own: trunk_to(b"benchmark", own, 1 - own, trunk[own])}) for own in range(2)]


def _probed(control: socket.socket) -> None:
    """Until a relay that has not begun has told of PROBES."""
    count = 0
    while count < PROBES:
        message = msgpack.unpackb(control.recv(1 << 20), strict_map_key=False)
        count += sum(len(trunk["probes"]) for trunk in message.get("trunks", {}).values())


def _bare(a: int, b: int, delay_s: float) -> None:
    be_urgent()
    native().bare_relay(a, b, delay_s)


def in_sandbox(measure: Callable[[], None]) -> None:
    """Run a benchmark in namespaces of its own; ends the process with its status where that is not 0."""

    def main() -> int:
        try:
            measure()
        except SkyloomError as error:
            print(error)
            return error.exit_code
        return 0

    _, status = os.waitpid(sandbox.spawn(main, {}), 0)
    if status:
        sys.exit(os.waitstatus_to_exitcode(status))
