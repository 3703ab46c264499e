"""The client endpoint of a validator: clients of any node connect, unencrypted, and receive signed answers.

Invariant: a message is sent only after the records that it rests on are on disk. Any host may connect; callers, the
messages queued for each, and their requests are bounded, and a caller that does not read delays no other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

from emulator.sdk.durable import Durable
from emulator.sdk.node import NodeContext
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.connection import Connection
from emulator.sdk.transport.endpoint import Endpoint
from emulator.sdk.transport.frames import Hello
from nodes.dagbft.client.messages import ReadRequest
from nodes.dagbft.messages import CODEC, Message, Subscribe
from nodes.dagbft.ports import CLIENT_PORT
from nodes.dagbft.primary.client_service import ClientService, Sent

SERVICE = "door"
MOST_CALLERS = 256
LINKS = LinkConfig(queue_bytes=float(1 << 22))  # for one caller
_TICK_S = 0.1  # between checks of waiting reads for their timeout


class ClientEndpoint(Endpoint[str, Message]):
    """Accepts connections for a `ClientService`; a caller's key is its address and the label in its hello."""

    def __init__(self, context: NodeContext, service: ClientService, durable: Durable, port: int = CLIENT_PORT) -> None:
        accepts = (Subscribe, ReadRequest)
        super().__init__(CODEC, SERVICE, context.address.ipv4, self._on_client_message, LINKS, accepts, label=SERVICE)
        self.service = service
        self._context = context
        self._durable = durable
        self._port = port

    async def open(self) -> int:
        """Listen; returns the port."""
        return await self.listen(self._port, lambda: None)

    async def run(self) -> None:
        """Serve until cancelled."""
        ticking = asyncio.ensure_future(self._tick())
        ticking.add_done_callback(self._task_ended)
        try:
            await super().run()
        finally:
            ticking.cancel()

    def send_pending(self) -> None:
        """Send the service's messages, once all records that were passed to `Durable` so far are on disk."""
        if sends := self.service.take(self._context.now()):
            self._durable.add([], partial(self._send_all, sends))

    def tally(self) -> dict[str, object]:
        """Counts of messages that were sent and refused."""
        refused: Counter[str] = Counter()
        for (reason, _), count in [*self.rejected.items(), *self.service.rejected.items()]:
            refused[reason] += count
        links = self.counters()
        counts = {"full": links["full"], "rejected": dict(refused), "counts": dict(self.service.counts)}
        return {"door_bytes": links["sent_bytes"], "door": counts}

    def _send_all(self, sends: list[Sent]) -> None:
        for caller, message in sends:
            self.send(caller, message)

    def _on_client_message(self, caller: str, message: Message) -> None:
        self.service.on_message(caller, message, self._context.now())
        self.send_pending()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            if self.service.due_s <= self._context.now():
                self.send_pending()

    def admit(self, connection: Connection, hello: Hello | None, dialled: str | None) -> tuple[str | None, str]:
        if hello is None:
            return None, ""
        label = hello.label.decode("ascii", "replace")
        if not label.isprintable() or not label:
            return None, "label"
        caller = f"{connection.address}/{label}"
        if caller not in self._lines and len(self._lines) >= MOST_CALLERS:
            return None, "callers"
        return caller, ""
