"""RouteWatcher: records how a node's IPv4 routes change, and what the daemons beside it cost.

Events: `routes` with `at_s`, when the last of some changes came, and `changed`, next hops (gateways, with spaces
between them) by prefix, "" where a route has gone; `routes-overrun` where changes were lost: what they led to is asked
for, and told once it is known. Samples, with the program's name as key: `pss_bytes` and `cpu_s` of
processes of these names in this node.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulator.model.units import Duration
from emulator.sdk.node import Node
from nodes.routes.kernel import RTMGRP_IPV4_ROUTE, RouteTable

RECEIVE_BYTES = 1 << 16
BUFFER_BYTES = 1 << 22


class RouteWatcher(Node):
    """Watches the kernel of its node; sends nothing to others."""

    @dataclass(frozen=True, slots=True)
    class Config:
        gather_s: Duration = 0.05  # changes within it are one event
        processes: list[str] = field(default_factory=list)  # names of programs whose memory and time are told
        usage_interval_s: Duration = 10.0

    def __init__(self, config: Config, context: Any) -> None:
        super().__init__(config, context)
        self._table = RouteTable()
        self._changed: dict[str, str] = {}
        self._at_s = 0.0
        self._telling: asyncio.TimerHandle | None = None

    async def setup(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self.context.exit_stack.callback(self._socket.close)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._socket.bind((0, RTMGRP_IPV4_ROUTE))
        self._ask()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket.fileno(), self._readable)
        self.context.exit_stack.callback(loop.remove_reader, self._socket.fileno())

    async def run(self) -> None:
        await self.context.until_stopped(self._tell_usage())

    def _readable(self) -> None:
        try:
            data = self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:  # more changes than the buffer holds
            self.context.emit("routes-overrun")
            self._table.lose()
            self._ask()
            return
        changed = self._table.read(data)
        self._ask()
        if not changed:
            return
        self._changed |= {prefix: " ".join(hops) for prefix, hops in changed.items()}
        self._at_s = self.context.now()
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(self.config.gather_s, self._tell)

    def _ask(self) -> None:
        if self._table.wants_dump:
            self._socket.send(self._table.begin_dump())

    def _tell(self) -> None:
        self._telling = None
        if self._changed:
            self.context.emit("routes", at_s=round(self._at_s, 6), changed=self._changed)
            self._changed = {}

    async def _tell_usage(self) -> None:
        found: dict[str, int] = {}
        while True:
            await self.context.sleep(self.config.usage_interval_s)
            if len(found) < len(self.config.processes):  # looking for them costs more than asking them
                found = _processes_here(self.config.processes)
            for name, pid in list(found.items()):
                try:
                    self.context.sample("pss_bytes", _pss_bytes(pid), name)
                    self.context.sample("cpu_s", _cpu_s(pid), name)
                except (OSError, ValueError, IndexError):  # it has ended; another may have been started
                    del found[name]

    async def close(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
        self._tell()


def _processes_here(names: list[str]) -> dict[str, int]:
    """Process of each of these names that shares this node's network."""
    own, found = Path("/proc/self/ns/net").readlink(), dict[str, int]()
    for entry in Path("/proc").iterdir() if names else ():
        if not entry.name.isdecimal():
            continue
        with suppress(OSError):
            name = (entry / "comm").read_text().strip()
            if name in names and (entry / "ns/net").readlink() == own:
                found[name] = int(entry.name)
    return found


def _pss_bytes(pid: int) -> float:
    """Memory of a process, what it shares with others by its share (Pss of smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return 1024.0 * int(line.split()[1])
    raise ValueError("no Pss")


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far, of all its threads: the scheduler's own count, where /proc/PID/stat only
    counts who runs as the clock ticks."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) * 1e-9
