"""Two live nodes with transit nodes between them, and the relay in a process of its own; or, as a floor, a loop of
system calls in its place.

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
from math import inf
from pathlib import Path

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
from emulator.model.errors import SkyloomError
from emulator.model.network import EndSpec, LinkSpec, Network, NodeSpec, Rates, ScheduleRow, SubstepSpec
from emulator.schedule.ring import RowRing


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
    holds each packet for so long instead of the relay."""

    def __init__(
        self, transit: int, spec: EndSpec, *, threads: int = 1, realtime: bool = False, bare_s: float | None = None
    ) -> None:
        links = self.last = transit + 1
        nodes = tuple(NodeSpec(f"n{n}", "host", n in (0, links), f"10.0.0.{n + 1}") for n in range(links + 1))
        line = tuple(LinkSpec(f"n{n}:right", n, n + 1, "right", "left", spec, spec) for n in range(links))
        timeline = Still(links)
        self.network = Network(nodes, line, timeline)
        self.fabric = Fabric(self.network)
        ports = self.fabric.build()
        self._children: list[int] = []
        self.control: socket.socket | None = None
        if bare_s is not None:
            native()
            self.relay = self.fork(lambda: _bare(ports[0].fd, ports[1].fd, bare_s))
            return
        ring = RowRing(2 * links, links + 1, 2)
        ring.put(timeline.row)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        relay = lambda: Relay(self.network, ports, ring, 1, theirs, threads=threads, realtime=realtime).run()  # noqa: E731
        self.relay = self.fork(relay)
        theirs.close()
        self.control.send(msgpack.packb({"op": "start", "t0_ns": time.monotonic_ns()}))

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
        """Time that the relay's threads have had a processor, as the scheduler says."""
        spent_ns = 0
        for task in Path(f"/proc/{self.relay}/task").iterdir():
            spent_ns += int((task / "schedstat").read_text().split()[0])
        return spent_ns * 1e-9

    def stop(self) -> Final:
        """End the relay and everything else in the chain; what the relay said last."""
        message: dict[str, object] = {}
        counters: dict[int, list[float]] = {}
        if self.control is not None:
            self.control.send(msgpack.packb({"op": "stop"}))
            while not message.get("final"):
                message = msgpack.unpackb(self.control.recv(1 << 20), strict_map_key=False)
                counters.update(message.get("ends", {}))  # type: ignore[call-overload]
            self.control.close()
            self.wait(self.relay)
        for pid in list(self._children):
            self.kill(pid)
        self.fabric.close()
        late = Lateness.unpack(message["lateness"]) if message else Lateness()  # type: ignore[arg-type]
        numbers = (float(message.get(name, 0.0)) for name in ("t_s", "cpu_s", "engine_cpu_s", "overloaded_s"))  # type: ignore[arg-type]
        return Final(counters, late, *numbers)


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
