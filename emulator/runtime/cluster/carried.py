"""Connections to a run that is led on another machine, carried there: terminals here find the run as they find any.

    terminal ── @skyloom/… ── NearEnds ══ frames over one stream ══ FarEnds ── @skyloom/… ── supervisor
    command that started the run ──┘                                   └── channel of `launch`

A connection is a number: its packets are frames of that number, an empty one its end. Descriptors cannot travel: what
goes through them does, as frames that commands and captures of several hosts have, too.

Invariant: number 0 is the command that started the run. A terminal that does not read costs its own connection, or
snapshots of it, and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from math import inf

from emulator.runtime.cluster.streams import NAMES, HostStreams, LeadStreams
from emulator.runtime.cluster.tees import HostTees, LeadTee
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.encoding import BadMessage, ControlMessage, decode, encode
from emulator.runtime.control.messages import (
    FIRST_REQUESTS,
    TO_LAUNCHER,
    Detach,
    Execute,
    Exited,
    Refused,
    RunEnded,
    ShowSnapshot,
    StartCapture,
)
from emulator.runtime.control.remote import Connection, Frame, Kind
from emulator.runtime.control.transport import Transport, close_all
from emulator.runtime.programs.launch import Launch
from emulator.runtime.supervisor import live

COMMAND = 0  # the number of the command that started the run
MOST_PACKETS = 256  # that wait for one reader
END_S = 5.0  # for a command to read the last word of its run


class Ends:
    """The Unix sockets at one end of the stream."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channels: dict[int, Transport] = {}
        self._unread: dict[int, deque[bytes]] = {}  # by number: packets that the channel has not taken
        self._room = asyncio.Event()
        connection.on_room = self._resume

    def add(self, number: int, channel: Transport) -> None:
        """Carry this channel from now on; the other end knows it by the number."""
        channel.set_timeout(0)
        self._channels[number] = channel
        self._unread[number] = deque()
        asyncio.get_running_loop().add_reader(channel.fileno(), self._read, number)

    def put(self, number: int, data: bytes) -> None:
        """A packet for the channel of this number; b"": its peer has left."""
        if number not in self._channels:
            return
        if not data:
            self.leave(number)
            return
        unread = self._unread[number]
        if len(unread) < MOST_PACKETS:
            unread.append(data)
            self._write(number)
        elif not _is(data, (ShowSnapshot,)):
            self.leave(number)
            self._connection.send(Kind.PACKET, number, b"")

    def leave(self, number: int) -> None:
        """Let go of a channel."""
        channel = self._channels.pop(number, None)
        if channel is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(channel.fileno())
            loop.remove_writer(channel.fileno())
            del self._unread[number]
            channel.close()

    def _read(self, number: int) -> None:
        channel = self._channels[number]
        try:
            data, fds = channel.receive_bytes()
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        try:
            self._said(number, data, fds)
        finally:
            close_all(fds)
        if not data:
            self.leave(number)
        if self._connection.busy:
            for each in self._channels.values():
                asyncio.get_running_loop().remove_reader(each.fileno())

    def _said(self, number: int, data: bytes, fds: Sequence[int]) -> None:
        """A channel's peer has said this; b"": it has left."""
        self._connection.send(Kind.PACKET, number, data)

    async def room(self) -> None:
        """Wait until what is to be sent has left, where that is much."""
        if self._connection.busy:
            self._room.clear()
            await self._room.wait()

    def _resume(self) -> None:
        self._room.set()
        for number, channel in self._channels.items():
            asyncio.get_running_loop().add_reader(channel.fileno(), self._read, number)

    def _write(self, number: int) -> None:
        channel, unread, loop = self._channels[number], self._unread[number], asyncio.get_running_loop()
        try:
            while unread:
                channel.send_bytes(unread[0])
                unread.popleft()
        except BlockingIOError:
            loop.add_writer(channel.fileno(), self._write, number)
            return
        except OSError:  # the reader has gone, which reading tells
            unread.clear()
        loop.remove_writer(channel.fileno())


class NearEnds(Ends):
    """Where the terminals are. `command`: the channel of the command that started the run, `listener`: the run's live
    socket here. `end` is the run's last word, which the command has yet to be told."""

    def __init__(self, connection: Connection, command: Transport, listener: socket.socket) -> None:
        super().__init__(connection)
        self.end: RunEnded | None = None
        self._listener = listener
        self._count = COMMAND
        self._commands: set[int] = set()  # connections that run one
        self._tees: dict[int, LeadTee] = {}
        self._streams = LeadStreams(lambda number, data: connection.send(Kind.STREAM, number, data))
        self.add(COMMAND, command)
        asyncio.get_running_loop().add_reader(listener.fileno(), self._accept)

    def take(self, frame: Frame) -> None:
        """A frame from the other end. BadMessage."""
        number, data = frame.number, frame.data
        match frame.kind:
            case Kind.PACKET if number == COMMAND:
                if data and isinstance(message := decode(data, TO_LAUNCHER), RunEnded):
                    self.end = message
                elif data:
                    self.put(COMMAND, data)
            case Kind.PACKET:
                tell = partial(self.put, number, data)
                if not data or (number in self._commands and _is_last(data)):
                    self._settle(number, tell)
                else:
                    tell()
            case Kind.STREAM:
                self._streams.write(number, data)
            case Kind.CAPTURE if number in self._tees:
                try:
                    self._tees[number].feed(0, data, inf)
                except ValueError as error:
                    raise BadMessage(f"capture {number}: {error}") from None
            case _:
                pass  # of a capture whose terminal has left

    async def conclude(self, end: RunEnded) -> None:
        """Tell the command the run's last word, and let go of all terminals."""
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        command, unread = self._channels.get(COMMAND), self._unread.get(COMMAND, ())
        if command is not None:
            command.set_timeout(END_S)
            with suppress(OSError):  # it has gone
                for data in (*unread, encode(end)):
                    command.send_bytes(data)
        for number in list(self._channels):
            self._settle(number, partial(self.leave, number))
        await self._streams.closed()

    def _accept(self) -> None:
        channel = live.accepted(self._listener)
        if channel is not None:
            self._count += 1
            self.add(self._count, channel)

    def _said(self, number: int, data: bytes, fds: Sequence[int]) -> None:
        if number == COMMAND and (not data or _is(data, (Detach,))):
            return  # the command has detached itself, or this process would end with it
        super()._said(number, data, fds)
        if not data:
            self._settle(number, lambda: None)
        elif fds:
            self._give(number, data, fds)

    def _give(self, number: int, data: bytes, fds: Sequence[int]) -> None:
        """What goes through these descriptors goes to and from the other end."""
        try:
            request = decode(data, FIRST_REQUESTS)
        except BadMessage:  # the run says so
            return
        if isinstance(request, Execute) and len(fds) == len(NAMES):
            self._commands.add(number)
            self._streams.open(_launch(number, request), dict(zip(NAMES, fds, strict=True)))
        elif isinstance(request, StartCapture):
            self._tees[number] = LeadTee(os.dup(fds[0]), 1)

    def _settle(self, number: int, then: Callable[[], None]) -> None:
        """Everything has come of a command or a capture: write it out, then call `then`."""
        if (tee := self._tees.pop(number, None)) is not None:
            tee.finish()
        self._commands.discard(number)
        self._streams.close(number, then)


class FarEnds(Ends):
    """Where the run is led. `command`: the channel of its launch, whose end is that of the run."""

    def __init__(self, connection: Connection, command: Transport, run_id: str) -> None:
        super().__init__(connection)
        self._run_id = run_id
        self._streams = HostStreams(connection)
        self._captures = HostTees(connection)
        self._commands: set[int] = set()  # connections that run one
        self.over = asyncio.Event()  # the run has ended
        self.add(COMMAND, command)

    def take(self, frame: Frame) -> None:
        """A frame from the other end."""
        match frame.kind:
            case Kind.PACKET if frame.number not in self._channels and frame.number != COMMAND and frame.data:
                self._connect(frame.number, frame.data)
            case Kind.PACKET:
                self.put(frame.number, frame.data)
            case Kind.STREAM:
                self._streams.write(frame.number, frame.data)
            case _:
                pass  # only this end sends others

    def leave(self, number: int) -> None:
        super().leave(number)
        if number in self._commands:
            self._commands.discard(number)
            self._streams.drain(number)
        if number == COMMAND:
            self.over.set()

    def _connect(self, number: int, request: bytes) -> None:
        """Pass a terminal's first packet on, over a connection of its own."""
        end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        end.setblocking(False)
        fds = self._descriptors(number, request)
        try:
            end.connect(b"\0" + live.name_of(self._run_id).encode())
            channel = Channel(end)
            channel.send_bytes(request, fds)
        except OSError:  # the run has ended, or has no room
            end.close()
            self._connection.send(Kind.PACKET, number, b"")
            return
        finally:
            close_all(fds)
        self.add(number, channel)

    def _descriptors(self, number: int, request: bytes) -> list[int]:
        """Those that come along with such a request."""
        try:
            message = decode(request, FIRST_REQUESTS)
        except BadMessage:  # the run says so
            return []
        if isinstance(message, Execute):
            self._commands.add(number)
            streams = self._streams.open(_launch(number, message))
            if message.terminal:  # one descriptor, three times
                return [streams["stdin"], os.dup(streams["stdin"]), os.dup(streams["stdin"])]
            return [streams[name] for name in NAMES]
        return [self._captures.open(number)] if isinstance(message, StartCapture) else []

    def _said(self, number: int, data: bytes, fds: Sequence[int]) -> None:
        if number in self._commands and (not data or _is_last(data)):
            self._commands.discard(number)
            self._streams.drain(number)
        super()._said(number, data, fds)

    def _resume(self) -> None:
        super()._resume()
        self._captures.resume()


def _launch(number: int, request: Execute) -> Launch:
    return Launch(number, "terminal", request.node, "exec", command=request.command, terminal=request.terminal)


def _is(data: bytes, kinds: tuple[type[ControlMessage], ...]) -> bool:
    try:
        decode(data, kinds)
    except BadMessage:
        return False
    return True


def _is_last(data: bytes) -> bool:
    return _is(data, (Exited, Refused))
