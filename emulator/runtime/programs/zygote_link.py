"""The link to the zygote of this machine: launches resolved and sent, lines to processes kept, what comes passed on.

Invariant: the last packets of a process are passed on before its end is. A process keeps no other waiting: a turn of
the event loop takes BATCH packets of it, and what it does not read waits, MOST_UNREAD packets at most.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from emulator.model import clock
from emulator.model.errors import EmulationError, SkyloomError
from emulator.record.folder import file_name
from emulator.runtime.control import session
from emulator.runtime.control.channel import Channel
from emulator.runtime.control.encoding import encode
from emulator.runtime.control.messages import (
    FROM_ZYGOTE,
    FromZygote,
    Kill,
    Members,
    Peers,
    ProcessExited,
    Spawn,
    Warm,
)
from emulator.runtime.control.transport import close_all, hear, parts, say
from emulator.runtime.programs.launch import Introduction, Launch
from emulator.runtime.programs.launches import Resolve

PEERS_PER_MESSAGE = 500
BATCH = 4  # packets that one process may bring in one turn of the event loop
MOST_UNREAD = 64  # packets that wait for a process; further ones are lost
NUMBERS_PER_MESSAGE = 5000
LOST = "the process that starts node programs (the zygote) has died"


class ZygoteLink:
    """The zygote and the lines to its children. Make it before the event loop (so that it warms up), `attach` it
    within.

    `on_message` hears the zygote, `on_packet(number, data)` a process (b"": its line is closed), `on_lost` that the
    zygote itself has ended.
    """

    def __init__(self, seed: int, logs: Path, store: Path, resolve: Resolve, keys: Path | None = None) -> None:
        self.on_message: Callable[[FromZygote], None] = lambda message: None
        self.on_packet: Callable[[int, bytes], None] = lambda number, data: None
        self.on_lost: Callable[[SkyloomError], None] = lambda why: None
        self._seed = seed
        self._logs = logs
        self._store = store
        self._resolve = resolve
        self._keys = keys  # where programs log their TLS keys; None: they do not
        self._lines: dict[int, Channel] = {}
        self._unread: dict[int, deque[bytes]] = {}  # by process: packets that its line has no room for
        self._paused = False
        self._outgoing: deque[tuple[bytes, list[int]]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        ours, theirs = Channel.pair()
        self._channel = ours
        theirs.socket.set_inheritable(True)
        page = clock.shared()
        fds = [theirs.fileno(), *([page.fd] if page is not None else [])]
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "emulator.runtime.programs.zygote", *map(str, fds)],
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()

    def prepare(self, introduction: Introduction) -> None:
        """Tell the zygote who lives in the run and what to import. It answers later."""
        for peers in parts(introduction.peers, PEERS_PER_MESSAGE):
            say(self._channel, Peers(peers))
        for program, nodes in introduction.members.items():
            for some in parts(nodes, PEERS_PER_MESSAGE):
                say(self._channel, Members(program, some))
        say(self._channel, Warm(tuple(sorted(set(introduction.programs))), tuple(introduction.path), str(self._store)))

    def attach(self) -> None:
        """Serve zygote and processes in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._channel.set_timeout(0.0)
        self._loop.add_reader(self._channel.fileno(), self._heard)

    def launch(self, launch: Launch, streams: Mapping[str, int], supervised: bool) -> None:
        """Start a process, and keep the line to a supervised one. `streams`: descriptors of stdin, stdout, stderr."""
        resolved = self._resolve(launch)
        log, node, name = self._logs / launch.log, launch.node, launch.name
        if launch.log:
            log.parent.mkdir(exist_ok=True)
        given = {**resolved.namespaces, **streams}
        keys = str(self._keys / f"{file_name(f'{node}-{name}')}.keys") if self._keys is not None else ""
        names = (*given, "control") if supervised else tuple(given)
        spawn = Spawn(
            launch.number, node, name, self._seed, str(log), str(self._store / node / name), keys, names,
            **resolved.fields,
        )  # fmt: skip
        message = encode(spawn)
        fds = [os.dup(fd) for fd in given.values()]
        if supervised:
            line, theirs = Channel.pair()
            line.set_timeout(0.0)
            fds.append(theirs.socket.detach())
            self._listen(launch.number, line)
        self._send(message, fds)

    def tell(self, number: int, data: bytes) -> None:
        """Send a packet to a process, if it has a line, when it has read what was sent before."""
        if number not in self._lines:
            return
        unread = self._unread.setdefault(number, deque())
        if len(unread) < MOST_UNREAD:
            unread.append(data)
        self._feed(number)

    def _feed(self, number: int) -> None:
        assert self._loop is not None
        line, unread = self._lines[number], self._unread[number]
        while unread:
            try:
                line.send_bytes(unread[0])
            except BlockingIOError:
                self._loop.add_writer(line.fileno(), self._feed, number)
                return
            except OSError:
                pass  # it is gone; the reader tells
            unread.popleft()
        self._loop.remove_writer(line.fileno())

    def kill(self, numbers: Sequence[int], signum: int) -> None:
        """Signal the sessions of processes."""
        for some in parts(numbers, NUMBERS_PER_MESSAGE):
            self._send(encode(Kill(some, signum)), [])

    def pause(self) -> None:
        """Read nothing from processes until `resume`: what they say has no room. They keep it, and count what they
        cannot."""
        self._paused = True
        for line in self._lines.values():
            asyncio.get_running_loop().remove_reader(line.fileno())

    def resume(self) -> None:
        """Read again."""
        if self._paused:
            self._paused = False
            for number, line in self._lines.items():
                asyncio.get_running_loop().add_reader(line.fileno(), self._told, number)

    def close(self) -> None:
        """End the zygote, and with it every child. For those who go on living afterwards."""
        self._zygote.kill()
        self._zygote.wait()
        if self._loop is None or self._loop.is_closed():
            self._channel.close()

    def _send(self, message: bytes, fds: list[int]) -> None:
        self._outgoing.append((message, fds))
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
                pass  # the zygote has died; the reader tells
            self._outgoing.popleft()
            close_all(fds)
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
                for number in list(self._lines):
                    self._drain(number)
                self.on_lost(EmulationError(f"{LOST}; see {session.own_log()}"))
                return
            if isinstance(message, ProcessExited):
                self._drain(message.id)
            self.on_message(message)

    def _listen(self, number: int, line: Channel) -> None:
        assert self._loop is not None, "attach first"
        self._lines[number] = line
        if not self._paused:
            self._loop.add_reader(line.fileno(), self._told, number)

    def _unlisten(self, number: int) -> None:
        line = self._lines.pop(number, None)
        if line is not None:
            assert self._loop is not None
            self._loop.remove_reader(line.fileno())
            self._loop.remove_writer(line.fileno())
            self._unread.pop(number, None)
            line.close()
            self.on_packet(number, b"")

    def _drain(self, number: int) -> None:
        """The last packets of a process that has ended."""
        while self._told(number):
            pass
        self._unlisten(number)

    def _told(self, number: int) -> bool:
        """Some packets of a process; whether there may be more. The event loop calls again while there are."""
        for _ in range(BATCH):
            line = self._lines.get(number)
            if line is None:
                return False
            try:
                data, fds = line.receive_bytes()
            except BlockingIOError:
                return False
            close_all(fds)
            if not data:
                self._unlisten(number)  # a command has replaced the process, or it has ended
                return False
            self.on_packet(number, data)
        return True
