"""One host of a run, inside its sandbox: planner, fabric, relay, zygote and programs of its own nodes, led from afar.

It does what the lead of a run on one machine does with the parts that it holds, by the same classes. What must not wait
for a message it decides by itself (`host_play`).

Invariant: whatever ends it, the lead hears why, as far as it still listens; nothing of it outlives its sandbox.
"""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, assert_never

import msgpack
import numpy as np

from emulator.link import trunks
from emulator.model.clock import MonotonicClock, monotonic_ns, set_timer_slack
from emulator.model.errors import EXIT_INTERNAL, EmulationError, SkyloomError
from emulator.record.folder import RunFolder
from emulator.runtime.cluster.follower import CLOCK, EARLY_PROBES, Follower
from emulator.runtime.cluster.host_play import HostPlay
from emulator.runtime.cluster.host_use import HostUse
from emulator.runtime.cluster.machines import Task
from emulator.runtime.cluster.streams import HostStreams
from emulator.runtime.cluster.tees import HostTees
from emulator.runtime.control import session
from emulator.runtime.control.channel import Message
from emulator.runtime.control.cluster_messages import (
    TO_HOST,
    ActAt,
    Armed,
    AskClock,
    Beat,
    Begin,
    ClockTold,
    Final,
    Finish,
    HostFailed,
    HostProgress,
    HostReady,
    NodeTotals,
    NotLaunched,
    Propose,
    ToHost,
    Welcome,
)
from emulator.runtime.control.encoding import UNREADABLE, BadMessage
from emulator.runtime.control.messages import FromZygote, Kill, ProcessExited
from emulator.runtime.control.remote import Connection, Frame, Kind
from emulator.runtime.control.transport import parts
from emulator.runtime.data_plane import DataPlane
from emulator.runtime.programs.hosts import Hosts
from emulator.runtime.programs.jobs import introduction
from emulator.runtime.programs.launch import Launch
from emulator.runtime.programs.launches import Launches
from emulator.runtime.programs.zygote_link import ZygoteLink

BEAT_S = 0.25
PROGRESS_S = 0.2
READY_ROWS = 2
LAST_WORDS_S = 2.0
NODES_AT_ONCE = 500  # in a message
MOST_TEXTS = 100  # warnings, or refused routes, that a message has room for


class Host:
    """The host of `task`. `beat`: a pipe that gets a byte with each beat of the lead; `trunk_fds`: by other host;
    `run_clock`: this machine's clock is the run's."""

    def __init__(
        self, task: Task, connection: Connection, beat: int, trunk_fds: dict[int, int], run_clock: bool
    ) -> None:
        self._task = task
        self._connection = connection
        self._beat = beat
        self._folder = RunFolder(task.folder, task.run_id)
        ways = {peer: trunks.trunk(task.secret, task.host, peer, fd) for peer, fd in trunk_fds.items()}
        split = trunks.Hosts(task.host, task.owner.astype(np.int32), ways)
        scenario = task.scenario
        self._data_plane = DataPlane(
            task.network, scenario.seed, scenario.duration_s, threads=scenario.engine.threads,
            realtime=scenario.fidelity.realtime, split=split, compared=True,
        )  # fmt: skip
        self._follower = None if run_clock else Follower()
        self._playing: tuple[asyncio.Task[None], ...] = ()  # the tasks of play, from T0 on
        self._streams = HostStreams(connection)
        self._tees = HostTees(connection)
        self._use = HostUse()
        self._said_s = 0.0

    def run(self) -> int:
        """Play it; returns an exit code."""
        code = 0
        try:
            session.begin(f"host {self._task.host}", self._folder.logs / self._task.log_name)
            self._build()
            asyncio.run(self._serve())
        except SkyloomError as error:
            code = error.exit_code
            self._fail(str(error), code)
        except BaseException as error:
            traceback.print_exc()
            code = EXIT_INTERNAL
            self._fail(f"{type(error).__name__}: {error}; the traceback is in logs/{self._task.log_name}", code)
        finally:
            self._data_plane.close()
        return code

    def _fail(self, text: str, code: int) -> None:
        with suppress(OSError):
            self._connection.say(HostFailed(text[:8000], code))
            self._connection.drain(LAST_WORDS_S)

    # -- before play ---------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        """Planner, zygote, nodes, first routes and relay, in the order of a run on one machine."""
        task, data_plane, folder, scenario = self._task, self._data_plane, self._folder, self._task.scenario
        keep_out = [self._connection.fileno(), self._beat]
        data_plane.start_planner(keep_out)
        self._hosts = hosts = Hosts(scenario, task.network, folder, data_plane.netns, task.own_live)
        resolve = Launches(scenario, hosts).resolve
        self._zygote = ZygoteLink(scenario.seed, folder.logs, folder.path / "store", resolve, task.keys)
        self._zygote.prepare(introduction(scenario, task.network))
        data_plane.build(lambda done, total: self._progress(done, total, "nodes"))
        data_plane.wait_for_rows(READY_ROWS, lambda done, total: self._progress(done, total, "first rows"))
        data_plane.apply_first_routes(lambda done, total: self._progress(done, total, "routes"))
        hosts.prepare(lambda done, total: self._progress(done, total, "hosts"))
        data_plane.start_relay(keep_out)
        self._play = HostPlay(task.scenario, task.network, data_plane)

    def _progress(self, done: float, total: float, label: str) -> None:
        if done >= total or time.monotonic() - self._said_s >= PROGRESS_S:
            self._said_s = time.monotonic()
            self._connection.say(HostProgress(float(done), float(total), label))

    # -- from then on --------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        """Serve the lead until it says Finish, or is gone."""
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = loop.create_future()
        loop.set_exception_handler(self._callback_failed)
        zygote, data_plane = self._zygote, self._data_plane
        zygote.on_message, zygote.on_packet, zygote.on_lost = self._zygote_said, self._packet, self._break
        data_plane.on_report = self._report
        zygote.attach()
        data_plane.attach(self._break)
        self._connection.on_room = self._resume
        self._connection.attach(self._heard)
        if self._follower is None:
            self._ready()
        set_timer_slack()
        tasks = [self._follow(task) for task in (self._beats(), self._play.carry_out_orders())]
        self._heard()
        try:
            await self._ended
        finally:
            for task in (*tasks, *self._playing):
                task.cancel()
            data_plane.detach()
            self._connection.detach()

    def _ready(self) -> None:
        self._connection.say(HostReady(tuple(self._folder.warnings[:MOST_TEXTS])))

    def _follow_clock(self, follower: Follower, report: Message) -> None:
        """Read the run's clock as the probes of a report of the relay say. All is ready with enough of them."""
        before = follower.probes
        follower.note(self._task.host, report.get("trunks", {}).get(0, {}).get("probes", ()), bool(self._playing))
        if before < EARLY_PROBES:
            self._progress(follower.probes, EARLY_PROBES, CLOCK)
            if follower.probes >= EARLY_PROBES:
                self._ready()

    def _follow(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task whose failure ends the host."""
        task = asyncio.ensure_future(coroutine)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._break(error)

    def _break(self, why: BaseException) -> None:
        if not self._ended.done():
            self._ended.set_exception(why)

    def _callback_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Nothing of a host fails unheard."""
        self._break(context.get("exception") or EmulationError(context["message"]))

    async def _beats(self) -> None:
        while True:
            step = max(self._data_plane.joined, default=-1)
            row = self._data_plane.joined.get(step)
            found = (row.digest, row.delays_s) if row is not None else ("", 0.0)
            self._connection.say(Beat(step, *found))
            await asyncio.sleep(BEAT_S)

    # -- what comes ----------------------------------------------------------------------------------------------------

    def _heard(self) -> None:
        """Frames of the lead."""
        while not self._ended.done():
            try:
                frame = self._connection.receive()
                if frame is not None:
                    self._obey(frame)
                    continue
            except BlockingIOError:
                return
            except BadMessage as error:
                self._break(error)
                return
            self._connection.detach()
            self._ended.set_result(None)

    def _obey(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.MESSAGE:
                self._message(frame.message(TO_HOST))
            case Kind.PACKET:
                self._zygote.tell(frame.number, frame.data)
            case Kind.REPORT:
                self._relay_order(_order(frame.data))
            case Kind.STREAM:
                self._streams.write(frame.number, frame.data)
            case Kind.CAPTURE:
                pass  # only hosts send these

    def _message(self, message: ToHost) -> None:
        match message:
            case Beat():
                with suppress(BlockingIOError, BrokenPipeError):  # without its runner the sandbox ends by itself
                    os.write(self._beat, b".")
            case Launch():
                self._launch(message)
            case Kill(ids, signum):
                self._zygote.kill(ids, signum)
            case AskClock(asked_ns):
                heard_ns = monotonic_ns()
                self._connection.say(ClockTold(asked_ns, heard_ns, monotonic_ns()))
            case Propose(t0_ns):
                self._connection.say(Armed(t0_ns, -MonotonicClock(t0_ns).now()))
            case Begin(t0_ns):
                self._begin(t0_ns)
            case ActAt(at_s, action):
                self._play.act(at_s, action)
            case Finish(quickly):
                self._finish(quickly)
            case Welcome():
                pass  # over
            case other:
                assert_never(other)

    def _begin(self, t0_ns: int) -> None:
        clock = MonotonicClock(t0_ns)
        self._data_plane.start(t0_ns)
        self._connection.say(Armed(t0_ns, -clock.now()))
        self._playing = tuple(map(self._follow, self._play.begin(clock)))

    def _launch(self, launch: Launch) -> None:
        supervised = launch.kind in ("program", "probe")
        streams: dict[str, int] = {}
        try:
            if not supervised:
                streams = self._streams.open(launch)
            self._zygote.launch(launch, streams, supervised)
        except (SkyloomError, OSError) as error:
            self._streams.drain(launch.number)
            self._connection.say(NotLaunched(launch.number, str(error)))
        finally:
            for fd in set(streams.values()):
                os.close(fd)

    def _relay_order(self, message: Message) -> None:
        if message["op"] == "capture":
            write_end = self._tees.open(message["id"])
            self._data_plane.tell_relay(message, (write_end,))
            os.close(write_end)
        elif "number" in message:  # the sender waits until everything before it holds
            self._play.order(0.0, lambda: self._data_plane.tell_relay(message))
        else:
            self._data_plane.tell_relay(message)

    def _finish(self, quickly: bool) -> None:
        complete = self._data_plane.stop_relay(quickly, self._tees.pass_on)
        self._tees.drain()
        data_plane = self._data_plane
        used = {
            node: (usage.cpu_s, usage.throttled_s, usage.memory_peak_bytes)
            for node, usage in self._hosts.used().items()
        }
        for part in parts(used.items(), NODES_AT_ONCE):
            self._connection.say(NodeTotals(used=dict(part)))
        for some in parts(data_plane.packets_sent().items(), NODES_AT_ONCE):
            self._connection.say(NodeTotals(packets=dict(some)))
        refused = tuple(data_plane.refused_routes[:MOST_TEXTS])
        self._connection.say(Final(complete, refused, data_plane.late_rows, tuple(self._folder.warnings[:MOST_TEXTS])))
        self._hosts.close()
        self._connection.detach()
        self._connection.drain(LAST_WORDS_S)
        self._ended.set_result(None)

    # -- what goes -----------------------------------------------------------------------------------------------------

    def _zygote_said(self, message: FromZygote) -> None:
        if isinstance(message, ProcessExited):
            self._streams.drain(message.id)
        self._connection.say(message)

    def _packet(self, number: int, data: bytes) -> None:
        self._connection.send(Kind.PACKET, number, data)
        if self._connection.busy:
            self._zygote.pause()

    def _resume(self) -> None:
        """There is room again for what was held back."""
        self._zygote.resume()
        self._tees.resume()

    def _report(self, message: Message) -> None:
        if self._follower is not None:
            self._follow_clock(self._follower, message)
        if message["op"] == "stats" and self._connection.busy and not message.get("final"):
            return  # counters are cumulative: the next one has what this one had
        if "lateness" in message:
            message |= self._use.read(time.monotonic())
        self._connection.send(Kind.REPORT, 0, msgpack.packb(message))


def _order(data: bytes) -> Message:
    """An order to the relay, which checks what is in it. BadMessage where it is none."""
    try:
        order: Message = msgpack.unpackb(data)
        if isinstance(order["op"], str) and (order["op"] != "capture" or isinstance(order["id"], int)):
            return order
    except UNREADABLE:
        pass
    raise BadMessage(f"{len(data)} bytes are no order to a relay")
