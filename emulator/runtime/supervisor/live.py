"""Live control: other terminals reach a run through an abstract Unix socket that was bound outside the sandbox.

    @skyloom/<uid>/<run id>      SOCK_SEQPACKET; one request a connection, answered by messages until either side closes

Invariant: the name exists only in the kernel, in the host's network namespace, and goes with the run. The run serves
only the user who started it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from emulator.model.errors import EmulationError, SkyloomError, UsageError
from emulator.observe import snapshot
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.encoding import BadMessage
from emulator.runtime.control.launcher_link import SNAPSHOT_S
from emulator.runtime.control.messages import (
    FIRST_REQUESTS,
    FROM_SCREEN,
    SNAPSHOT_BYTES,
    Act,
    DescribeNetwork,
    Done,
    Execute,
    LinkRows,
    ListNodes,
    NetworkEnd,
    NodeNames,
    NodeRows,
    Refused,
    Request,
    SetView,
    ShowSnapshot,
    StartCapture,
    Stop,
    Watch,
)  # fmt: skip
from emulator.runtime.control.transport import close_all, parts
from emulator.runtime.supervisor.caller import Caller

if TYPE_CHECKING:
    from emulator.model.network import Network
    from emulator.observe.snapshot import Snapshot
    from emulator.observe.view import View
    from emulator.runtime.actions.runner import ActionRunner
    from emulator.runtime.supervisor.live_captures import LiveCaptures
    from emulator.runtime.supervisor.live_commands import LiveCommands

PREFIX = "skyloom"
BACKLOG = 64
ROWS_PER_MESSAGE = 200


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


def accepted(listener: socket.socket) -> Channel | None:
    """The connection that waits; None where there is none after all, or of another user."""
    try:
        connection, _ = listener.accept()
    except OSError:
        return None
    connection.setblocking(False)
    _pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid != os.getuid():
        connection.close()
        return None
    return Channel(connection)


class LiveControl:
    """Serves the socket in the supervisor's event loop, from the begin of play. `look` gives a snapshot for a view,
    `stop` asks for the end of the run."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        network: Network,
        action_runner: ActionRunner,
        commands: LiveCommands,
        captures: LiveCaptures,
        look: Callable[[View], Snapshot],
        stop: Callable[[], None],
    ) -> None:
        self._listener = listener
        self._network = network
        self._action_runner = action_runner
        self._commands = commands
        self._captures = captures
        self._look = look
        self._stop = stop
        self._tasks: set[asyncio.Task[None]] = set()

    def attach(self) -> None:
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._accept)

    def detach(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        channel = accepted(self._listener)
        if channel is None:
            return
        task = asyncio.ensure_future(self._serve(Caller(channel)))
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
        match request:
            case ListNodes():
                caller.send(NodeNames(tuple(self._network.nodes[number].name for number in self._network.live)))
            case DescribeNetwork():
                for part in _parts(self._network):
                    await caller.send_all(part)
            case Execute():
                await self._commands.run(caller, request, fds)
            case StartCapture():
                await self._captures.serve(caller, request, fds)
            case Act(action):
                await self._action_runner.perform(action)
                caller.send(Done())
            case Watch(view):
                await self._watch(caller, view)
            case Stop():
                self._stop()
                caller.send(Done())
            case other:
                assert_never(other)

    async def _watch(self, caller: Caller, view: View) -> None:
        """Show the run to a screen in another terminal, until it leaves."""
        screen = Screen(view)
        listening = asyncio.ensure_future(self._hear_screen(caller, screen))
        try:
            while not listening.done():
                caller.send(ShowSnapshot(snapshot.encode(self._look(screen.view), SNAPSHOT_BYTES)))
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
                    self._action_runner.perform_soon(action)
                case Stop():
                    self._stop()
                case other:
                    assert_never(other)


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
