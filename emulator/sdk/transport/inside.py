"""Links between programs of one node that share a process: what `local` does with sockets, without them.

Invariant: as over a socket, a message is handed on in a later turn of the loop, once, and in order; and it is the same
object, as messages cannot be changed.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Any, Generic

from emulator.sdk.node import NodeContext
from emulator.sdk.transport.codec import M

OnMessage = Callable[[str, M], None]
__all__ = ["Exchange", "InsideLink"]


class Exchange(Generic[M]):
    """Stands in for `local.Sockets`: makes servers and links that reach each other within this process."""

    def __init__(self) -> None:
        self.servers: dict[str, InsideServer[M]] = {}
        self._queue: deque[tuple[InsideEnd[M], str, M]] = deque()

    def server(
        self, context: NodeContext, on_message: OnMessage[M], *, service: str, port: int,
        accepts: Collection[type[Any]],
    ) -> InsideServer[M]:  # fmt: skip
        """What `local.LocalServer` is; it has no port."""
        server = self.servers[service] = InsideServer(self, on_message, accepts)
        return server

    def link(
        self, context: NodeContext, on_message: OnMessage[M], *, service: str, label: str, port: int,
        accepts: Collection[type[Any]],
    ) -> InsideLink[M]:  # fmt: skip
        """What `local.LocalLink` is: a caller of `service` that gives itself a label."""
        return InsideLink(self, on_message, accepts, service, label)

    def post(self, to: InsideEnd[M], sender: str, message: M) -> None:
        """Hand on in the next turn."""
        if not self._queue:
            asyncio.get_running_loop().call_soon(self._deliver)
        self._queue.append((to, sender, message))

    def _deliver(self) -> None:
        queue, self._queue = self._queue, deque()
        for to, sender, message in queue:
            to.hear(sender, message)


class InsideEnd(Generic[M]):
    """One end: `run` ends with what `on_message` raised."""

    def __init__(self, exchange: Exchange[M], on_message: OnMessage[M], accepts: Collection[type[Any]]) -> None:
        self.rejected: Counter[tuple[str, str]] = Counter()
        self._exchange = exchange
        self._on_message = on_message
        self._accepts = frozenset(accepts)
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def hear(self, sender: str, message: M) -> None:
        """A message has come."""
        if self._failure.done():
            return
        if type(message) not in self._accepts:
            self.reject("type", sender)
            return
        try:
            self._on_message(sender, message)
        except Exception as error:
            self._failure.set_exception(error)

    def reject(self, reason: str, who: str) -> None:
        """Count a refusal."""
        self.rejected[reason, who] += 1

    async def run(self) -> None:
        await self._failure

    def close(self) -> None:
        """Hand on nothing more."""
        self._failure.cancel()


class InsideServer(InsideEnd[M]):
    """Takes calls; a caller's key is its label."""

    def __init__(self, exchange: Exchange[M], on_message: OnMessage[M], accepts: Collection[type[Any]]) -> None:
        super().__init__(exchange, on_message, accepts)
        self._callers: dict[str, InsideLink[M]] = {}

    async def open(self) -> int:
        return 0

    def call(self, label: str, caller: InsideLink[M]) -> None:
        """A caller is there."""
        self._callers[label] = caller

    def send(self, label: str, message: M) -> bool:
        """Send to a caller; False where there is none of this label."""
        caller = self._callers.get(label)
        if caller is None:
            return False
        self._exchange.post(caller, caller.service, message)
        return True


class InsideLink(InsideEnd[M]):
    """Calls one server, which may be made later; its key is the name of the service."""

    def __init__(
        self,
        exchange: Exchange[M],
        on_message: OnMessage[M],
        accepts: Collection[type[Any]],
        service: str,
        label: str,
    ) -> None:
        super().__init__(exchange, on_message, accepts)
        self.service = service
        self._label = label

    def send(self, service: str, message: M) -> bool:
        """Send to the server; False where it is not there."""
        server = self._exchange.servers.get(service)
        if server is None:
            return False
        server.call(self._label, self)
        self._exchange.post(server, self._label, message)
        return True

    async def run(self) -> None:
        """Call, and hand on what comes."""
        if (server := self._exchange.servers.get(self.service)) is not None:
            server.call(self._label, self)
        await super().run()
