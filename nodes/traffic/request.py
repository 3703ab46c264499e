"""Request: requests and responses over one TCP connection a pair, one after the other with time to think between.

Samples of the client, with the server as key: `latency_s` from the first byte asked to the last byte answered, at the
time of asking. Events: `requests` per server at the end (count, failed), `request-failed` where the connection broke.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field

from emulator.model.units import Duration, Size
from emulator.sdk.node import Node, NodeContext
from nodes.traffic.core import parse_pairs, require_bounds
from nodes.traffic.wire import Request as Head

CHUNK_BYTES = 1 << 16
RETRY_S = 1.0


class Request(Node):
    """Serves requests on its port, and asks those servers whose client it is."""

    protocol = "nodes.traffic.protocol:PROTOCOL"

    @dataclass(frozen=True, slots=True)
    class Config:
        pairs: list[str] = field(default_factory=list)  # "client -> server", names of nodes that run this program
        request_bytes: Size = 200.0
        response_bytes: Size = 20_000.0
        think_s: Duration = 0.5  # mean time between a response and the next request, exponentially distributed
        timeout_s: Duration = 10.0
        port: int = 8080

        def __post_init__(self) -> None:
            require_bounds(
                {"timeout": self.timeout_s},
                {"request": self.request_bytes, "response": self.response_bytes, "think": self.think_s},
            )

    def __init__(self, config: Config, context: NodeContext) -> None:
        super().__init__(config, context)
        self._serving: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None

    async def setup(self) -> None:
        context = self.context
        names = {context.name, *context.members}
        self.servers = [to for client, to in parse_pairs(self.config.pairs, names) if client == context.name]
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((context.address.ipv4, self.config.port))
        self._listener.listen(128)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._accept())]
            tasks += [group.create_task(self._ask_all(server)) for server in self.servers]
            await self.context.stopping.wait()
            for task in (*tasks, *self._serving):
                task.cancel()

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()

    async def _accept(self) -> None:
        assert self._listener is not None
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            connection.setblocking(False)
            task = loop.create_task(self._serve(connection))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        zeros = memoryview(bytes(CHUNK_BYTES))
        try:
            while True:
                head = Head.decode(await _receive_exactly(connection, Head.BYTES))
                await _discard(connection, head.request_bytes)
                left = head.response_bytes
                while left:
                    count = min(left, CHUNK_BYTES)
                    await loop.sock_sendall(connection, zeros[:count])
                    left -= count
        except (OSError, ValueError, EOFError):
            pass  # the client has gone, or does not speak our protocol: either way its connection ends here
        finally:
            connection.close()

    async def _ask_all(self, server: str) -> None:
        """The requests to one server, over one connection while that lasts."""
        context, config = self.context, self.config
        thinking = context.rng(f"think/{server}")
        count = failed = 0
        connection: socket.socket | None = None
        try:
            while True:
                await context.sleep(thinking.expovariate(1.0 / config.think_s) if config.think_s > 0 else 0.0)
                asked_s = context.now()
                try:
                    async with asyncio.timeout(config.timeout_s):
                        connection = connection or await self._connect(server)
                        await self._ask(connection)
                except (OSError, EOFError) as error:  # TimeoutError is an OSError
                    failed += 1
                    context.emit("request-failed", peer=server, text=str(error) or type(error).__name__)
                    if connection is not None:
                        connection.close()
                        connection = None
                    await context.sleep(RETRY_S)
                else:
                    count += 1
                    context.sample("latency_s", context.now() - asked_s, server, t_s=asked_s)
        finally:
            if connection is not None:
                connection.close()
            context.emit("requests", peer=server, count=count, failed=failed)

    async def _connect(self, server: str) -> socket.socket:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.bind((self.context.address.ipv4, 0))
            address = (self.context.peers[server].ipv4, self.config.port)
            await asyncio.get_running_loop().sock_connect(connection, address)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _ask(self, connection: socket.socket) -> None:
        head = Head(int(self.config.request_bytes), int(self.config.response_bytes))
        await asyncio.get_running_loop().sock_sendall(connection, head.encode() + bytes(head.request_bytes))
        await _discard(connection, head.response_bytes)


async def _receive_exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = await asyncio.get_running_loop().sock_recv(connection, count - len(data))
        if not part:
            raise EOFError("the connection was closed")
        data += part
    return data


async def _discard(connection: socket.socket, count: int) -> None:
    while count:
        part = await asyncio.get_running_loop().sock_recv(connection, min(count, CHUNK_BYTES))
        if not part:
            raise EOFError("the connection was closed")
        count -= len(part)
