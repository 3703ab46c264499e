"""Meshes of validators on loopback for tests, and a wire between two of them that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLError
from typing import Any

from emulator.model.clock import MonotonicClock
from emulator.sdk.node import NodeContext, Peer
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.endpoint import Endpoint
from emulator.sdk.transport.frames import MAGIC, Frame, FrameReader, Hello, hello_frame
from emulator.sdk.transport.mesh import Mesh
from emulator.sdk.transport.trust import Trust, certificate_of
from nodes.dagbft.identity import Identity
from nodes.dagbft.links import validator_mesh
from nodes.dagbft.messages import Message

SEED = 7
HOST = "127.0.0.1"
SOON = LinkConfig(retry_least_s=0.01, retry_most_s=0.02, heartbeat_s=0.2, silence_s=2.0)


class NoSink:
    def event(self, t_s: float, kind: str, fields: dict[str, Any]) -> None: ...
    def sample(self, t_s: float, name: str, value: float, key: str) -> None: ...


def context(name: str, names: Sequence[str], store: Path = Path("/nonexistent")) -> NodeContext:
    peers = {each: Peer(each, "host", HOST) for each in names}
    return NodeContext(
        name=name, program="primary", seed=SEED, address=peers[name], peers=peers, store=store,
        clock=MonotonicClock(0), sink=NoSink(), key_log=store / "keys" / "primary.keys" if store.exists() else None,
    )  # fmt: skip


class Inbox:
    """What came, and a way to wait for more. With `error` it raises that instead of taking a message."""

    def __init__(self) -> None:
        self.messages: list[tuple[Any, Message]] = []
        self.error: Exception | None = None
        self._changed = asyncio.Event()

    def __call__(self, key: Any, message: Message) -> None:
        if self.error is not None:
            raise self.error
        self.messages.append((key, message))
        self._changed.set()

    async def until(self, count: int) -> list[tuple[Any, Message]]:
        """All that came, once there are `count`."""
        await self.holds(lambda: len(self.messages) >= count)
        return self.messages

    async def holds(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop its turns until the condition holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a counter tells nobody that it has changed
            await asyncio.sleep(0.001)


class Wire:
    """Forwards TCP to a port. `cut` ends all connections; with `budget` a connection ends after so many bytes."""

    def __init__(self, port: int) -> None:
        self.to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.budgets: list[int] = []  # for the next connections, in bytes from the side that dialled
        self.connections = 0
        self.frozen = False  # connections stay, but nothing passes

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._carry, HOST, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        budget = self.budgets.pop(0) if self.budgets else -1
        far_reader, far_writer = await asyncio.open_connection(HOST, self.to)
        self._writers |= {writer, far_writer}
        self._tasks.add(asyncio.ensure_future(self._pump(far_reader, writer, -1)))
        self._tasks.add(asyncio.ensure_future(self._pump(reader, far_writer, budget)))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int) -> None:
        try:
            while data := await reader.read(1 << 16):
                if self.frozen:
                    continue
                if 0 <= budget <= len(data):
                    writer.write(data[:budget])
                    await writer.drain()
                    self.cut()
                    break
                budget -= len(data) if budget >= 0 else 0
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


class Raw:
    """A client that says what it likes: TLS as some identity that trusts validators v0, v1, …, or bare TCP."""

    def __init__(self, identity: Identity | None, count: int = 4) -> None:
        certificates = [certificate_of(Identity.of(SEED, f"v{number}")) for number in range(count)]
        self._tls = None if identity is None else Trust(identity, certificates).dial()
        self.frames = FrameReader({})

    async def dial(self, port: int) -> Raw:
        self.reader, self._writer = await asyncio.open_connection(HOST, port)
        if self._tls is not None:
            while self._tls.peer is None:
                self._writer.write(self._tls.outgoing())
                self._tls.receive(await self.reader.read(1 << 16))
        return self

    async def say(self, data: bytes) -> None:
        if self._tls is not None:
            self._tls.send(data)
            data = self._tls.outgoing()
        self._writer.write(data)
        await self._writer.drain()

    async def greet(self, sender: int = 0, service: bytes = b"primary", magic: bytes = MAGIC) -> None:
        frame = hello_frame(Hello(MAGIC, service, b"", sender, 99, 0, 0))
        await self.say(frame.replace(MAGIC, magic, 1))  # which no encoder would write

    async def hear(self) -> list[Frame]:
        """The next frames; none where the other side has ended the connection."""
        while data := await self.reader.read(1 << 16):
            try:
                if frames := list(self.frames.feed(data if self._tls is None else self._tls.receive(data))):
                    return frames
            except SSLError:
                break
        return []

    async def gone(self) -> None:
        """Wait until the other side has ended the connection."""
        try:
            async with asyncio.timeout(20):
                while await self.reader.read(1 << 16):
                    pass
        except ConnectionError:
            pass
        self.close()

    def close(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def running(*endpoints: Endpoint[Any, Any]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Endpoints that dial and listen."""
    tasks = [asyncio.ensure_future(endpoint.run()) for endpoint in endpoints]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for endpoint in endpoints:
            endpoint.close()


async def meshes(
    count: int, config: LinkConfig = SOON, wire: bool = False, store: Path = Path("/nonexistent"), **given: Any
) -> tuple[list[Mesh[Message]], list[Inbox], list[Wire]]:
    """A mesh of validators v0, v1, …; with `wire` every link passes through a `Wire`, one for each listener."""
    names = [f"v{number}" for number in range(count)]
    ports = [0] * count
    made: list[Mesh[Message]] = []
    inboxes: list[Inbox] = []
    wires: list[Wire] = []
    for number in reversed(range(count)):  # who dials must know the ports of those with larger numbers
        inbox = Inbox()
        mesh = validator_mesh(
            context(names[number], names, store), Identity.of(SEED, names[number]), names, inbox,
            service="primary", port=0, config=config, ports=list(ports), **given,
        )  # fmt: skip
        ports[number] = await mesh.open()
        if wire:
            wires.append(Wire(ports[number]))
            ports[number] = await wires[-1].open()
        made.append(mesh)
        inboxes.append(inbox)
    return made[::-1], inboxes[::-1], wires[::-1]
