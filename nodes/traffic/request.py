"""Request: requests and responses over one TCP connection a pair, one after the other with time to think between.

Samples of the client, with the server as key: `latency_s` from the first byte asked to the last byte answered, at the
time of asking. Events: `requests` per server at the end (count, failed), `request-failed` where the connection broke.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from emulator.model.units import Duration, Size
from emulator.sdk.node import Node
from emulator.sdk.streams import Stream
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

    async def setup(self) -> None:
        context = self.context
        names = {context.name, *context.members}
        self.servers = [to for client, to in parse_pairs(self.config.pairs, names) if client == context.name]
        self._listener = context.listen(self.config.port, strangers=True)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._listener.serve(self._serve))]
            tasks += [group.create_task(self._ask_all(server)) for server in self.servers]
            await self.context.stopping.wait()
            for task in tasks:
                task.cancel()

    async def _serve(self, stream: Stream) -> None:
        """Answer one client. One that does not speak our protocol is refused: what this raises ends its connection."""
        zeros = memoryview(bytes(CHUNK_BYTES))
        try:
            while True:
                head = Head.decode(await stream.receive_exactly(Head.BYTES))
                await stream.discard(head.request_bytes)
                left = head.response_bytes
                while left:
                    count = min(left, CHUNK_BYTES)
                    await stream.send(zeros[:count])
                    left -= count
        except EOFError:
            pass  # the client has gone

    async def _ask_all(self, server: str) -> None:
        """The requests to one server, over one connection while that lasts."""
        context, config = self.context, self.config
        thinking = context.rng(f"think/{server}")
        count = failed = 0
        stream: Stream | None = None
        try:
            while True:
                await context.sleep(thinking.expovariate(1.0 / config.think_s) if config.think_s > 0 else 0.0)
                asked_s = context.now()
                try:
                    async with asyncio.timeout(config.timeout_s):
                        stream = stream or await context.connect(server, config.port, no_delay=True)
                        await self._ask(stream)
                except (OSError, EOFError) as error:  # TimeoutError is an OSError
                    failed += 1
                    context.emit("request-failed", peer=server, text=str(error) or type(error).__name__)
                    if stream is not None:
                        stream.close()
                        stream = None
                    await context.sleep(RETRY_S)
                else:
                    count += 1
                    context.sample("latency_s", context.now() - asked_s, server, t_s=asked_s)
        finally:
            if stream is not None:
                stream.close()
            context.emit("requests", peer=server, count=count, failed=failed)

    async def _ask(self, stream: Stream) -> None:
        head = Head(int(self.config.request_bytes), int(self.config.response_bytes))
        await stream.send(head.encode() + bytes(head.request_bytes))
        await stream.discard(head.response_bytes)
