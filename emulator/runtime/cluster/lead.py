"""The lead's links to the hosts of a run: it starts them, hears their beats, and passes on what goes and comes.

    parts of the run (planes.py) ── Lead ── a connection a host ── host (host.py)

Invariant: the first host that is lost (its runner ended, it said nothing for LOST_S, it computed another schedule) is
named in one error, with which the run ends; what the others have said until then counts.
"""

from __future__ import annotations

import asyncio
import socket
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from math import isfinite
from typing import assert_never

import msgpack

from emulator.model.errors import EXIT_PLATFORM, EmulationError, PlatformError, SkyloomError
from emulator.runtime.cluster.beginning import Beginning
from emulator.runtime.cluster.follower import CLOCK
from emulator.runtime.cluster.host_link import HostError, HostLink
from emulator.runtime.cluster.machines import Cluster, Task
from emulator.runtime.cluster.merge import MergedReports
from emulator.runtime.cluster.pair_clocks import PairClocks
from emulator.runtime.cluster.reports import Reports
from emulator.runtime.cluster.versions import clock_of, skew, versions
from emulator.runtime.control.channel import Message
from emulator.runtime.control.cluster_messages import (
    FROM_HOST,
    Armed,
    Beat,
    ClockTold,
    Final,
    Finish,
    FromHost,
    Hello,
    HostFailed,
    HostProgress,
    HostReady,
    NodeTotals,
    NotLaunched,
    Welcome,
)
from emulator.runtime.control.encoding import BadMessage, ControlMessage
from emulator.runtime.control.entrance import Entrance
from emulator.runtime.control.messages import Cold, FromZygote, ProcessExited, Spawned, Warmed
from emulator.runtime.control.remote import Connection, Frame, Kind, wait_for
from emulator.runtime.control.tls import context
from emulator.schedule.row_digest import Joined

BEAT_S = 0.25
LOST_S = 2.0
LEAST_WATCH_S = 0.01  # between two looks at who is silent
HERE_S = 0.6  # since a host's last word, for which it is surely there
HELLO_S = 5.0
BUILD_S = 120.0  # without a word while nodes are built: a large image is unpacked without one
FINAL_S = 4.0
AT_ONCE = 16  # frames of a host before the next has its turn
MOST_WARNINGS = 1000  # of hosts
CLOCK_S = 5.0  # for the probes of clocks, once all nodes stand


class Lead:
    """The links to all hosts of `tasks`, which `cluster` starts."""

    def __init__(self, cluster: Cluster, listener: socket.socket, tasks: list[Task]) -> None:
        self.hosts: list[HostLink] = []
        self.failure: SkyloomError | None = None
        # What hosts say, by the number of the host; they raise BadMessage where it cannot be.
        self.on_zygote: Callable[[int, FromZygote], None] = lambda host, message: None
        self.on_packet: Callable[[int, int, bytes], None] = lambda host, number, data: None
        self.on_report: Callable[[Message], None] = lambda message: None
        self.on_capture: Callable[[int, int, bytes], None] = lambda host, capture, data: None
        self.on_stream: Callable[[int, int, bytes], None] = lambda host, number, data: None
        self.on_not_launched: Callable[[int, int, str], None] = lambda host, number, text: None
        self.on_failure: list[Callable[[SkyloomError], None]] = []
        self.row: Callable[[int], Joined | None] = lambda step: None  # of the lead's own schedule
        self.warnings: list[str] = []
        self.merged = MergedReports(tasks[0].network, tasks[0].owner, len(tasks))
        self.clocks = PairClocks()
        self._reports = Reports(tasks[0].network, len(tasks))
        self._finishing = False
        self._cluster = cluster
        self._entrance = Entrance(listener, context(tasks[0].identity, listens=True))
        self._arrived: list[Connection] = []
        self._tasks = tasks
        self.names = cluster.names()
        self.node_counts = [int((task.owner == task.host).sum()) for task in tasks]
        self.node_hosts = [self.names[host] for host in tasks[0].owner.tolist()]  # names, by node
        self._tasks_in_play: list[asyncio.Task[None]] = []
        self.beginning: Beginning  # once the hosts are there

    # -- before play ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all runners, and wait until each has said hello. PlatformError."""
        self._cluster.start(self._tasks)
        links: dict[int, HostLink] = {}
        deadline = time.monotonic() + HELLO_S
        try:
            while len(links) < len(self._tasks):
                self._check_runners(deadline, links)
                for connection, hello in self._entrance.arrivals(Hello, 0.1):
                    if not (0 <= hello.host < len(self._tasks) == len(hello.ports)):
                        self._entrance.turn_away(connection)
                        continue
                    self._arrived.append(connection)
                    if difference := skew(versions(), hello.versions):
                        raise PlatformError(f"{self.names[hello.host]}: {difference}")
                    links[hello.host] = HostLink(hello.host, connection, hello)
        finally:
            self._entrance.close()
        if self._entrance.strangers:
            strangers = self._entrance.strangers
            self.warnings.append(f"connections to the lead that no host of this run made: {strangers}")
        self.hosts = [links[host] for host in range(len(self._tasks))]
        reference = self.hosts[0].hello.clock
        self.beginning = Beginning(self.names, self.say, clock_of() == reference, lambda: self.failure)
        for link in self.hosts:
            ways = tuple((other.hello.address, other.hello.ports[link.number]) for other in self.hosts)
            link.connection.say(Welcome(ways, link.hello.clock == reference))
            link.heard_s = time.monotonic()

    def _check_runners(self, deadline: float, links: Iterable[int]) -> None:
        missing = [task.host for task in self._tasks if task.host not in links]
        for host in missing:
            if how := self._cluster.ended(host):
                raise PlatformError(f"{self.names[host]}: {how} before it was there; see logs/_skyloom.txt")
        if time.monotonic() > deadline:
            strangers = self._entrance.strangers
            others = f"; strangers that were turned away: {strangers}" if strangers else ""
            raise PlatformError(f"{self.names[missing[0]]} has not come within {HELLO_S:g} s{others}")

    def wait_until_ready(self, progress: Callable[[int, int], None]) -> None:
        """Wait until the nodes of all hosts stand; outside of an event loop."""
        clocks_since_s = time.monotonic()  # when nothing but clocks is waited for
        while waiting := [link for link in self.hosts if not link.ready]:
            for link in waiting:
                try:
                    self._take(link, link.connection.receive_within(0.02))
                except TimeoutError:
                    pass
                except BadMessage as error:
                    self._lose(link, str(error))
                if time.monotonic() - link.heard_s > BUILD_S:
                    self._lose(link, f"silent for {BUILD_S:g} s while its nodes are built", answers=False)
                if self.failure is not None:
                    raise self.failure
            if any(link.progress.label != CLOCK for link in waiting):
                clocks_since_s = time.monotonic()
            elif time.monotonic() - clocks_since_s > CLOCK_S:
                self._lose(waiting[0], f"no answers to probes of the clock by its trunk to {self.names[0]}")
            behind = min(waiting, key=lambda link: link.progress.done / max(1.0, link.progress.total))
            progress(int(behind.progress.done), int(behind.progress.total))

    # -- during play ---------------------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Serve the hosts in the running event loop."""
        now_s = time.monotonic()
        for link in self.hosts:
            link.heard_s = now_s
            link.connection.attach(partial(self._heard, link))
        tasks = (self._beat(), self._watch(), self.beginning.ask_clock())
        self._tasks_in_play = [asyncio.ensure_future(task) for task in tasks]
        for task in self._tasks_in_play:
            task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        """A fault of the lead ends the run, and is not taken for one of the hosts, who miss its beats."""
        if not task.cancelled() and (error := task.exception()) is not None:
            traceback.print_exception(error)
            self._fail(EmulationError(f"{type(error).__name__}: {error}"))

    def say(self, host: int, message: ControlMessage) -> None:
        self.send(host, Kind.MESSAGE, 0, message)

    def say_all(self, message: ControlMessage) -> None:
        for link in self.hosts:
            self.say(link.number, message)

    def send(self, host: int, kind: Kind, number: int, data: bytes | ControlMessage) -> None:
        """Send to one host; where that fails it is lost."""
        link = self.hosts[host]
        if link.gone:
            return
        try:
            if isinstance(data, ControlMessage):
                link.connection.say(data)
            else:
                link.connection.send(kind, number, data)
        except OSError as error:
            self._lose(link, f"takes nothing more ({error})", answers=False)

    def order(self, message: Message) -> None:
        """An order to all relays."""
        if "number" in message:
            self.merged.ordered(message["number"])
        data = msgpack.packb(message)
        for link in self.hosts:
            self.send(link.number, Kind.REPORT, 0, data)

    async def _beat(self) -> None:
        while True:
            self.say_all(Beat())
            await asyncio.sleep(BEAT_S)

    async def _watch(self) -> None:
        """Lose a host at the moment at which it has said nothing for LOST_S."""
        while True:
            heard_s = min((link.heard_s for link in self.hosts if not link.gone), default=time.monotonic())
            await asyncio.sleep(max(LEAST_WATCH_S, heard_s + LOST_S - time.monotonic()))
            for link in self.hosts:
                if time.monotonic() - link.heard_s > LOST_S:
                    self._heard(link)  # what waits, where this loop was held up
                if time.monotonic() - link.heard_s > LOST_S and not link.more:
                    self._lose(link, f"silent for {LOST_S:g} s", answers=False)

    def _heard(self, link: HostLink) -> None:
        if not link.more:  # else its next turn is to come already
            self._go_on(link)

    def _go_on(self, link: HostLink) -> None:
        link.more = self._frames(link)
        if link.more:
            asyncio.get_running_loop().call_soon(self._go_on, link)

    def _frames(self, link: HostLink) -> bool:
        """Take some frames of a host, that others have their turn, too; whether there may be more."""
        for _ in range(AT_ONCE):
            if link.gone or link.final is not None:
                return False
            try:
                self._take(link, link.connection.receive())
            except BlockingIOError:
                return False
            except BadMessage as error:
                self._lose(link, str(error))
        return True

    def _take(self, link: HostLink, frame: Frame | None) -> None:
        """Take in one frame; None: the host has closed the connection. BadMessage."""
        if frame is None:
            how = self._cluster.ended(link.number) or "its runner has closed the connection"
            self._lose(link, how)
            return
        link.heard_s = time.monotonic()
        match frame.kind:
            case Kind.MESSAGE:
                self._message(link, frame.message(FROM_HOST))
            case Kind.PACKET:
                self.on_packet(link.number, frame.number, frame.data)
            case Kind.REPORT:
                merged = self._merged(link, frame.data)
                if merged is not None:
                    self.on_report(merged)
            case Kind.CAPTURE:
                self.on_capture(link.number, frame.number, frame.data)
            case Kind.STREAM:
                self.on_stream(link.number, frame.number, frame.data)

    def _merged(self, link: HostLink, data: bytes) -> Message | None:
        """What a relay's report means for the run. BadMessage."""
        report = self._reports.read(link.number, data)
        if report["op"] == "stats":
            self._check_trunks(link, report)
        changes = self.clocks.note(link.number, report)
        if link.hello.clock != self.hosts[0].hello.clock:
            self._warn(link, changes)
        return self.merged.merged(link.number, report)

    def _message(self, link: HostLink, message: FromHost) -> None:
        match message:
            case HostProgress(done, total):
                if not (isfinite(done) and isfinite(total)):
                    raise BadMessage(f"has built {done} of {total}")
                link.progress = message
            case HostReady(warnings):
                link.ready = True
                self._warn(link, warnings)
            case ClockTold() if link.number:
                raise BadMessage("tells its clock, which nobody asked it for")
            case ClockTold():
                if change := self.beginning.clock_told(message):
                    self._warn(link, [f"the lead's clock {change}, by its own"])
            case Armed():
                if why := self.beginning.armed(link.number, message):
                    self._lose(link, why)
            case Beat():
                link.beat = message
                self._compare(link)
            case NotLaunched(number, text):
                self.on_not_launched(link.number, number, text)
            case HostFailed(text, exit_code):
                self._lose(link, text, exit_code if 0 < exit_code < 256 else EXIT_PLATFORM)
            case NodeTotals() | Final() if not self._finishing:
                raise BadMessage("said its last words before it was asked for them")
            case NodeTotals():
                link.totals.append(message)
            case Final():
                link.final = message
                self._warn(link, message.warnings)
            case Warmed() | Cold() | Spawned() | ProcessExited():
                self.on_zygote(link.number, message)
            case Hello():
                pass  # over
            case other:
                assert_never(other)

    def _compare(self, link: HostLink) -> None:
        """The host's newest row must be the one that the lead has computed."""
        step = link.beat.step
        mine = self.row(step)
        if mine is not None and not mine.agrees(Joined(link.beat.joined, link.beat.delays_s)):
            ours, theirs = versions(), link.hello.versions
            differ = [
                f"{name} {theirs[name]} against {ours.get(name)}" for name in theirs if theirs[name] != ours.get(name)
            ]
            self._lose(link, f"computed another schedule for step {step}: {', '.join(differ) or 'of equal versions'}")

    def _check_trunks(self, link: HostLink, report: Message) -> None:
        """Trunks beat too: a host that has not heard another one, which the lead hears, has no trunk to it."""
        for peer, trunk in report.get("trunks", {}).items():
            silent_s = report["t_s"] - max(0.0, trunk["heard_s"])
            here = time.monotonic() - self.hosts[peer].heard_s < HERE_S
            if silent_s > LOST_S and here and not report.get("final"):
                ends = " and ".join(self.names[host] for host in sorted((link.number, peer)))
                self._fail(HostError(f"no trunk between {ends}: nothing came for {LOST_S:g} s"))

    def _lose(self, link: HostLink, why: str, exit_code: int = EXIT_PLATFORM, answers: bool = True) -> None:
        if link.gone or link.final is not None:
            return
        link.gone, link.answers = True, answers
        link.connection.detach()
        self._fail(HostError(f"{self.names[link.number]}: {why}", exit_code))

    def _fail(self, error: SkyloomError) -> None:
        """The first error is the run's."""
        if self.failure is None:
            self.failure = error
            self.beginning.failed()
            for tell in self.on_failure:
                tell(error)

    def _warn(self, link: HostLink, texts: Iterable[str]) -> None:
        for text in texts:
            told = f"{self.names[link.number]}: {text}"
            if len(self.warnings) < MOST_WARNINGS and told not in self.warnings:
                self.warnings.append(told)

    # -- the end -------------------------------------------------------------------------------------------------------

    def finish(self, quickly: bool) -> bool:
        """Have all hosts stop their relays and say their last; whether all last statistics came. Outside of, or within
        the event loop, which it holds up."""
        self._finishing = True
        for task in self._tasks_in_play:
            task.cancel()
        for link in self.hosts:
            if not link.gone:
                link.connection.detach()
                self.say(link.number, Finish(quickly))
        deadline = time.monotonic() + (0.3 if quickly else FINAL_S)
        while (silent := [link for link in self.hosts if not link.gone and link.final is None]) and (
            time.monotonic() < deadline
        ):
            more = [self._frames(link) for link in silent]
            if not any(more):
                wait_for(link.connection for link in silent)
        for link in silent:
            link.answers = time.monotonic() - link.heard_s <= LOST_S
        return all(link.final is not None and link.final.complete for link in self.hosts)

    def close(self) -> None:
        """Close all connections, whereupon hosts end, and let go of the machines."""
        self._entrance.close()
        for connection in self._arrived:
            connection.close()
        self.warnings += self._cluster.release([link.number for link in self.hosts if not link.answers])
