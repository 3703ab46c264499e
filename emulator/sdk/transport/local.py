"""Links between the processes of one node, in clear on the node's own address.

A server listens, the others dial it. Invariant: nobody gets in from another node, as only
connections from the node's own address are taken; a process is known by the label that it gives.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Generic

from emulator.sdk.node import NodeContext
from emulator.sdk.transport.codec import Codec, M
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.connection import Connection
from emulator.sdk.transport.endpoint import Endpoint
from emulator.sdk.transport.frames import Hello

__all__ = ["LocalLink", "LocalServer", "Sockets"]

MOST_CALLERS = 256
OnMessage = Callable[[str, M], None]


class LocalServer(Endpoint[str, M]):
    """Takes calls of processes on this node; a peer's key is its label. `on_message(label, message)`."""

    def __init__(
        self,
        context: NodeContext,
        codec: Codec[M],
        on_message: OnMessage[M],
        *,
        service: str,
        port: int,
        config: LinkConfig | None = None,
        accepts: Collection[type[Any]] | None = None,
    ) -> None:
        super().__init__(
            codec, service, context.address.ipv4, on_message, config or LinkConfig(), accepts, label=service
        )
        self._port = port

    async def open(self) -> int:
        """Listen; the port."""
        return await self._listen(self._port, lambda: None)

    def _admit(self, connection: Connection, hello: Hello | None, dialled: str | None) -> tuple[str | None, str]:
        if connection.address != self._host:
            return None, "stranger"
        if hello is None:
            return None, ""
        label = hello.label.decode("ascii", "replace")
        if not label.isprintable() or not label:
            return None, "label"
        if label not in self._lines and len(self._lines) >= MOST_CALLERS:
            return None, "callers"
        return label, ""


class LocalLink(Endpoint[str, M]):
    """Calls one server on this node; its key is the name of the service. `on_message(service, message)`."""

    def __init__(
        self,
        context: NodeContext,
        codec: Codec[M],
        on_message: OnMessage[M],
        *,
        service: str,
        label: str,
        port: int,
        config: LinkConfig | None = None,
        accepts: Collection[type[Any]] | None = None,
    ) -> None:
        super().__init__(codec, service, context.address.ipv4, on_message, config or LinkConfig(), accepts, label=label)
        self._dials(service, context.address.ipv4, port, lambda: None)

    def _admit(self, connection: Connection, hello: Hello | None, dialled: str | None) -> tuple[str | None, str]:
        return dialled, ""


class Sockets(Generic[M]):
    """Makes the links of a program whose neighbours are other processes; `inside.Exchange` makes those of others."""

    def __init__(self, codec: Codec[M]) -> None:
        self._codec = codec

    def server(
        self, context: NodeContext, on_message: OnMessage[M], *, service: str, port: int,
        accepts: Collection[type[Any]],
    ) -> LocalServer[M]:  # fmt: skip
        """Takes calls under the name of a service."""
        return LocalServer(context, self._codec, on_message, service=service, port=port, accepts=accepts)

    def link(
        self, context: NodeContext, on_message: OnMessage[M], *, service: str, label: str, port: int,
        accepts: Collection[type[Any]],
    ) -> LocalLink[M]:  # fmt: skip
        """Calls a service under a label."""
        return LocalLink(context, self._codec, on_message, service=service, label=label, port=port, accepts=accepts)
