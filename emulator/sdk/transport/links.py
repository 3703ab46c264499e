"""Links between programs on different nodes, in clear: a peer is known by the address of its node.

Framed messages over TCP for protocols without keys. Of two nodes the one whose name comes first dials. Invariant: a
message comes from the address that the run gave to the peer; connections of others are refused and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from emulator.sdk.node import NodeContext
from emulator.sdk.transport.codec import Codec, M
from emulator.sdk.transport.config import LinkConfig
from emulator.sdk.transport.connection import Connection
from emulator.sdk.transport.endpoint import Endpoint
from emulator.sdk.transport.frames import Hello

__all__ = ["Links"]


class Links(Endpoint[str, M]):
    """A link to each of the `peers`, by node name; all of them make theirs with the same service and port.

    In `setup`: make it and `await open()`. In `run`: a task of `run()`, which keeps connections and raises what
    `on_message(name, message)` raised. `send(name, message)` is False, and counted, where too much waits for that peer.
    Messages arrive once and in order while both processes live, also across lost connections. KeyError where a peer is
    not a live node of the run.
    """

    def __init__(
        self,
        context: NodeContext,
        codec: Codec[M],
        on_message: Callable[[str, M], None],
        *,
        peers: Iterable[str],
        service: str,
        port: int,
        config: LinkConfig | None = None,
        accepts: Collection[type[Any]] | None = None,
        ports: Mapping[str, int] | None = None,
    ) -> None:
        me = context.name
        super().__init__(codec, service, context.address.ipv4, on_message, config or LinkConfig(), accepts, label=me)
        self.peers = tuple(name for name in dict.fromkeys(peers) if name != me)
        self._addresses = {name: context.peers[name].ipv4 for name in self.peers}
        self._port = port
        for name in self.peers:
            if me < name:
                there = ports[name] if ports else port  # other ports only where all share one address, as in tests
                self._dials(name, self._addresses[name], there, lambda: None)

    async def open(self) -> int:
        """Listen; the port."""
        return await self._listen(self._port, lambda: None)

    def broadcast(self, message: M, round: int | None = None) -> int:
        """Send to all peers; for how many there was room."""
        return self.send_bytes(self.peers, self._encode(message), round)

    def _admit(self, connection: Connection, hello: Hello | None, dialled: str | None) -> tuple[str | None, str]:
        if hello is None:
            known = dialled is not None or connection.address in self._addresses.values()
            return dialled, "" if known else "stranger"
        name = hello.label.decode("ascii", "replace")
        if self._addresses.get(name) != connection.address:
            return None, "stranger"
        if dialled is not None and name != dialled:
            return None, "other-peer"
        return name, ""
