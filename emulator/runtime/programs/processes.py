"""The supervisor's side of the zygote: the processes of a run, from "spawn" to their exit.

Invariant: a process is in exactly one state (starting, ready, running, ended), moves through them in this order, and
every end is reported once, with its exit status and the error that the program itself reported, if it did.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from emulator.model.errors import EmulationError
from emulator.record.folder import file_name
from emulator.runtime.control.channel import RECORDS, Channel, records
from emulator.runtime.control.encoding import BadMessage, decode, encode
from emulator.runtime.control.messages import (
    FROM_NODE,
    FROM_ZYGOTE,
    AskAction,
    Cold,
    CountRound,
    Dropped,
    Failed,
    FromNode,
    Kill,
    Meet,
    Members,
    NodeRequest,
    Peers,
    ProcessExited,
    Ready,
    Spawn,
    Spawned,
    Start,
    ToZygote,
    Warm,
    Warmed,
)
from emulator.runtime.control.transport import Transport, close_all, hear, say

PEERS_PER_MESSAGE = 500
BATCH = 4  # packets of records that one process may bring in one turn of the event loop
LOG_TAIL_LINES = 8
LOG_TAIL_BYTES = 4096
LOG_TAIL_COLUMNS = 300  # of a line in a tail; the log has all of it

STARTING, READY, RUNNING, ENDED = "starting", "ready", "running", "ended"


@dataclass(eq=False)
class Process:
    """One process of the run: a program on a node, or a command that somebody runs there."""

    number: int
    node: str
    program: str
    log: Path
    channel: Transport | None = None
    state: str = STARTING
    pid: int = 0
    status: int | None = None  # exit status, negative for a signal, as subprocess does
    failure: str = ""  # what the process itself said before it failed
    asked_to_end: bool = False  # by us: a crash action, a stop, the end of the run
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    spawned_at: float = 0.0
    ready_at: float = 0.0
    cpu_s: float = 0.0  # once it has ended, with what its children used that it waited for

    def last_lines(self) -> list[str]:
        """The last lines of its log, long ones cut at LOG_TAIL_COLUMNS."""
        try:
            with open(self.log, "rb") as file:
                file.seek(max(0, self.log.stat().st_size - LOG_TAIL_BYTES))
                lines = file.read(LOG_TAIL_BYTES).decode("utf-8", "replace").splitlines()
        except OSError:
            return []
        shown = lines[-LOG_TAIL_LINES:]
        return [line if len(line) <= LOG_TAIL_COLUMNS else f"{line[:LOG_TAIL_COLUMNS]} …" for line in shown]

    def log_tail(self) -> str:
        """The last lines of its log, for messages."""
        return "\n".join(f"    {line}" for line in self.last_lines())

    def describe_end(self) -> str:
        """How it ended, in words."""
        if self.status is None:
            return "is still running"
        if self.status < 0:
            try:
                return f"was ended by {signal.Signals(-self.status).name}"
            except ValueError:
                return f"was ended by signal {-self.status}"
        return f"exited with status {self.status}"


OnRecord = Callable[[Process, list[Any]], None]


class Processes:
    """The zygote and its children. Make it before the event loop (so that it warms up), `attach` it within."""

    def __init__(self, seed: int, logs: Path, store: Path, keys: Path | None = None) -> None:
        self.all: list[Process] = []
        self.warm: asyncio.Event = asyncio.Event()
        self.lost: asyncio.Event = asyncio.Event()  # the zygote itself has ended
        self.cold = ""  # why a program could not be imported
        self.rejected = 0  # packets of node processes that are neither messages nor records
        self.first_rejected = ""  # whose, and why
        self.on_record: OnRecord = lambda process, record: None
        self.on_dropped: Callable[[Process, int], None] = lambda process, count: None
        self.on_end: Callable[[Process], None] = lambda process: None
        self.on_request: Callable[[Process, NodeRequest], None] = lambda process, message: None
        self._seed = seed
        self._logs = logs
        self._store = store
        self._keys = keys  # where programs log their TLS keys; None: they do not
        self._by_number: dict[int, Process] = {}
        self._changed = asyncio.Event()
        self._outgoing: deque[tuple[bytes, list[int]]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        ours, theirs = Channel.pair()
        self._channel = ours
        theirs.socket.set_inheritable(True)
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "emulator.runtime.programs.zygote", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()

    def prepare(
        self,
        peers: Iterable[Sequence[str]],
        programs: Iterable[str],
        path: Iterable[str],
        members: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Tell the zygote who lives in the run (name, role, ipv4, ipv6), what to import, and which nodes run each
        program (`members`, by the program's name). It answers later."""
        table = [(name, role, ipv4, ipv6) for name, role, ipv4, ipv6 in peers]
        for first in range(0, len(table), PEERS_PER_MESSAGE):
            say(self._channel, Peers(tuple(table[first : first + PEERS_PER_MESSAGE])))
        for program, nodes in (members or {}).items():
            for first in range(0, len(nodes), PEERS_PER_MESSAGE):
                say(self._channel, Members(program, tuple(nodes[first : first + PEERS_PER_MESSAGE])))
        say(self._channel, Warm(tuple(sorted(set(programs))), tuple(path), str(self._store)))

    def attach(self) -> None:
        """Serve the channel in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._channel.set_timeout(0.0)
        self._loop.add_reader(self._channel.fileno(), self._heard)

    def spawn(
        self,
        node: str,
        program: str,
        namespaces: Mapping[str, int],
        spec: Mapping[str, Any],
        streams: Mapping[str, int] | None = None,
        supervised: bool = True,
        own_log: bool = False,
    ) -> Process:
        """Fork a process into `namespaces`: descriptors by kind, "net" at least. `spec` has fields of Spawn: `run` and
        `config`, or `command`; `streams` are descriptors of stdin, stdout and stderr (else: the node's log). Supervised
        processes wait for `start`. Commands have a log of their own; Python programs share their node's, but for
        `own_log`."""
        number = len(self.all)
        shared = "run" in spec and not own_log
        log = self._logs / f"{node}.txt" if shared else self._logs / node / f"{program}.txt"
        if not streams:
            log.parent.mkdir(exist_ok=True)
        process = Process(number, node, program, log, spawned_at=time.monotonic())
        fds = {name: os.dup(fd) for name, fd in {**namespaces, **(streams or {})}.items()}
        if supervised:
            ours, theirs = Channel.pair()
            ours.set_timeout(0.0)
            process.channel = ours
            fds["control"] = theirs.socket.detach()
            self._listen(process)
        else:
            process.state = RUNNING
        message = Spawn(
            number, node, program, self._seed, str(log), str(self._store / node / program),
            str(self._keys / f"{file_name(f'{node}-{program}')}.keys") if self._keys else "", tuple(fds), **spec,
        )  # fmt: skip
        self.all.append(process)
        self._by_number[number] = process
        self._send(message, list(fds.values()))
        return process

    def start(self, process: Process, t0_ns: int) -> None:
        """Let a ready process play from T0 on."""
        assert process.channel is not None
        process.state = RUNNING
        try:
            say(process.channel, Start(t0_ns))
        except OSError:  # it has just ended; its exit is on the way
            pass

    def kill(self, processes: Iterable[Process], signum: int) -> None:
        """Signal the sessions of processes that have not ended."""
        numbers = [process.number for process in processes if process.state != ENDED]
        for first in range(0, len(numbers), 5000):
            self._send(Kill(tuple(numbers[first : first + 5000]), int(signum)), [])

    async def wait_ready(self, processes: Sequence[Process], timeout_s: float, progress: Callable[[int], None]) -> None:
        """Wait until all are ready. EmulationError names one that failed, ended or took too long, with its log."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self.cold:
                raise EmulationError(self.cold)
            if self.lost.is_set():
                raise EmulationError("the process that starts node programs (the zygote) has died")
            for process in processes:
                if process.failure or process.state == ENDED:
                    raise EmulationError(await self._why(process))
            waiting = [process for process in processes if process.state == STARTING]
            progress(len(processes) - len(waiting))
            if not waiting:
                return
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                others = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
                first = waiting[0]
                raise EmulationError(
                    f"{first.node}: program {first.program} was not ready after {timeout_s:g} s{others}; its "
                    f"setup hangs or is slow{self._with_log(first)}"
                )
            self._changed.clear()
            try:
                async with asyncio.timeout(min(left_s, 0.25)):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def wait_ended(self, processes: Iterable[Process], timeout_s: float) -> list[Process]:
        """Wait for all to end; returns those that have not."""
        waiting = [process for process in processes if process.state != ENDED]
        deadline = time.monotonic() + timeout_s
        for process in waiting:
            left_s = deadline - time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, left_s)):
                    await process.ended.wait()
            except TimeoutError:
                break
        return [process for process in waiting if process.state != ENDED]

    def close(self) -> None:
        """End the zygote, and with it every child. For those who go on living afterwards."""
        self._zygote.kill()
        self._zygote.wait()
        if self._loop is None or self._loop.is_closed():
            self._channel.close()

    def alive(self) -> list[Process]:
        return [process for process in self.all if process.state != ENDED]

    async def _why(self, process: Process) -> str:
        if process.state != ENDED:
            await self.wait_ended([process], 1.0)
        what = process.failure or f"it {process.describe_end()} before it was ready"
        return f"{process.node}: program {process.program} failed: {what}{self._with_log(process)}"

    @staticmethod
    def _with_log(process: Process) -> str:
        tail = process.log_tail()
        return f"; the last lines of {process.log.name}:\n{tail}" if tail else f"; {process.log.name} is empty"

    def _send(self, message: ToZygote, fds: list[int]) -> None:
        self._outgoing.append((encode(message), fds))
        self._flush()

    def _flush(self) -> None:
        while self._outgoing:
            data, fds = self._outgoing[0]
            try:
                self._channel.send_bytes(data, fds)
            except BlockingIOError:
                assert self._loop is not None
                self._loop.add_writer(self._channel.fileno(), self._flush)
                return
            except OSError:
                pass  # the zygote has died; `lost` is set by the reader
            self._outgoing.popleft()
            for fd in fds:
                os.close(fd)
        if self._loop is not None:
            self._loop.remove_writer(self._channel.fileno())

    def _heard(self) -> None:
        """Messages of the zygote."""
        while True:
            try:
                message = hear(self._channel, FROM_ZYGOTE)
            except BlockingIOError:
                return
            if message is None:
                assert self._loop is not None
                self._loop.remove_reader(self._channel.fileno())
                self.lost.set()
                for process in self.alive():  # they have died with it
                    self._ended(process, -signal.SIGKILL)
                self._changed.set()
                return
            match message:
                case Warmed():
                    self.warm.set()
                case Cold(_, text):
                    self.cold = text
                case Spawned(number, pid):
                    self._by_number[number].pid = pid
                case ProcessExited(number, status, cpu_s):
                    self._by_number[number].cpu_s = cpu_s
                    self._ended(self._by_number[number], status)
                case other:
                    assert_never(other)
            self._changed.set()

    def _ended(self, process: Process, status: int) -> None:
        if process.channel is not None:
            while self._told(process):  # its last records
                pass
            self._unlisten(process)
        process.status = status
        process.state = ENDED
        process.ended.set()
        self.on_end(process)

    def _listen(self, process: Process) -> None:
        assert self._loop is not None, "attach first"
        assert process.channel is not None
        self._loop.add_reader(process.channel.fileno(), self._told, process)

    def _unlisten(self, process: Process) -> None:
        if process.channel is not None:
            assert self._loop is not None
            self._loop.remove_reader(process.channel.fileno())
            process.channel.close()
            process.channel = None

    def _told(self, process: Process) -> bool:
        """Some messages of a node process; whether there may be more. The event loop calls again while there are."""
        for _ in range(BATCH):
            if process.channel is None:
                return False
            try:
                data, fds = process.channel.receive_bytes()
            except BlockingIOError:
                return False
            close_all(fds)
            if not data:
                self._unlisten(process)  # a command has replaced the process, or it has ended
                return False
            try:
                if data[0] == RECORDS:
                    for record in records(data):
                        self.on_record(process, record)
                    continue
                self._message(process, decode(data, FROM_NODE))
            except BadMessage as error:
                self.rejected += 1
                self.first_rejected = self.first_rejected or f"{process.node}: {error}"
            self._changed.set()
        return True

    def _message(self, process: Process, message: FromNode) -> None:
        match message:
            case Ready():
                if process.state == STARTING:
                    process.state = READY
                    process.ready_at = time.monotonic()
            case Failed(stage, text):
                process.failure = f"{text} (in {stage})"
            case Dropped(count):
                self.on_dropped(process, count)
            case Meet() | AskAction() | CountRound():
                self.on_request(process, message)
            case other:
                assert_never(other)
