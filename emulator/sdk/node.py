"""The interface of node programs: `Node` to subclass, and `NodeContext` with clock, peers, randomness and records.

Invariant: this module and all that it imports is standard library, so that a node process needs a few megabytes only.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import random
import socket
import struct
from array import array
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

from emulator.model.clock import MonotonicClock, both_clocks_ns, monotonic_ns, sleep_until_ns
from emulator.model.names import matches
from emulator.sdk.streams import MOST_STREAMS, Listener, Stream, connect

__all__ = ["Coordination", "Datagrams", "Node", "NodeContext", "OnDatagram", "Peer", "Sink"]

RECEIVE_BATCH = 64  # datagrams read from a socket in one turn of the event loop
STEP_NS = 20_000_000  # by which the time of day has moved against the run's clock: it was stepped
_SO_TIMESTAMPNS = 35
_ANCILLARY = socket.CMSG_SPACE(16)
_TIMESPEC = struct.Struct("@qq")
_SIOCETHTOOL, _GLINK = 0x8946, 0x0A
_ETHTOOL_VALUE = struct.Struct("@II")

OnDatagram = Callable[[bytes, tuple[str, int], float], None]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another live node of the run, reachable under its name or either address."""

    name: str
    role: str
    ipv4: str
    ipv6: str = ""


class Sink(Protocol):
    """The destination of a context's records: the control channel in a run, a list in a unit test."""

    def event(self, t_s: float, kind: str, fields: dict[str, Any]) -> None: ...
    def sample(self, t_s: float, name: str, value: float, key: str) -> None: ...


class Coordination(Protocol):
    """Calls from a context to the run, outside the emulated network, other than records."""

    async def meet(self, round: int, tally: Mapping[str, int]) -> dict[str, int]: ...
    async def act(self, given: dict[str, Any]) -> None: ...
    def note_round(self, round: int, sent: int, received: int, in_slot: int) -> None: ...


class NodeContext:
    """The emulator's interface for one node program. One per process; not for use from other threads."""

    def __init__(
        self,
        *,
        name: str,
        program: str,
        seed: int,
        address: Peer,
        peers: Mapping[str, Peer],
        store: Path | str,
        clock: MonotonicClock,
        sink: Sink,
        members: tuple[str, ...] = (),
        log: logging.Logger | None = None,
        coordination: Coordination | None = None,
        key_log: Path | None = None,
    ) -> None:
        self.name = name
        self.program = program  # the name of this program in the scenario
        self.seed = seed
        self.address = address
        self.peers = peers  # every other live node, by name, in the order of the scenario
        self.members = members  # names of the other nodes that run this program
        self.key_log = key_log  # this process's SSLKEYLOGFILE if keys are to be logged; its folder may be missing
        self.clock = clock
        self.stopping = asyncio.Event()  # set when the run (or this program's time) ends: return from `run` soon
        self.exit_stack = AsyncExitStack()  # closed after the program's `close`, in reverse order
        self._store = store
        self._log = log
        self._sink = sink
        self._coordination = coordination

    @cached_property
    def store(self) -> Path:
        """A directory for this node in the run folder, made on first use."""
        directory = Path(self._store)
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    @cached_property
    def log(self) -> logging.Logger:
        """The node's log in the run folder."""
        return self._log or logging.getLogger(self.name)

    def now(self) -> float:
        """Scenario time in seconds: 0 is the start of play, negative during `setup`."""
        return self.clock.now()

    async def sleep(self, duration_s: float) -> None:
        """Sleep; at most some 60 µs late on an idle machine (asyncio.sleep: up to a millisecond)."""
        await sleep_until_ns(monotonic_ns() + round(duration_s * 1e9))

    async def sleep_until(self, t_s: float) -> None:
        """Sleep until scenario time `t_s`; returns at once if that is past."""
        await sleep_until_ns(self.clock.monotonic_ns(t_s))

    async def until_stopped(self, *running: Awaitable[Any]) -> None:
        """Run these until the run ends, then cancel them. Raises the error of any of them; returns if one ends."""
        stopping = asyncio.ensure_future(self.stopping.wait())
        tasks = [stopping, *(asyncio.ensure_future(each) for each in running)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        for task in done:
            task.result()

    def rng(self, stream: str) -> random.Random:
        """A separate random stream: the same for the same seed, node, program and stream name."""
        return random.Random(f"{self.seed}/{self.name}/{self.program}/{stream}")

    def emit(self, kind: str, **fields: Any) -> None:
        """Record a typed event (plain values only) at the present scenario time."""
        self._sink.event(self.now(), kind, fields)

    def sample(self, name: str, value: float, key: str = "", *, t_s: float | None = None) -> None:
        """Record one value of a metric; `key` distinguishes series of one name, such as the peer's name.

        `t_s` is the scenario time of the observation; None: now.
        """
        self._sink.sample(self.now() if t_s is None else t_s, name, value, key)

    async def meet(self, round: int, tally: Mapping[str, int] | None = None) -> dict[str, int]:
        """A barrier outside the emulated network: returns when all processes that share it have reached `round`.

        Returns the sum of all tallies, the same for all processes. Programs share a barrier by the key `barrier` of the
        scenario; without it each program has its own. The barrier does not wait for processes that have ended; one that
        is behind (after a restart) passes it alone until it has caught up.
        """
        return await self._connected().meet(round, tally or {})

    async def act(self, do: str, **given: Any) -> None:
        """Perform an action on the network, as an `[[action]]` of a scenario: `act("link-down", links=["n0:n1"])`.

        Returns when it is done. UsageError if it names a node or link that does not exist.
        """
        await self._connected().act({"do": do, **given})

    def note_round(self, round: int, *, sent: int = 0, received: int = 0, in_slot: int = 0) -> None:
        """Add this process's counts of a round: datagrams sent over links, received, and received in the round in which
        they were due. The sums are the `rounds` of the verdict, and the scenario's `[rounds]` bounds them."""
        self._connected().note_round(round, sent, received, in_slot)

    def _connected(self) -> Coordination:
        if self._coordination is None:
            raise RuntimeError("this context has no line to a run")
        return self._coordination

    def port_up(self, port: str) -> bool:
        """Whether this node's interface has carrier, by the kernel; False if there is no interface of that name.

        Read by ETHTOOL_GLINK, which is up to date at once; the flag IFF_RUNNING may follow up to a second later.
        """
        value = array("B", _ETHTOOL_VALUE.pack(_GLINK, 0))
        request = struct.pack("16sP16x", port.encode()[:15], value.buffer_info()[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
            try:
                fcntl.ioctl(asked, _SIOCETHTOOL, request)
            except OSError:
                return False
        return bool(_ETHTOOL_VALUE.unpack(value)[1])

    def matching(self, globs: list[str] | tuple[str, ...]) -> list[Peer]:
        """The peers whose names match any of the globs, in the order of the scenario."""
        return [peer for peer in self.peers.values() if matches(globs, peer.name)]

    def datagrams(self, port: int, on_datagram: OnDatagram, *, version: int = 4) -> Datagrams:
        """A UDP socket on this node's address; `on_datagram(data, (host, port), t_s)` runs for each arrival.

        It is closed with the program.
        """
        datagrams = Datagrams(self.clock, _address(self.address, version), port, on_datagram)
        self.exit_stack.callback(datagrams.close)
        return datagrams

    def listen(self, port: int, *, strangers: bool = False, most: int = MOST_STREAMS, version: int = 4) -> Listener:
        """A TCP socket on this node's address that accepts connections of peers, at most `most` at once.

        With `strangers` it also accepts those from other addresses. It is closed with the program.
        """
        names = {_address(peer, version): peer.name for peer in self.peers.values()}
        listener = Listener(_address(self.address, version), port, names, strangers=strangers, most=most)
        self.exit_stack.callback(listener.close)
        return listener

    async def connect(
        self, peer_name: str, port: int, *, congestion: str = "", no_delay: bool = False, version: int = 4
    ) -> Stream:
        """A TCP connection to a peer; close it. OSError if it cannot be made, KeyError for an unknown peer.

        `congestion` names a congestion control ("cubic", "bbr"); EmulationError if this kernel does not allow it.
        """
        host, to = (_address(end, version) for end in (self.address, self.peers[peer_name]))
        return await connect(host, to, port, peer=peer_name, congestion=congestion, no_delay=no_delay)


def _address(peer: Peer, version: int) -> str:
    return peer.ipv6 if version == 6 else peer.ipv4


class Datagrams:
    """A bound UDP socket whose arrivals have the kernel's receive time, so that a busy process reads no later time.

    The kernel stamps by the time of day. Where that is stepped between two looks arrivals have the time of the look.
    """

    def __init__(self, clock: MonotonicClock, host: str, port: int, on_datagram: OnDatagram) -> None:
        self._clock = clock
        self._on_datagram = on_datagram
        run_ns, real_ns = both_clocks_ns()
        self._real_to_run_ns = run_ns - real_ns  # at the last look
        self.refused = 0  # sends that the kernel refused (full queue, no route); such a datagram is lost
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def send(self, data: bytes, host: str, port: int) -> bool:
        """Send now; returns False (and counts it in `refused`) if the kernel refuses it."""
        try:
            self._socket.sendto(data, (host, port))
        except OSError:
            self.refused += 1
            return False
        return True

    def take(self) -> None:
        """Process all datagrams that have arrived, without waiting for the event loop."""
        while self._readable() == RECEIVE_BATCH:
            pass

    def _readable(self) -> int:
        """Process some arrivals; returns their number."""
        run_ns, real_ns = both_clocks_ns()
        real_to_run_ns = run_ns - real_ns
        stamped = abs(real_to_run_ns - self._real_to_run_ns) < STEP_NS
        self._real_to_run_ns = real_to_run_ns
        real_to_scenario_s = (real_to_run_ns - self._clock.t0_ns) * 1e-9
        for count in range(RECEIVE_BATCH):
            try:
                data, ancillary, _flags, address = self._socket.recvmsg(65535, _ANCILLARY)
            except OSError:  # no more datagrams, or an ICMP error of an earlier send
                return count
            t_s = self._clock.now()
            for level, kind, value in ancillary:
                if stamped and level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = _TIMESPEC.unpack(value[:16])
                    t_s = min(t_s, seconds + nanoseconds * 1e-9 + real_to_scenario_s)
            self._on_datagram(data, (address[0], address[1]), t_s)
        return RECEIVE_BATCH

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()


class Node:
    """A node program. The runtime calls `setup` (before "ready"), `run` (from T0 on) and `close`, in this order, and
    closes what is on the context's exit stack.

    `Config` is a dataclass whose field types may be those of `model.units`; a scenario's `config` table is checked
    against it before anything starts. Returning from `run` ends the process with exit status 0, raising with 1.
    """

    protocol: ClassVar[str] = ""
    """Dotted name of the `sdk.protocol.Protocol` spoken, such as "nodes.traffic.protocol:PROTOCOL"; or none."""

    commands: ClassVar[Mapping[str, str]] = {}
    """What a person can run on the program's nodes (`skyloom exec NODE -- NAME …`): dotted names of functions by name.

    A function takes the words, its name first, and returns the exit status. It runs in a process of its own.
    """

    @dataclass(frozen=True, slots=True)
    class Config:
        """A program without settings."""

    def __init__(self, config: Any, context: NodeContext) -> None:
        self.config = config
        self.context = context

    async def setup(self) -> None:
        """Bind sockets and read files. Peers may not be up yet, so send nothing.

        Put all that must be closed on `context.exit_stack` as soon as it is open: `exit_stack.callback(file.close)`.
        """

    async def run(self) -> None:
        """The program itself. Return when `context.stopping` is set; the default waits for that."""
        await self.context.stopping.wait()

    async def close(self) -> None:
        """Write the last records; also called if `setup` or `run` raised or was cancelled. Sockets are still open."""
