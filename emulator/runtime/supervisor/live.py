"""Live control: other terminals reach a run through an abstract Unix socket that was bound outside the sandbox.

    @skyloom/<uid>/<run id>      SOCK_SEQPACKET; one request a connection, answered by messages until either side closes

Invariant: the name lives in the kernel only, in the host's network namespace, and is gone with the run; only the user
who started the run is served.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from emulator.model.errors import EmulationError, SkyloomError, UsageError
from emulator.observe import snapshot
from emulator.runtime.capture.announcements import Announcements
from emulator.runtime.capture.writer import captured_ends, key_folder, resolved
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.encoding import BadMessage, T
from emulator.runtime.control.launcher_link import SNAPSHOT_S
from emulator.runtime.control.messages import (
    FIRST_REQUESTS,
    FROM_SCREEN,
    SNAPSHOT_BYTES,
    Act,
    Answer,
    Capturing,
    DescribeNetwork,
    Done,
    Execute,
    Exited,
    LinkRows,
    ListNodes,
    NetworkEnd,
    NodeNames,
    NodeRows,
    Refused,
    Request,
    SetView,
    ShowSnapshot,
    Signal,
    StartCapture,
    Started,
    Stop,
    Watch,
)  # fmt: skip
from emulator.runtime.control.transport import Transport, close_all, hear_with_descriptors, parts, say
from emulator.runtime.programs.processes import Process

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.observe.view import View
    from emulator.runtime.running import Begun, Running

PREFIX = "skyloom"
BACKLOG = 64
HANGUP_S = 1.0
ROWS_PER_MESSAGE = 200
NEWS_S = 0.1  # between two looks at what a capture should be told


def name_of(run_id: str) -> str:
    """The socket's name, without the zero byte that makes it abstract."""
    return f"{PREFIX}/{os.getuid()}/{run_id}"


def listen(run_id: str) -> socket.socket:
    """The listening socket of a run. EmulationError where a run of this id is alive already."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        listener.bind(b"\0" + name_of(run_id).encode())
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise EmulationError(f"run {run_id}: its control socket cannot be made ({error.strerror})") from error
    listener.setblocking(False)
    return listener


class LiveControl:
    """Serves the socket in the supervisor's event loop, from the begin of play."""

    def __init__(self, listener: socket.socket, running: Running, begun: Begun) -> None:
        self._listener = listener
        self._running = running
        self._begun = begun
        self._tasks: set[asyncio.Task[None]] = set()
        self._captures = 1  # 0 is the run's own

    def attach(self) -> None:
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    def detach(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.getuid():
            connection.close()
            return
        task = asyncio.ensure_future(self._serve(Caller(Channel(connection))))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, caller: Caller) -> None:
        fds: list[int] = []
        try:
            request, fds = await caller.receive(FIRST_REQUESTS)
            if request is not None:
                await self._answer(caller, request, fds)
        except BadMessage as error:
            caller.send(Refused(str(error), UsageError.exit_code))
        except SkyloomError as error:
            caller.send(Refused(str(error), error.exit_code))
        except (KeyError, ValueError, TypeError) as error:
            caller.send(Refused(f"malformed request: {error!r}", UsageError.exit_code))
        except OSError:
            pass  # the caller has gone
        finally:
            close_all(fds)
            caller.close()

    async def _answer(self, caller: Caller, request: Request, fds: list[int]) -> None:
        running = self._running
        match request:
            case ListNodes():
                caller.send(NodeNames(tuple(running.live_nodes)))
            case DescribeNetwork():
                for part in _parts(running.network):
                    await caller.send_all(part)
            case Execute():
                await self._execute(caller, request, fds)
            case StartCapture():
                await self._capture(caller, request, fds)
            case Act(action):
                await running.action_runner.perform(action)
                caller.send(Done())
            case Watch(view):
                await self._watch(caller, view)
            case Stop():
                running.launcher.stop()
                caller.send(Done())
            case other:
                assert_never(other)

    async def _watch(self, caller: Caller, view: View) -> None:
        """Show the run to a screen in another terminal, until it leaves."""
        running = self._running
        screen = Screen(view)
        listening = asyncio.ensure_future(self._hear_screen(caller, screen))
        try:
            while not listening.done():
                caller.send(ShowSnapshot(snapshot.encode(running.look(screen.view), SNAPSHOT_BYTES)))
                await asyncio.wait([listening], timeout=SNAPSHOT_S)
        finally:
            listening.cancel()

    async def _hear_screen(self, caller: Caller, screen: Screen) -> None:
        while True:
            try:
                message = await caller.hear(FROM_SCREEN)
            except BadMessage as error:
                caller.send(Refused(str(error), UsageError.exit_code))
                return
            match message:
                case None:
                    return
                case SetView(view):
                    screen.view = view
                case Act(action):
                    self._running.action_runner.perform_soon(action)
                case Stop():
                    self._running.launcher.stop()
                case other:
                    assert_never(other)

    async def _execute(self, caller: Caller, request: Execute, fds: list[int]) -> None:
        """Run a command on a node with the caller's own descriptors; its end, or the caller's, ends the other."""
        running = self._running
        netns = running.data_plane.netns(request.node)
        spec = {
            "command": request.command, "environment": request.environment, "directory": request.directory,
            "variables": running.hosts.variables(request.node), "terminal": request.terminal,
        }  # fmt: skip
        streams = dict(zip(("stdin", "stdout", "stderr"), fds, strict=True))
        process = running.processes.spawn(request.node, "exec", netns, spec, streams, supervised=False)
        while fds:
            os.close(fds.pop())  # so that the reader of a pipe sees its end when the command has closed it
        caller.send(Started())
        listening = asyncio.ensure_future(self._pass_signals(caller, process))
        try:
            await process.ended.wait()
        finally:
            listening.cancel()
            if process.status is None:
                running.processes.kill([process], signal.SIGKILL)
        assert process.status is not None
        caller.send(Exited(process.status))

    async def _pass_signals(self, caller: Caller, process: Process) -> None:
        kill = self._running.processes.kill
        while True:
            try:
                message = await caller.hear((Signal,))
            except (OSError, BadMessage):
                message = None
            if message is None:
                kill([process], signal.SIGHUP)
                await asyncio.sleep(HANGUP_S)
                kill([process], signal.SIGKILL)
                return
            kill([process], message.signum)

    async def _capture(self, caller: Caller, request: StartCapture, fds: list[int]) -> None:
        """Let the relay tee records of link ends into the caller's descriptor until the caller leaves."""
        running = self._running
        network, links, expression = running.network, request.links, request.filter
        try:
            tree = resolved(expression, network)
        except ValueError as error:
            raise UsageError(f"filter: {error}") from None
        ends = captured_ends(network, links, tree)
        if not ends:
            where = f" that {expression!r} leaves" if tree is not None and captured_ends(network, links) else ""
            raise UsageError(f"{', '.join(links)}: no such link end or node{where}; link ends are named 'node:port'")
        if len(fds) != 1:
            raise UsageError(f"a capture with {len(fds)} descriptors; expected one to write to")
        number, self._captures = self._captures, self._captures + 1
        snaplen = request.snaplen
        announcements = Announcements(network, running.data_plane.ring, ends, snaplen, running.now_s())
        running.action_listeners.append(announcements.act)
        running.data_plane.tell_relay({"op": "capture", "id": number, "ends": ends, "snaplen": snaplen}, (fds[0],))
        try:
            for names in announcements.first(ROWS_PER_MESSAGE):
                await caller.send_all(names)
            keys = key_folder(running.folder.path, running.scenario.capture, running.captured)
            await caller.send_all(Capturing(self._begun.t0_ns, self._begun.t0_utc_ns, str(keys or ""), tree))
            leaving = asyncio.ensure_future(self._has_left(caller))
            try:
                while not leaving.done():
                    for news in announcements.news(ROWS_PER_MESSAGE):
                        await caller.send_all(news)
                    await asyncio.wait([leaving], timeout=NEWS_S)
            finally:
                leaving.cancel()
        finally:
            running.action_listeners.remove(announcements.act)
            running.data_plane.tell_relay({"op": "uncapture", "id": number})

    async def _has_left(self, caller: Caller) -> None:
        try:
            while await caller.hear((Stop,)) is not None:
                pass
        except (OSError, BadMessage):
            pass


def _parts(network: Network) -> Iterator[NodeRows | LinkRows | NetworkEnd]:
    """The network as messages that fit."""
    for nodes in parts(network.nodes, ROWS_PER_MESSAGE):
        yield NodeRows(tuple((node.name, node.role, node.live, node.ipv4, node.ipv6, node.bridge) for node in nodes))
    for links in parts(network.links, ROWS_PER_MESSAGE):
        yield LinkRows(
            tuple(
                (it.name, it.a, it.b, it.a_port, it.b_port, it.moving, it.ethernet, it.a_address, it.b_address)
                for it in links
            )
        )
    yield NetworkEnd()


@dataclass
class Screen:
    """A screen in another terminal."""

    view: View


class Caller:
    """One connection, as coroutines."""

    def __init__(self, channel: Transport) -> None:
        self._channel = channel

    def send(self, message: Answer) -> None:
        try:
            say(self._channel, message)
        except OSError:  # gone, or not reading: its connection ends
            pass

    async def send_all(self, message: Answer) -> None:
        """Send, waiting for the caller to read. OSError where it has gone."""
        while True:
            try:
                say(self._channel, message)
                return
            except BlockingIOError:
                await asyncio.sleep(0.01)

    async def hear(self, expected: tuple[type[T], ...]) -> T | None:
        """The next message; None where the caller has gone. BadMessage."""
        message, fds = await self.receive(expected)
        close_all(fds)
        return message

    async def receive(self, expected: tuple[type[T], ...]) -> tuple[T | None, list[int]]:
        """The next message and its descriptors. BadMessage."""
        while True:
            try:
                return hear_with_descriptors(self._channel, expected)
            except BlockingIOError:
                await _readable(self._channel.fileno())

    def close(self) -> None:
        self._channel.close()


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, _settle, future)
    try:
        await future
    finally:
        loop.remove_reader(fd)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
