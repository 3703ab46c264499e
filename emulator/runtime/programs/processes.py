"""The processes of a run, from their launch to their exit, wherever they live.

Invariant: a process is in exactly one state (starting, ready, running, ended), moves through them in this order, and
every end is reported once, with its exit status and the error that the program itself reported, if it did.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, assert_never

from emulator.model.errors import EXIT_INTERNAL, EmulationError, ProgramError, SkyloomError
from emulator.runtime.control.channel import RECORDS, records
from emulator.runtime.control.encoding import BadMessage, ControlMessage, decode, encode
from emulator.runtime.control.messages import (
    FROM_NODE,
    AskAction,
    Cold,
    CountRound,
    Dropped,
    Failed,
    FromNode,
    FromZygote,
    Meet,
    NodeRequest,
    ProcessExited,
    Ready,
    Spawned,
    Start,
    Warmed,
)
from emulator.runtime.programs.launch import Launch

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
    state: str = STARTING
    pid: int = 0
    status: int | None = None  # exit status, negative for a signal, as subprocess does
    failure: str = ""  # what the process itself said before it failed
    failure_code: int = EXIT_INTERNAL  # the exit code of that error
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


class Zygotes(Protocol):
    """Where processes are forked: `zygote_link.ZygoteLink` on this machine, or links to those of other machines."""

    on_message: Callable[[FromZygote], None]
    on_packet: Callable[[int, bytes], None]
    on_lost: Callable[[SkyloomError], None]

    def attach(self) -> None: ...
    def launch(self, launch: Launch, streams: Mapping[str, int], supervised: bool) -> None: ...
    def tell(self, number: int, data: bytes) -> None: ...
    def kill(self, numbers: Sequence[int], signum: int) -> None: ...


class Processes:
    """The processes of a run. `logs`: the folder of their logs."""

    def __init__(self, zygotes: Zygotes, logs: Path) -> None:
        self.all: list[Process] = []
        self.warm: asyncio.Event = asyncio.Event()
        self.lost: asyncio.Event = asyncio.Event()  # a zygote itself has ended
        self.why_lost: SkyloomError = EmulationError("no process of this run can be started")
        self.cold = ""  # why a program could not be imported
        self.rejected = 0  # packets of node processes that are neither messages nor records
        self.first_rejected = ""  # whose, and why
        self.on_record: OnRecord = lambda process, record: None
        self.on_dropped: Callable[[Process, int], None] = lambda process, count: None
        self.on_end: Callable[[Process], None] = lambda process: None
        self.on_request: Callable[[Process, NodeRequest], None] = lambda process, message: None
        self._zygotes = zygotes
        self._logs = logs
        self._changed = asyncio.Event()
        zygotes.on_message, zygotes.on_packet, zygotes.on_lost = self._heard, self._told, self._lost

    def attach(self) -> None:
        """Serve them in the running event loop."""
        self._zygotes.attach()

    def launch(self, launch: Launch, streams: Mapping[str, int] | None = None, supervised: bool = True) -> Process:
        """Start a process; its number is given here. `streams` are descriptors of stdin, stdout and stderr (else: its
        log). Supervised processes wait for `start`."""
        number = len(self.all)
        process = Process(number, launch.node, launch.name, self._logs / launch.log, spawned_at=time.monotonic())
        self.all.append(process)
        try:
            self._zygotes.launch(replace(launch, number=number), streams or {}, supervised)
        except BaseException:
            self.all.pop()
            raise
        if not supervised:
            process.state = RUNNING
        return process

    def start(self, process: Process, t0_ns: int) -> None:
        """Let a ready process play from T0 on."""
        process.state = RUNNING
        self.tell(process, Start(t0_ns))

    def tell(self, process: Process, message: ControlMessage) -> None:
        """Say something to a supervised process, which hears it in its own time; one that has ended does not."""
        self._zygotes.tell(process.number, encode(message))

    def kill(self, processes: Iterable[Process], signum: int) -> None:
        """Signal the sessions of processes that have not ended."""
        self._zygotes.kill([process.number for process in processes if process.state != ENDED], int(signum))

    async def wait_ready(self, processes: Sequence[Process], timeout_s: float, progress: Callable[[int], None]) -> None:
        """Wait until all are ready. EmulationError names one that failed, ended or took too long, with its log."""
        deadline = time.monotonic() + timeout_s
        while True:
            if self.cold:
                raise EmulationError(self.cold)
            if self.lost.is_set():
                raise self.why_lost
            for process in processes:
                if process.failure or process.state == ENDED:
                    raise ProgramError(await self._why(process), process.failure_code)
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

    def _heard(self, message: FromZygote) -> None:
        match message:
            case Warmed():
                self.warm.set()
            case Cold(_, text):
                self.cold = text
            case Spawned(number, pid):
                self.all[number].pid = pid
            case ProcessExited(number, status, cpu_s):
                self.all[number].cpu_s = cpu_s
                self._ended(self.all[number], status)
            case other:
                assert_never(other)
        self._changed.set()

    def _lost(self, why: SkyloomError) -> None:
        self.why_lost = why
        self.lost.set()
        for process in self.alive():  # they have died with it
            self._ended(process, -signal.SIGKILL)
        self._changed.set()

    def _ended(self, process: Process, status: int) -> None:
        process.status = status
        process.state = ENDED
        process.ended.set()
        self.on_end(process)

    def _told(self, number: int, data: bytes) -> None:
        """A packet of a process; empty: its line is closed."""
        process = self.all[number]
        if not data:
            return
        try:
            if data[0] == RECORDS:
                for record in records(data):
                    self.on_record(process, record)
                return
            self._message(process, decode(data, FROM_NODE))
        except BadMessage as error:
            self.rejected += 1
            self.first_rejected = self.first_rejected or f"{process.node}: {error}"
        self._changed.set()

    def _message(self, process: Process, message: FromNode) -> None:
        match message:
            case Ready():
                if process.state == STARTING:
                    process.state = READY
                    process.ready_at = time.monotonic()
            case Failed(stage, text, exit_code):
                process.failure, process.failure_code = f"{text} (in {stage})", exit_code
            case Dropped(count):
                self.on_dropped(process, count)
            case Meet() | AskAction() | CountRound():
                self.on_request(process, message)
            case other:
                assert_never(other)
